"""The invented city as its feed would tell of it."""

from datetime import datetime

from .. import services
from ..gbfs import Information, StationRow, Status, StatusRow
from ..models import StationStatus
from ..services import FeedReading
from .city import City, Fill, found_city

SYSTEM = "demo"
READING = FeedReading("the demo city")
# With it station 100 is full and station 200 low after the morning's peak.
SEED = 8
STATIONS = 60
MORNING = 3 * 60 + 20
AFTER_THE_PEAK = 9 * 60 + 20


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


def enter_stations(city: City) -> None:
    rows = [
        StationRow(
            names=(str(place.number),),
            integers=(place.number,),
            name=place.name,
            short_name=place.short_name,
            lat=place.lat,
            lon=place.lon,
            capacity=place.capacity,
            region=place.region,
        )
        for place in city.places
    ]
    services.sync_stations(Information(None, rows, []), system=SYSTEM, reading=READING)


def tell(city: City, at: datetime) -> None:
    """Record how full the stations are."""
    fills = city.fills()
    rows = [
        StatusRow(
            names=(str(place.number),),
            bikes=fills[place.number].bikes,
            docks=fills[place.number].docks,
            bikes_disabled=fills[place.number].disabled,
            docks_disabled=0,
            in_service=not place.closed,
            reported_at=at,
        )
        for place in city.places
    ]
    services.record_status(Status(at, rows, []), system=SYSTEM, reading=READING)
