"""The invented city as its feed would tell of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from ..city import City, Fill, found_city
from ..models import (
    FeedKind,
    FeedWatch,
    Station,
    StationAlias,
    StationFeed,
    StationOutage,
    StationStatus,
)
from ..stations import state_of

SYSTEM = "demo"
# With it station 100 is full and station 200 low after the morning's peak.
SEED = 8
STATIONS = 60
MORNING = 3 * 60 + 20
AFTER_THE_PEAK = 9 * 60 + 20


@dataclass(frozen=True)
class StatusRow:
    number: int
    bikes: int
    docks: int
    bikes_disabled: int
    in_service: bool


def city_in_the_morning() -> City:
    return City(found_city(STATIONS, SEED), seed=SEED, minute=MORNING)


def city_as_told() -> City:
    """As its last status left it."""
    statuses = StationStatus.objects.filter(station__system=SYSTEM)
    fills = {
        status.station_id: Fill(status.bikes, status.docks, status.bikes_disabled)
        for status in statuses
    }
    return City(found_city(STATIONS, SEED), seed=SEED, minute=AFTER_THE_PEAK, fills=fills)


@transaction.atomic
def enter_stations(city: City) -> None:
    Station.objects.bulk_create(
        Station(
            id=place.number,
            system=SYSTEM,
            name=place.name,
            short_name=place.short_name,
            lat=place.lat,
            lon=place.lon,
            capacity=place.capacity,
            region=place.region,
        )
        for place in city.places
    )
    StationAlias.objects.bulk_create(
        StationAlias(system=SYSTEM, feed_id=str(place.number), station_id=place.number)
        for place in city.places
    )


def tell(city: City, at: datetime) -> None:
    """Record how full the stations are."""
    fills = city.fills()
    rows = (
        StatusRow(
            number=place.number,
            bikes=fills[place.number].bikes,
            docks=fills[place.number].docks,
            bikes_disabled=fills[place.number].disabled,
            in_service=not place.closed,
        )
        for place in city.places
    )
    record_status(SYSTEM, list(rows), at)


@transaction.atomic
def record_status(system: str, rows: Iterable[StatusRow], made_at: datetime) -> None:
    StationStatus.objects.bulk_create(
        (
            StationStatus(
                station_id=row.number,
                bikes=row.bikes,
                docks=row.docks,
                bikes_disabled=row.bikes_disabled,
                in_service=row.in_service,
                as_of=made_at,
            )
            for row in rows
        ),
        update_conflicts=True,
        unique_fields=["station"],
        update_fields=["bikes", "docks", "bikes_disabled", "in_service", "as_of"],
    )
    record_outages(system, rows, made_at)
    StationFeed.objects.update_or_create(
        system=system,
        kind=FeedKind.STATUS,
        defaults={"source": "the demo city", "made_at": made_at, "read_at": made_at},
    )
    if not FeedWatch.objects.filter(system=system).update(ended_at=made_at):
        FeedWatch.objects.create(system=system, started_at=made_at, ended_at=made_at)


def record_outages(system: str, rows: Iterable[StatusRow], made_at: datetime) -> None:
    states = {row.number: state_of(row.bikes, row.docks, row.in_service) for row in rows}
    lasting = StationOutage.objects.filter(station__system=system, ended_at=None)
    ended = [outage for outage in lasting if states[outage.station_id] != outage.kind]
    StationOutage.objects.filter(pk__in=[outage.pk for outage in ended]).update(ended_at=made_at)
    known = {outage.station_id for outage in lasting.all()}
    StationOutage.objects.bulk_create(
        StationOutage(station_id=number, kind=state, started_at=made_at)
        for number, state in states.items()
        if state is not None and number not in known
    )
