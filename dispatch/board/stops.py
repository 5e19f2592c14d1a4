"""The stations of the board, and how the ends of a move look."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from ..models import Station
from .fills import BY_NEED, STOCKOUTS, Fill, Level, Limits
from .projection import Place


@dataclass(frozen=True)
class Stop:
    """A station as the board shows it; of a number that no feed knows there is nothing to tell."""

    id: int
    name: str
    fill: Fill = Fill.UNKNOWN
    place: Place | None = None
    level: Level | None = None

    @property
    def told(self) -> str:
        if self.level is None:
            return self.fill.word
        if self.fill == Fill.CLOSED:
            return f"out of service, {self.level.bikes} bikes"
        size = self.level.bikes + self.level.docks
        old = ", old" if self.fill == Fill.UNKNOWN else ""
        return f"{self.level.bikes} of {size} bikes{old}"

    @property
    def percent(self) -> int:
        size = self.level.bikes + self.level.docks if self.level else 0
        return round(100 * self.level.bikes / size) if self.level and size else 0

    @property
    def need(self) -> int:
        return BY_NEED.index(self.fill)


class Stops(dict[int, Stop]):
    """By number. One that is not there is called by it."""

    def __missing__(self, number: int) -> Stop:
        return Stop(number, f"#{number}")

    def count(self, *fills: Fill) -> int:
        counts = Counter(stop.fill for stop in self.values())
        return sum(counts[fill] for fill in fills)

    @property
    def stockout_percent(self) -> float | None:
        """Of the stations that work, those without a bike or a dock. None: none is known."""
        working = len(self) - self.count(Fill.CLOSED, Fill.UNKNOWN)
        return 100 * self.count(*STOCKOUTS) / working if working else None


def limits() -> Limits:
    return Limits(
        settings.LOW_FILL_PERCENT,
        settings.HIGH_FILL_PERCENT,
        timedelta(minutes=settings.STATUS_MAX_AGE_MINUTES),
    )


def read_stops(now: datetime) -> Stops:
    rows = Station.objects.present().values_list(
        "id",
        "name",
        "lat",
        "lon",
        "status__bikes",
        "status__docks",
        "status__in_service",
        "status__as_of",
    )
    return Stops((stop.id, stop) for stop in as_stops(rows.order_by("id"), now))


def as_stops(rows: Iterable[tuple[Any, ...]], now: datetime) -> Iterable[Stop]:
    bounds = limits()
    for pk, name, lat, lon, bikes, docks, in_service, as_of in rows:
        place = Place(pk, lat, lon)
        if bikes is None:
            yield Stop(pk, name, place=place)
        else:
            level = Level(bikes, docks, in_service, as_of)
            yield Stop(pk, name, level.fill(bounds, now), place, level)
