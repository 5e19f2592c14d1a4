"""A day of a small city, with figures that can be worked out by hand."""

from datetime import UTC, date, datetime, timedelta

from dispatch.kpi import Period
from dispatch.models import (
    FeedWatch,
    OutageKind,
    Station,
    StationOutage,
    StationStatus,
    StatusPoll,
    TaskEvent,
)
from dispatch.stations import LONGEST_GAP, tally

EMPTY, FULL, CLOSED = OutageKind
DAY = Period(date(2015, 5, 4), date(2015, 5, 4), UTC)
EVENING = datetime(2015, 5, 4, 20, tzinfo=UTC)
HOSTILE = "=\x1b[31mHYPERLINK(1)<script>alert('x')</script>"


def at(hour, minute=0):
    return datetime(2015, 5, 4, hour, minute, tzinfo=UTC)


def outage(station_id, kind, start, end=None):
    StationOutage.objects.create(station_id=station_id, kind=kind, started_at=start, ended_at=end)


def station(number, system="small", **fields):
    """Create a station with a status."""
    made = {"name": "More", "lat": 37.7, "lon": -122.4, **fields}
    Station.objects.create(id=number, system=system, **made)
    StationStatus.objects.create(station_id=number, bikes=5, docks=5)


def small_city():
    """Create four stations near one another, polled every half hour from 08:00 to 12:00.

    All are empty from 09:00 to 10:00. From 11:00 on, 1 is full and 2 is closed.
    """
    for number in (1, 2, 3, 4):
        name = HOSTILE if number == 1 else f"Station {number}"
        station(number, name=name, lat=37.7 + number / 10_000)
        outage(number, EMPTY, at(9), at(10))
    outage(1, FULL, at(11))
    outage(2, CLOSED, at(11))
    FeedWatch.objects.create(system="small", started_at=at(8), ended_at=at(12))
    for half_hour in range(9):
        now = at(8) + timedelta(minutes=30) * half_hour
        states = {
            9: dict.fromkeys((1, 2, 3, 4), EMPTY),
            11: {1: FULL, 2: CLOSED, 3: None, 4: None},
            12: {1: FULL, 2: CLOSED, 3: None, 4: None},
        }.get(now.hour, dict.fromkeys((1, 2, 3, 4)))
        poll = tally(now, states)
        StatusPoll.objects.create(
            system="small", at=now, in_service=poll.in_service, empty=poll.empty, full=poll.full
        )
    assert timedelta(minutes=30) <= LONGEST_GAP


def morning_of_work():
    """One task, 10 minutes in the queue and 20 minutes of work, and three decisions."""
    event = TaskEvent.objects.create
    common = {"actor": "test", "source": HOSTILE}
    event(kind="approved", at=at(9), task_id=1, suggestion_id=1, **common)
    event(kind="rejected", at=at(9), suggestion_id=2, **common)
    event(kind="rejected", at=at(9), suggestion_id=3, **common)
    event(kind="claimed", at=at(9, 10), task_id=1, attempt=1, **common)
    event(kind="completed", at=at(9, 30), task_id=1, attempt=1, details={"moved_qty": 6}, **common)
