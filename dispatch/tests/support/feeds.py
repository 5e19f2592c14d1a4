"""Small feeds for tests, in any form that the standard allows."""

import json
from datetime import timedelta

from dispatch import services
from dispatch.gbfs import Validators, read_document, read_information, read_status
from dispatch.services import FeedReading

from .factories import MORNING

READING = FeedReading("https://feeds.example/station", Validators('"v1"', ""))


def document(stations, made_at=MORNING, **extra):
    whole = {"data": {"stations": stations}, **extra}
    if made_at is not None:
        whole["last_updated"] = int(made_at.timestamp())
    return json.dumps(whole).encode()


def a_station(station_id, **fields):
    """Return a station. Consecutive numbers lie about 100 m apart."""
    north = int(station_id) if str(station_id).isdigit() else 0
    return {
        "station_id": station_id,
        "name": f"Market St at {station_id}",
        "lat": 37.7 + north % 500 / 1000,
        "lon": -122.4,
        "capacity": 20,
        **fields,
    }


def a_status(station_id, bikes=5, docks=15, **fields):
    return {
        "station_id": station_id,
        "num_bikes_available": bikes,
        "num_docks_available": docks,
        "is_installed": 1,
        "is_renting": 1,
        "is_returning": 1,
        "last_reported": int(MORNING.timestamp()) - 60,
        **fields,
    }


def sync(stations, system="bay", made_at=MORNING, **options):
    information = read_information(read_document(document(stations, made_at)))
    return services.sync_stations(information, system=system, reading=READING, **options)


def record(stations, minutes=0, system="bay", seconds=0, **extra):
    """Record a poll that many minutes and seconds after MORNING."""
    at = MORNING + timedelta(minutes=minutes, seconds=seconds)
    status = read_status(read_document(document(stations, at, **extra)))
    return services.record_status(status, system=system, reading=READING)
