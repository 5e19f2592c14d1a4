"""What the service tells a phone."""

import pytest

from ..support.crew_phone import Phone
from ..support.factories import (
    StationFactory,
    StationStatusFactory,
    TaskFactory,
    claimed,
)

pytestmark = pytest.mark.django_db


def test_phone_without_a_task_reads_its_crew_and_the_queue():
    phone = Phone("van-1", name="Night van", areas=["East Bay"], capacity=20, language="es")
    StationFactory(id=1, area="East Bay")
    TaskFactory.create_batch(2, from_station_id=1, qty=20)
    TaskFactory(from_station_id=1, qty=21)
    TaskFactory(from_station_id=2)

    state = phone.state()

    assert state.pop("now")
    assert len(state.pop("version")) == 16
    assert state == {
        "crew": {
            "worker_id": "van-1",
            "name": "Night van",
            "language": "es",
            "areas": ["East Bay"],
            "capacity": 20,
        },
        "device": {"id": phone.device.pk, "label": "iPhone, Safari"},
        "tasks": [],
        "ended": [],
        "day": {"tasks": 0, "bikes": 0},
        "waiting": 2,
        "zone": "UTC",
    }


def test_task_comes_with_its_stations_and_distance(settings):
    settings.VAN_CAPACITY = 12
    StationStatusFactory(station__id=1, station__name="Ferry Building", bikes=9, docks=0)
    StationStatusFactory(station__id=2, station__lat=37.8, bikes=0, docks=None, in_service=False)
    phone = Phone()
    task = claimed(from_station_id=1, to_station_id=2, qty=5, reason="Full", priority=3)

    [shown] = phone.state()["tasks"]

    assert shown["from"] == {
        "id": 1,
        "name": "Ferry Building",
        "lat": 37.7749,
        "lon": -122.4194,
        "bikes": 9,
        "docks": 0,
        "counted_at": "2015-05-04T08:00:00Z",
        "closed": False,
    }
    assert (shown["to"]["docks"], shown["to"]["closed"]) == (None, True)
    assert shown["km"] == 2.79
    names = ("id", "attempt", "qty", "most", "reason", "priority", "by_dispatch", "seen")
    assert [shown[name] for name in names] == [task.id, 1, 5, 12, "Full", 3, False, False]


def test_unknown_stations_are_numbers_without_a_place():
    phone = Phone()
    claimed(from_station_id=7, to_station_id=8)

    [shown] = phone.state()["tasks"]

    empty = dict.fromkeys(["name", "lat", "lon", "bikes", "docks", "counted_at", "closed"])
    assert shown["from"] == {"id": 7, **empty}
    assert shown["km"] is None
