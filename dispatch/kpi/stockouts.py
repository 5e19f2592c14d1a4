"""The frequency, duration and places of stockouts: no bike, or no dock. No database."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from statistics import median

from ..models import OutageKind
from ..stations import Outage, Poll
from .intervals import HOURS, minutes
from .periods import PEAK_HOURS, Period

LONG_MINUTES = 60
WORST_SHOWN = 10


@dataclass(frozen=True)
class Share:
    """Percent of station-polls: each poll counts each station in service once. None: there
    are none."""

    station_polls: int
    empty: float | None = None
    full: float | None = None
    either: float | None = None


def share_of(polls: Iterable[Poll]) -> Share:
    in_service = empty = full = 0
    for poll in polls:
        in_service += poll.in_service
        empty += poll.empty
        full += poll.full
    if not in_service:
        return Share(0)
    return Share(in_service, *(100 * n / in_service for n in (empty, full, empty + full)))


@dataclass(frozen=True)
class Episode:
    station_id: int
    kind: OutageKind
    start: datetime
    end: datetime

    @property
    def minutes(self) -> float:
        return minutes(self.start, self.end)


def episodes(outages: Iterable[Outage], last: datetime) -> Iterator[Episode]:
    """Yield outages as riders see them: empty, or full, until a poll shows the station usable.

    A closure within an episode or right after it belongs to it. `outages`: of one system, by
    station and start. `last`: the system's last poll.
    """
    for _, of_station in groupby(outages, key=lambda outage: outage.station_id):
        yield from episodes_of_station(of_station, last)


def episodes_of_station(outages: Iterable[Outage], last: datetime) -> Iterator[Episode]:
    episode: Episode | None = None
    for outage in outages:
        if episode is not None and not continues(episode, outage):
            yield episode
            episode = None
        if outage.kind != OutageKind.CLOSED:
            end = outage.until(last)
            episode = replace(
                episode or Episode(outage.station_id, outage.kind, outage.start, end), end=end
            )
        elif episode is not None and outage.end is not None:
            episode = replace(episode, end=outage.end)
    if episode is not None:
        yield episode


def continues(episode: Episode, outage: Outage) -> bool:
    return outage.start <= episode.end and outage.kind in (episode.kind, OutageKind.CLOSED)


def closures(outages: Iterable[Outage], last: datetime) -> Iterator[Episode]:
    for outage in outages:
        if outage.kind == OutageKind.CLOSED:
            yield Episode(outage.station_id, outage.kind, outage.start, outage.until(last))


def within(period: Period, all_episodes: Iterable[Episode]) -> Iterator[Episode]:
    """Yield the parts in the period. One that began with the last poll counts, without length."""
    for episode in all_episodes:
        start, end = max(episode.start, period.start), min(episode.end, period.end)
        if start < end or (start == end == episode.start < period.end):
            yield replace(episode, start=start, end=end)


@dataclass(frozen=True)
class KindFigures:
    episodes: int
    stations: int
    minutes: float
    median_minutes: float | None


def figures_of(some: Collection[Episode]) -> KindFigures:
    lengths = [episode.minutes for episode in some]
    return KindFigures(
        episodes=len(lengths),
        stations=len({episode.station_id for episode in some}),
        minutes=sum(lengths),
        median_minutes=median(lengths) if lengths else None,
    )


@dataclass(frozen=True)
class StationFigures:
    station_id: int
    name: str
    episodes: int
    empty_minutes: float
    full_minutes: float

    @property
    def minutes(self) -> float:
        return self.empty_minutes + self.full_minutes


@dataclass(frozen=True)
class Stockouts:
    """`peak_hours`: the share in these hours. `long_episodes`: those of more than an hour.
    `worst_tenth`: percent of all minutes at the tenth of the stations with the most."""

    share: Share
    peak_hours: Share
    by_hour: list[Share]
    either: KindFigures
    empty: KindFigures
    full: KindFigures
    closed: KindFigures
    long_episodes: int
    worst_tenth: float | None
    worst_stations: list[StationFigures]


def stockout_figures(
    period: Period,
    polls: Iterable[Poll],
    *,
    found: Collection[Episode],
    closed: Collection[Episode],
    names: dict[int, str],
    in_service: int,
) -> Stockouts:
    """`found`, `closed`: the parts within the period. `in_service`: the number of stations that
    were in service at some time."""
    by_hour: dict[int, list[Poll]] = {hour: [] for hour in HOURS}
    for poll in polls:
        by_hour[period.hour_of(poll.at)].append(poll)
    stations = sorted(by_station(found, names), key=lambda s: (-s.minutes, s.station_id))
    total = sum(station.minutes for station in stations)
    tenth = stations[: max(1, in_service // 10)]
    return Stockouts(
        share=share_of(poll for hour in HOURS for poll in by_hour[hour]),
        peak_hours=share_of(poll for hour in PEAK_HOURS for poll in by_hour[hour]),
        by_hour=[share_of(by_hour[hour]) for hour in HOURS],
        either=figures_of(found),
        empty=figures_of([e for e in found if e.kind == OutageKind.EMPTY]),
        full=figures_of([e for e in found if e.kind == OutageKind.FULL]),
        closed=figures_of(closed),
        long_episodes=sum(e.minutes > LONG_MINUTES for e in found),
        worst_tenth=100 * sum(s.minutes for s in tenth) / total if total else None,
        worst_stations=stations[:WORST_SHOWN],
    )


def by_station(found: Iterable[Episode], names: dict[int, str]) -> Iterator[StationFigures]:
    ordered = sorted(found, key=lambda e: e.station_id)
    for station_id, group in groupby(ordered, key=lambda e: e.station_id):
        of_station = list(group)
        yield StationFigures(
            station_id,
            names.get(station_id, f"#{station_id}"),
            len(of_station),
            sum(e.minutes for e in of_station if e.kind == OutageKind.EMPTY),
            sum(e.minutes for e in of_station if e.kind == OutageKind.FULL),
        )
