"""The state of a phone: the tasks of its crew, and the ends of those it no longer holds."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Sum
from django.utils import timezone

from ..models import Crew, CrewDevice, EventKind, OutageKind, Station, Task, TaskEvent, TaskStatus
from ..models.events import CLAIMS
from ..overview.moves import Route
from ..overview.station_views import StationView, StationViews, read_stations
from ..services.claim_scopes import count_claimable
from ..services.endings import Ending, read_endings
from ..services.reported import most_bikes
from ..stations import state_of
from .worker import version

# More than a crew needs to know of: "100 and more".
MOST_WAITING = 100
SHOWN = [*CLAIMS, EventKind.MESSAGE, EventKind.PROBLEM, EventKind.SEEN]


def read_state(device: CrewDevice, asked: Sequence[int]) -> dict[str, Any]:
    """`asked`: ids of tasks that the phone remembers, held by any crew."""
    crew = device.crew
    held = Task.objects.assigned().filter(worker_id=crew.worker_id)
    tasks = list(held.order_by("assigned_at", "id"))
    waiting, now = count_claimable(crew, most=MOST_WAITING)
    return {
        "now": now,
        "version": version(),
        "crew": {
            "worker_id": crew.worker_id,
            "name": str(crew),
            "language": crew.language,
            "areas": crew.areas,
            "capacity": crew.capacity,
        },
        "device": {"id": device.pk, "label": device.label},
        "tasks": describe_tasks(tasks),
        "ended": describe_ends({*asked} - {task.pk for task in tasks}, crew),
        "day": count_day(crew, now),
        "waiting": waiting,
        "zone": settings.TIME_ZONE,
    }


def describe_tasks(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    ends = {end for task in tasks for end in (task.from_station_id, task.to_station_id)}
    stations = read_stations(timezone.now(), Station.objects.filter(pk__in=ends))
    events: dict[int | None, list[TaskEvent]] = defaultdict(list)
    shown = TaskEvent.objects.filter(task_id__in=[task.pk for task in tasks], kind__in=SHOWN)
    for event in shown.order_by("id"):
        events[event.task_id].append(event)
    return [describe_task(task, stations, events[task.pk]) for task in tasks]


def describe_task(task: Task, stations: StationViews, events: list[TaskEvent]) -> dict[str, Any]:
    route = Route(stations[task.from_station_id], stations[task.to_station_id])
    own = [event for event in events if event.attempt == task.attempt and event.worker_id]
    seen = [event.details["message_id"] for event in own if event.kind == EventKind.SEEN]
    return {
        "id": task.pk,
        "attempt": task.attempt,
        "qty": task.qty,
        "most": most_bikes(task),
        "reason": task.reason or "",
        "priority": task.priority,
        "created_at": task.created_at,
        "assigned_at": task.assigned_at,
        "lease_expires_at": task.lease_expires_at,
        "by_dispatch": any(event.kind == EventKind.REASSIGNED for event in own),
        "km": None if route.km is None else round(route.km, 2),
        "from": describe_station(route.source),
        "to": describe_station(route.target),
        # Also those from before any crew had the task.
        "messages": [
            {"id": event.pk, "text": event.details["text"], "at": event.at}
            for event in events
            if event.kind == EventKind.MESSAGE and (event in own or not event.worker_id)
        ],
        "problems": [describe_problem(event) for event in own if event.kind == EventKind.PROBLEM],
        "seen_message_id": max((pk for pk in seen if pk), default=None),
        "seen": bool(seen),
    }


def describe_station(station: StationView) -> dict[str, Any]:
    reading = station.reading
    return {
        "id": station.id,
        "name": station.name if station.place else None,
        "lat": station.place.lat if station.place else None,
        "lon": station.place.lon if station.place else None,
        "bikes": reading.bikes if reading else None,
        "docks": reading.docks if reading else None,
        "counted_at": reading.as_of if reading else None,
        "closed": (
            state_of(reading.bikes, reading.docks, reading.in_service) == OutageKind.CLOSED
            if reading
            else None
        ),
    }


def describe_problem(event: TaskEvent) -> dict[str, Any]:
    details = event.details
    at = details.get("happened_at") or event.at
    return {"problems": details["problems"], "note": details.get("note", ""), "at": at}


def describe_ends(task_ids: Iterable[int], crew: Crew) -> list[dict[str, Any]]:
    """A task that the crew never held looks like one that does not exist."""
    asked = sorted(task_ids)
    endings = read_endings(asked, crew.worker_id) if asked else {}
    return [
        {"task_id": pk, **describe_end(endings.get(pk))}
        for pk in asked
        # The crew has just got it back.
        if pk not in endings or endings[pk]
    ]


def describe_end(ending: Ending | None) -> dict[str, Any]:
    if ending is None:
        return {"code": "unknown", "at": None, "worker_id": None, "reason": ""}
    return {
        "code": ending.code,
        "at": ending.at,
        "worker_id": ending.worker_id,
        "reason": ending.reason,
    }


def count_day(crew: Crew, now: datetime) -> dict[str, int]:
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    done = Task.objects.filter(
        worker_id=crew.worker_id, status=TaskStatus.COMPLETED, completed_at__gte=midnight
    )
    totals = done.aggregate(tasks=Count("id"), bikes=Sum("moved_qty"))
    return {"tasks": totals["tasks"], "bikes": totals["bikes"] or 0}
