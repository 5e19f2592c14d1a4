"""Reads days from the tables of events, polls and outages."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import TypeVar

from ..models import OutageKind, Station
from ..stations import Outage, Poll
from . import queries
from .clusters import Clusters, StationPoint, cluster_outages, clusters_of
from .crew_work import read_crew_work
from .day import Day, SystemDay, seconds_watched, sum_of
from .episodes import Episode, closures, episodes, within
from .moves import read_moves
from .outage_parts import split
from .periods import Period

T = TypeVar("T")


@dataclass
class System:
    """One system's data in a period. `last`: its last poll of all time."""

    name: str
    last: datetime
    polls: list[Poll] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    stations: list[Station] = field(default_factory=list)

    @property
    def lasting(self) -> list[Episode]:
        """Return stockouts and closures, also those parts that lie outside the period."""
        return [*episodes(self.outages, self.last), *closures(self.outages, self.last)]


def read_days(period: Period) -> list[Day]:
    systems = [days_of(system, period) for system in read_systems(period)]
    works, done = read_crew_work(period), queries.completed_by_day_and_hour(period)
    suggested, decisions = queries.suggested_by_day(period), queries.decisions_by_day(period)
    moves = read_moves(period)
    return [
        Day(
            day,
            systems=[days[day] for days in systems if day in days],
            works=works.get(day, []),
            done=done.get(day, {}),
            suggested=suggested.get(day, {}),
            decisions=decisions.get(day, []),
            moves=moves.get(day, []),
        )
        for day in period.days()
    ]


def read_outages(period: Period) -> list[Episode]:
    """Return the parts in the period of all stockouts and closures, in order of their start."""
    found = [
        part
        for system in read_systems(period)
        if system.polls
        for part in within(period, system.lasting)
    ]
    return sorted(found, key=lambda outage: (outage.start, outage.station_id))


def read_systems(period: Period) -> list[System]:
    systems = {name: System(name, last) for name, last in queries.last_polls().items()}
    for name, poll in queries.polls_between(period.start, period.end):
        # A system's first poll may have come after the query above.
        if name in systems:
            systems[name].polls.append(poll)
    for station in queries.stations_after(period.start):
        if station.system in systems:
            systems[station.system].stations.append(station)
    for name, outage in queries.outages_between(period.start, period.end):
        if name in systems:
            systems[name].outages.append(outage)
    return list(systems.values())


def days_of(system: System, period: Period) -> dict[date, SystemDay]:
    """Leave out the days without polls and outages."""
    polls = spread(period, system.polls, lambda poll: (poll.at, poll.at))
    outages = spread(period, system.outages, lambda of: (of.start, of.until(system.last)))
    lasting = spread(period, system.lasting, lambda episode: (episode.start, episode.end))
    found = {}
    for day in polls.keys() | lasting.keys():
        whole = Period(day, day, period.zone)
        parts = list(within(whole, lasting[day]))
        found[day] = system_day(system, whole, polls[day], outages[day], parts)
    return found


def spread(
    period: Period, items: Iterable[T], span: Callable[[T], tuple[datetime, datetime]]
) -> dict[date, list[T]]:
    """List each item under each day of the period that it touches."""
    found: dict[date, list[T]] = defaultdict(list)
    for item in items:
        first, last = (moment.astimezone(period.zone).date() for moment in span(item))
        if first <= period.last and last >= period.first:
            touched = Period(max(first, period.first), min(last, period.last), period.zone)
            for day in touched.days():
                found[day].append(item)
    return found


def system_day(
    system: System, day: Period, polls: list[Poll], outages: list[Outage], parts: list[Episode]
) -> SystemDay:
    moments = [poll.at for poll in polls]
    hours: dict[int, list[Poll]] = defaultdict(list)
    for poll in polls:
        hours[day.hour_of(poll.at)].append(poll)
    return SystemDay(
        system.name,
        polls=len(polls),
        first=moments[0] if moments else None,
        last=moments[-1] if moments else None,
        watched=seconds_watched(moments),
        hours=[sum_of(hours[hour]) for hour in sorted(hours)],
        closed=always_closed(outages, moments),
        outages=split(day, parts),
        cluster_outages=cluster_outages(
            clusters_at(system.stations, day.start), outages, system.last, day.peaks(moments)
        ),
    )


def always_closed(outages: Iterable[Outage], polls: list[datetime]) -> list[int]:
    """Return the stations that were closed at every poll."""
    return [
        outage.station_id
        for outage in outages
        if polls
        and outage.kind == OutageKind.CLOSED
        and outage.start <= polls[0]
        and (outage.end is None or outage.end > polls[-1])
    ]


def clusters_at(stations: Iterable[Station], moment: datetime) -> Clusters:
    """Return the clusters of the stations that were still present then."""
    present = (s for s in stations if s.gone_at is None or s.gone_at > moment)
    return known_clusters(tuple(StationPoint(s.pk, s.lat, s.lon) for s in present))


@lru_cache(maxsize=16)
def known_clusters(places: tuple[StationPoint, ...]) -> Clusters:
    return clusters_of(places)
