"""Fills an empty database with a morning of the invented city, its crews, and suggestions to
review."""

from datetime import timedelta

from django.db.models import Max
from django.utils import timezone

from .. import services
from ..models import Crew, Station, StatusPoll, Suggestion, TaskEvent
from ..services import CrewRow, SuggestionRow
from .feed import (
    AFTER_THE_PEAK,
    MORNING,
    SYSTEM,
    city_in_the_morning,
    enter_stations,
    record_status,
)

ACTOR = "quickstart"
SOURCE = "demo-model"
POLL_MINUTES = 10

MOVES = [
    (100, 200, 5, 20, "Station 100 is full, Station 200 needs bikes"),
    (104, 209, 12, 55, "Ash Way at 1st Row has been empty since the morning"),
    (302, 306, 6, 30, "30 rides are expected from Birch Rd at 6th Ct by noon"),
    (108, 217, 8, 0, "Lectures at the University end at noon: 40 rides expected"),
    (113, 213, 7, -20, "Library Square fills by the afternoon; there is time"),
]

# The crew of the person who tries the service.
YOUR_CREW = "van-3"
# The simulation drives the first two.
CREWS = [
    CrewRow("van-1", {"name": "Westbank van", "areas": ["Westbank"], "capacity": 20}),
    CrewRow("van-2", {"name": "Large van", "capacity": 40}),
    CrewRow(YOUR_CREW, {"name": "You"}),
]


def seed() -> None:
    """Do nothing if the database holds anything else: demo data never mixes with real data.

    A seed that was interrupted before its suggestions is continued.
    """
    stations = Station.objects.exclude(system=SYSTEM)
    crews = Crew.objects.exclude(worker_id__in=[row.worker_id for row in CREWS])
    if any(rows.exists() for rows in (stations, crews, Suggestion.objects, TaskEvent.objects)):
        return
    record_morning()
    services.import_crews(CREWS, user_id=None)
    rows = (
        SuggestionRow(
            from_station_id=source, to_station_id=target, qty=qty, reason=reason, priority=priority
        )
        for source, target, qty, priority, reason in MOVES
    )
    services.ingest_suggestions(rows, source=SOURCE, actor=ACTOR)
    services.suggest_moves(actor=ACTOR)


def record_morning() -> None:
    city = city_in_the_morning()
    enter_stations(city)
    now = timezone.now()
    recorded = StatusPoll.objects.filter(system=SYSTEM).aggregate(last=Max("at"))["last"]
    for minutes_ago in range(AFTER_THE_PEAK - MORNING, -1, -POLL_MINUTES):
        at = now - timedelta(minutes=minutes_ago)
        if recorded is None or at > recorded:
            record_status(city, at)
        city.ride(POLL_MINUTES if minutes_ago else 0)
