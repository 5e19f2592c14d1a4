"""Stations as the board shows them, on the map and at both ends of a move."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import FilteredRelation, Q, QuerySet
from django.template.defaultfilters import pluralize

from ..models import Station
from ..stations import availability
from .fill_levels import STOCKOUTS, FillLevel, Reading, Thresholds


class Place(NamedTuple):
    id: int
    lat: float
    lon: float


@dataclass(frozen=True)
class StationView:
    """`place` and `reading` are None for a number that no feed has named. `area` and `system` are
    empty if unknown.

    `outage_since`: when the station became empty or full; None: it is neither, or that is unknown.
    """

    id: int
    name: str
    level: FillLevel = FillLevel.UNKNOWN
    place: Place | None = None
    reading: Reading | None = None
    area: str = ""
    outage_since: datetime | None = None
    system: str = ""

    @property
    def summary(self) -> str:
        if self.reading is None:
            return self.level.label
        bikes, docks = self.reading.bikes, self.reading.docks
        if self.level == FillLevel.CLOSED:
            return f"{self.level.label} · {bikes} bike{pluralize(bikes)}"
        counts = availability(bikes, docks)
        return f"{counts} (old)" if self.level == FillLevel.UNKNOWN else counts

    @property
    def percent(self) -> int | None:
        """None: the size of the station is unknown."""
        if self.reading is None or self.reading.docks is None:
            return None
        size = self.reading.bikes + self.reading.docks
        return round(100 * self.reading.bikes / size) if size else 0


class StationViews(dict[int, StationView]):
    """By station number. An unknown number is shown as the number itself."""

    def __missing__(self, number: int) -> StationView:
        return StationView(number, f"#{number}")

    def count(self, *levels: FillLevel) -> int:
        counts = Counter(station.level for station in self.values())
        return sum(counts[level] for level in levels)

    @property
    def stockout_percent(self) -> float | None:
        """Share of empty or full stations among those in service with recent status.

        None if there are no such stations.
        """
        known = len(self) - self.count(FillLevel.CLOSED, FillLevel.UNKNOWN)
        return 100 * self.count(*STOCKOUTS) / known if known else None


def thresholds() -> Thresholds:
    return Thresholds(
        settings.LOW_FILL_PERCENT,
        settings.HIGH_FILL_PERCENT,
        timedelta(minutes=settings.STATUS_MAX_AGE_MINUTES),
    )


def read_stations(now: datetime, stations: QuerySet[Station] | None = None) -> StationViews:
    """Without `stations`, read all that are in their feeds."""
    if stations is None:
        stations = Station.objects.present()
    open_outage = FilteredRelation("outages", condition=Q(outages__ended_at=None))
    rows = stations.annotate(outage=open_outage).values_list(
        "id",
        "name",
        "lat",
        "lon",
        "area",
        "system",
        "outage__started_at",
        "status__bikes",
        "status__docks",
        "status__in_service",
        "status__as_of",
    )
    return StationViews((view.id, view) for view in station_views(rows.order_by("id"), now))


def station_views(rows: Iterable[tuple[Any, ...]], now: datetime) -> Iterable[StationView]:
    limits = thresholds()
    for pk, name, lat, lon, area, system, since, bikes, docks, in_service, as_of in rows:
        place = Place(pk, lat, lon)
        if bikes is None:
            yield StationView(pk, name, place=place, area=area, system=system)
            continue
        reading = Reading(bikes, docks, in_service, as_of)
        level = reading.level(limits, now)
        outage_since = since if level in STOCKOUTS else None
        yield StationView(pk, name, level, place, reading, area, outage_since, system)
