"""The frequency, duration and places of stockouts: no bike, or no dock. No database."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.conf import settings

from ..models import OutageKind
from ..stations import Poll
from .durations import median_minutes, minutes_of
from .intervals import HOURS
from .outage_parts import Outages
from .periods import PEAK_HOURS, Period

LONG_MINUTES = 60
WORST_SHOWN = 10


def stockout_goal() -> int | None:
    """The percent of stations that should not be exceeded. None: there is no goal."""
    return settings.STOCKOUT_GOAL_PERCENT or None


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
class KindFigures:
    episodes: int
    stations: int
    minutes: float
    median_minutes: float | None


def figures_of(outages: Outages) -> KindFigures:
    return KindFigures(
        episodes=outages.lengths.total(),
        stations=len(outages.stations),
        minutes=minutes_of(outages.lengths),
        median_minutes=median_minutes(outages.lengths),
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
    outages: Mapping[OutageKind, Outages],
    *,
    names: Mapping[int, str],
    in_service: int,
) -> Stockouts:
    """`polls`: sums of an hour's polls will do. `in_service`: the number of stations that were in
    service at some time."""
    by_hour: dict[int, list[Poll]] = {hour: [] for hour in HOURS}
    for poll in polls:
        by_hour[period.hour_of(poll.at)].append(poll)
    either = outages[OutageKind.EMPTY] + outages[OutageKind.FULL]
    stations = by_station(outages, names)
    worst = sorted(stations, key=lambda station: (-station.minutes, station.station_id))
    total = sum(station.minutes for station in stations)
    tenth = worst[: max(1, in_service // 10)]
    return Stockouts(
        share=share_of(poll for hour in HOURS for poll in by_hour[hour]),
        peak_hours=share_of(poll for hour in PEAK_HOURS for poll in by_hour[hour]),
        by_hour=[share_of(by_hour[hour]) for hour in HOURS],
        either=figures_of(either),
        empty=figures_of(outages[OutageKind.EMPTY]),
        full=figures_of(outages[OutageKind.FULL]),
        closed=figures_of(outages[OutageKind.CLOSED]),
        long_episodes=sum(n for length, n in either.lengths.items() if length > LONG_MINUTES * 60),
        worst_tenth=100 * sum(s.minutes for s in tenth) / total if total else None,
        worst_stations=worst[:WORST_SHOWN],
    )


def by_station(
    outages: Mapping[OutageKind, Outages], names: Mapping[int, str]
) -> list[StationFigures]:
    """Return the stations with stockouts, in order of their numbers."""
    empty, full = outages[OutageKind.EMPTY].stations, outages[OutageKind.FULL].stations
    found = []
    for station_id in sorted(empty.keys() | full.keys()):
        (times_empty, seconds_empty), (times_full, seconds_full) = (
            of.get(station_id, (0, 0)) for of in (empty, full)
        )
        name = names.get(station_id, f"#{station_id}")
        times = times_empty + times_full
        found.append(StationFigures(station_id, name, times, seconds_empty / 60, seconds_full / 60))
    return found
