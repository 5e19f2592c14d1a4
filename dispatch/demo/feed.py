"""Enters the invented city's stations and status, as its feed would."""

from datetime import datetime

from .. import services
from ..gbfs import Information, StationRow, Status, StatusRow
from ..models import StationStatus
from ..services import FeedReading
from .city import City, Inventory, create_places

SYSTEM = "demo"
READING = FeedReading("the demo city")
# This seed leaves station 100 full and station 200 low after the morning peak.
SEED = 8
STATIONS = 60
MORNING = 3 * 60 + 20
AFTER_THE_PEAK = 9 * 60 + 20


def city_in_the_morning() -> City:
    return City(create_places(STATIONS, SEED), seed=SEED, minute=MORNING)


def city_from_status() -> City:
    """The city as its last recorded status left it."""
    statuses = StationStatus.objects.filter(station__system=SYSTEM)
    inventories = {
        status.station_id: Inventory(status.bikes, status.docks or 0, status.bikes_disabled)
        for status in statuses
    }
    places = create_places(STATIONS, SEED)
    return City(places, seed=SEED, minute=AFTER_THE_PEAK, inventories=inventories)


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
            region=place.area,
            area=place.area,
        )
        for place in city.places
    ]
    services.sync_stations(Information(None, rows, []), system=SYSTEM, reading=READING)


def record_status(city: City, at: datetime) -> None:
    inventories = city.inventories()
    rows = [
        StatusRow(
            names=(str(place.number),),
            bikes=inventories[place.number].bikes,
            docks=inventories[place.number].docks,
            bikes_disabled=inventories[place.number].disabled,
            docks_disabled=0,
            in_service=not place.closed,
            reported_at=at,
        )
        for place in city.places
    ]
    services.record_status(Status(at, rows, []), system=SYSTEM, reading=READING)
