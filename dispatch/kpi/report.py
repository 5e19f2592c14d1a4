"""Collects all figures of a period."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from ..models import OutageKind, Station
from ..stations import LONGEST_GAP, Outage, Poll
from . import queries
from .breakdown import AreaFigures, CrewFigures, WorkFigures, by_area, by_crew, summarize
from .clusters import ClusterFigures, StationPoint, cluster_outages, clusters_of, figures_of
from .crew_work import read_crew_work
from .days import WEEK, DaysFigures, Diary, by_day, by_week
from .intervals import minutes
from .periods import Period
from .stockouts import Episode, Stockouts, closures, episodes, stockout_figures, within
from .work import SourceFigures, Work, by_source, work_figures


@dataclass(frozen=True)
class KpiReport:
    """`polls`: the number of status polls. `coverage`: percent of the past part of the period in
    which polls came without a gap, for the system with the least; None: no system was polled.
    `total`: the work of all crews. `area`: `crews` count only its tasks; None: of all areas.
    `outages`: of stations, closures included, in order of their start. `names`: of stations."""

    period: Period
    polls: int
    coverage: float | None
    stockouts: Stockouts
    clusters: ClusterFigures
    cluster_outages: list[Episode]
    work: Work
    total: WorkFigures
    crews: list[CrewFigures]
    areas: list[AreaFigures]
    area: str | None
    sources: list[SourceFigures]
    days: list[DaysFigures]
    weeks: list[DaysFigures]
    outages: list[Episode]
    names: dict[int, str]

    @property
    def stockout_episodes(self) -> list[Episode]:
        return [outage for outage in self.outages if outage.kind != OutageKind.CLOSED]

    @property
    def ready(self) -> int:
        return sum(area.ready for area in self.areas)

    @property
    def oldest_ready(self) -> float | None:
        ages = [area.oldest_ready for area in self.areas if area.oldest_ready is not None]
        return max(ages, default=None)


@dataclass
class System:
    """One system's data in the period. `last`: its last poll of all time."""

    last: datetime
    polls: list[Poll] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    stations: list[Station] = field(default_factory=list)


def build_report(period: Period, now: datetime, area: str | None = None) -> KpiReport:
    span = (period.start, period.end)
    works = read_crew_work(*span)
    systems = read_systems(*span)
    names = {station.pk: station.name for system in systems for station in system.stations}
    clusters, out = clusters_in(systems, period)
    found, closed = episodes_in(systems, period)
    diary = read_diary(period)
    return KpiReport(
        period=period,
        polls=sum(len(system.polls) for system in systems),
        coverage=min((coverage(system.polls, period, now) for system in systems), default=None),
        stockouts=stockouts_in(systems, period, names, found, closed),
        clusters=clusters,
        cluster_outages=out,
        work=work_figures(period, works, queries.completed_by_hour_of_day(*span, period.zone), now),
        total=summarize(works),
        crews=by_crew((w for w in works if area in (None, w.area)), queries.crew_names()),
        areas=by_area(works, queries.ready_now(), now),
        area=area,
        sources=list(by_source(queries.decisions_between(*span))),
        days=by_day(period, diary),
        weeks=by_week(period, diary),
        outages=in_order([*found, *closed]),
        names=names,
    )


def in_order(outages: Iterable[Episode]) -> list[Episode]:
    return sorted(outages, key=lambda outage: (outage.start, outage.station_id))


def read_diary(period: Period) -> Diary:
    """Read the days of the period and of the week before it."""
    span = (period.at(period.first - WEEK), period.end)
    return Diary(
        queries.daily_polls(*span, period.zone), queries.completed_by_day(*span, period.zone)
    )


def read_systems(start: datetime, end: datetime) -> list[System]:
    """Return the systems that were polled in that time."""
    systems = {name: System(last) for name, last in queries.last_polls().items()}
    for name, poll in queries.polls_between(start, end):
        # A system's first poll may have come after the query above.
        if name in systems:
            systems[name].polls.append(poll)
    systems = {name: system for name, system in systems.items() if system.polls}
    for station in queries.stations_after(start):
        if station.system in systems:
            systems[station.system].stations.append(station)
    for name, outage in queries.outages_between(start, end):
        if name in systems:
            systems[name].outages.append(outage)
    return list(systems.values())


def episodes_in(systems: Collection[System], period: Period) -> tuple[list[Episode], list[Episode]]:
    """Return stockouts and closures: their parts within the period."""
    found = [e for s in systems for e in within(period, episodes(s.outages, s.last))]
    closed = [e for s in systems for e in within(period, closures(s.outages, s.last))]
    return found, closed


def stockouts_in(
    systems: Collection[System],
    period: Period,
    names: dict[int, str],
    found: Collection[Episode],
    closed: Collection[Episode],
) -> Stockouts:
    return stockout_figures(
        period,
        (poll for system in systems for poll in system.polls),
        found=found,
        closed=closed,
        names=names,
        in_service=sum(len(s.stations) - len(always_closed(s)) for s in systems),
    )


def always_closed(system: System) -> set[int]:
    """Return the stations that were closed at every poll of the period."""
    first, last = system.polls[0].at, system.polls[-1].at
    return {
        outage.station_id
        for outage in system.outages
        if outage.kind == OutageKind.CLOSED
        and outage.start <= first
        and (outage.end is None or outage.end > last)
    }


def clusters_in(systems: Iterable[System], period: Period) -> tuple[ClusterFigures, list[Episode]]:
    """Return the figures and the cluster outages. No cluster spans two systems."""
    clusters: dict[int, frozenset[int]] = {}
    out: list[Episode] = []
    for system in systems:
        own = clusters_of([StationPoint(s.pk, s.lat, s.lon) for s in system.stations])
        peaks = period.peaks([poll.at for poll in system.polls])
        out += cluster_outages(own, system.outages, system.last, peaks)
        clusters |= own
    return figures_of(clusters, out), out


def coverage(polls: list[Poll], period: Period, now: datetime) -> float:
    steps = [(one.at, other.at) for one, other in pairwise(polls)]
    known = sum(minutes(*step) for step in steps if step[1] - step[0] <= LONGEST_GAP)
    past = minutes(period.start, min(period.end, now))
    return 100 * known / past if past > 0 else 0.0
