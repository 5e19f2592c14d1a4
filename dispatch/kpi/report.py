"""Collects all figures of a period."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

from ..models import OutageKind, Station
from ..stations import LONGEST_GAP, Poll
from . import queries
from .breakdown import AreaFigures, CrewFigures, WorkFigures, by_area, by_crew, summarize
from .clusters import ClusterFigures, Clusters, figures_of
from .crew_work import CrewWork
from .day import Day, SystemDay
from .days import WEEK, DaysFigures, Diary, by_day, by_week
from .episodes import Episode
from .intervals import minutes
from .live_days import clusters_at
from .outage_parts import Outages, joined
from .periods import ONE_DAY, Period
from .places import Place, Places
from .rollups import all_days, stored_days
from .sources import SourceFigures, by_source
from .stockouts import StationFigures, Stockouts, by_station, stockout_figures
from .work import Work, WorkDone, work_figures


@dataclass(frozen=True)
class KpiReport:
    """`polls`: the number of status polls. `coverage`: percent of the past part of the period in
    which polls came without a gap, for the system with the least; None: no system was polled.
    `total`: the work of all crews. `place`: `crews` count only its tasks; None: of all places.
    `stations`: those with stockouts. `names`: of stations."""

    period: Period
    polls: int
    coverage: float | None
    stockouts: Stockouts
    stations: list[StationFigures]
    clusters: ClusterFigures
    cluster_outages: list[Episode]
    work: Work
    total: WorkFigures
    crews: list[CrewFigures]
    areas: list[AreaFigures]
    place: Place | None
    sources: list[SourceFigures]
    days: list[DaysFigures]
    weeks: list[DaysFigures]
    names: dict[int, str]

    @property
    def ready(self) -> int:
        return sum(area.ready for area in self.areas)

    @property
    def oldest_ready(self) -> float | None:
        ages = [area.oldest_ready for area in self.areas if area.oldest_ready is not None]
        return max(ages, default=None)


def build_report(
    period: Period, now: datetime, place: Place | None = None, most_read: int | None = None
) -> KpiReport:
    """Refusal: more than `most_read` days have no rollup. None: any number may have none."""
    stored = stored_days(Period(period.first - WEEK, period.last, period.zone))
    days = all_days(period, stored, most_read)
    works = [work for day in days for work in day.works]
    places = queries.loaded_places()
    place = places.place(*place) if place else None
    systems = polled_systems(days)
    stations = [s for s in queries.stations_after(period.start) if s.system in systems]
    names = {station.pk: station.name for station in stations}
    out = [out for of in systems.values() for day in of for out in day.cluster_outages]
    outages = outages_of(days, systems)
    polls = [poll for of in systems.values() for day in of for poll in day.hours]
    diary = read_diary(period, stored | {day.day: day for day in days})
    return KpiReport(
        period=period,
        polls=sum(day.polls for of in systems.values() for day in of),
        coverage=min((coverage(of, period, now) for of in systems.values()), default=None),
        stockouts=stockout_figures(
            period, polls, outages, names=names, in_service=count_in_service(systems, stations)
        ),
        stations=by_station(outages, names),
        clusters=figures_of(clusters_in(stations, period), out),
        cluster_outages=out,
        work=work_figures(period, works, sum_by_hour(days), now),
        total=summarize(works),
        crews=by_crew(works_at(place, works, places) if place else works, queries.crew_names()),
        areas=by_area(works, places, queries.ready_now(places), now),
        place=place,
        sources=sources_of(days),
        days=by_day(period, diary),
        weeks=by_week(period, diary),
        names=names,
    )


def works_at(place: Place, works: Iterable[CrewWork], places: Places) -> Iterator[CrewWork]:
    for work in works:
        if place.includes(places.place(work.system, work.area)):
            yield work


def polled_systems(days: Iterable[Day]) -> dict[str, list[SystemDay]]:
    """Return the days of each system that was polled in the period."""
    found: dict[str, list[SystemDay]] = defaultdict(list)
    for day in days:
        for of in day.systems:
            found[of.system].append(of)
    return {name: of for name, of in sorted(found.items()) if any(day.polls for day in of)}


def outages_of(days: Iterable[Day], systems: Collection[str]) -> Mapping[OutageKind, Outages]:
    return joined(
        [parts for of in day.systems if of.system in systems for parts in of.outages]
        for day in days
    )


def read_diary(period: Period, known: Mapping[date, Day]) -> Diary:
    """Return the days of the period and of the week before it. Only the latter may be unknown."""
    before = Period(period.first - WEEK, period.first - ONE_DAY, period.zone)
    polls: dict[date, Poll] = {}
    work: dict[date, WorkDone] = {}
    if any(day not in known for day in before.days()):
        polls, work = queries.daily_polls(before), queries.completed_by_day(before)
    polls |= {day: sums for day, of in known.items() if (sums := of.polls)}
    return Diary(polls, work | {day: of.work for day, of in known.items()})


def sum_by_hour(days: Iterable[Day]) -> dict[int, WorkDone]:
    tasks: Counter[int] = Counter()
    bikes: Counter[int] = Counter()
    for day in days:
        for hour, done in day.done.items():
            tasks[hour] += done.tasks
            bikes[hour] += done.bikes
    return {hour: WorkDone(tasks[hour], bikes[hour]) for hour in tasks}


def sources_of(days: Collection[Day]) -> list[SourceFigures]:
    suggested: Counter[str] = Counter()
    for day in days:
        suggested.update(day.suggested)
    return by_source(
        suggested,
        (decision for day in days for decision in day.decisions),
        (moves for day in days for moves in day.moves),
    )


def count_in_service(
    systems: Mapping[str, Iterable[SystemDay]], stations: Collection[Station]
) -> int:
    """Count the stations that were in service at some poll of the period."""
    closed = sum(
        len(set.intersection(*(set(day.closed) for day in of if day.polls)))
        for of in systems.values()
    )
    return len(stations) - closed


def clusters_in(stations: Iterable[Station], period: Period) -> Clusters:
    """No cluster spans two systems."""
    by_system: dict[str, list[Station]] = defaultdict(list)
    for station in stations:
        by_system[station.system].append(station)
    found: Clusters = {}
    for of in by_system.values():
        found |= clusters_at(of, period.start)
    return found


def coverage(days: Iterable[SystemDay], period: Period, now: datetime) -> float:
    polled = [(day.first, day.last) for day in days if day.first and day.last]
    nights = [(one[1], other[0]) for one, other in pairwise(polled)]
    known = sum(day.watched for day in days) / 60
    known += sum(minutes(*night) for night in nights if night[1] - night[0] <= LONGEST_GAP)
    past = minutes(period.start, min(period.end, now))
    return 100 * known / past if past > 0 else 0.0
