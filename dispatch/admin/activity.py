"""The page of all events, newest first."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import msgspec
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from ..models import EventKind, Task, TaskEvent
from ..services.events import MOVE_FIELDS
from ..texts import isolated
from .activity_filter import NEWEST, ActivityFilter
from .csv_lists import csv_file
from .history import LINKED, describe_event
from .routes import attach_names, route_of

EVENTS_SHOWN = 100
MOST_EXPORTED = 50_000
EXPORTED_AT_ONCE = 2_000
COLUMNS = ["id", "at", "kind", "actor", "worker_id", "source", "task_id", "suggestion_id"]


@dataclass(frozen=True)
class Entry:
    """`qty` and `route`: of the event's move. None: it has no move, or the move was deleted."""

    event: TaskEvent
    day: date
    summary: str
    details: list[str]
    qty: int | None
    route: SafeString | None


@require_safe
def activity_page(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    if not request.user.has_perm("dispatch.view_taskevent"):
        raise PermissionDenied
    asked = ActivityFilter(request.GET)
    if not asked.is_valid():
        return TemplateResponse(
            request, "admin/dispatch/activity.html", context_of(request, asked), status=400
        )
    if request.GET.get("as") == "csv":
        return csv_file("activity", rows_of(asked.events()))
    return TemplateResponse(
        request,
        "admin/dispatch/activity.html",
        {**context_of(request, asked), **page_of(request, asked)},
    )


def context_of(request: HttpRequest, asked: ActivityFilter) -> dict[str, Any]:
    today = timezone.localdate()
    return {
        **admin.site.each_context(request),
        "title": "Activity",
        "form": asked,
        "chosen": [
            (field.label, value) for field in asked.visible_fields() if (value := field.value())
        ],
        "days": [
            (name, url_with(request, day=day))
            for name, day in (("Today", today), ("Yesterday", today - timedelta(days=1)))
        ],
        "csv_url": url_with(request, **{"as": "csv"}),
        "most_exported": MOST_EXPORTED,
    }


def page_of(request: HttpRequest, asked: ActivityFilter) -> dict[str, Any]:
    before = asked.cleaned_data["before"]
    found = list(older_than(asked.events(), before)[: EVENTS_SHOWN + 1])
    shown = found[:EVENTS_SHOWN]
    more = len(found) > EVENTS_SHOWN
    return {
        "entries": entries_of(shown),
        "newest_url": url_with(request) if before else None,
        "older_url": url_with(request, before=shown[-1].pk) if more else None,
        "searched": NEWEST if asked.is_limited else None,
    }


def older_than(events: QuerySet[TaskEvent], before: int | None) -> QuerySet[TaskEvent]:
    return events.filter(id__lt=before) if before else events


def url_with(request: HttpRequest, **changes: Any) -> str:
    """The URL of the first page with the same filters and these changes."""
    query = request.GET.copy()
    for name in ("before", "as"):
        query.pop(name, None)
    for name, value in changes.items():
        query[name] = str(value)
    return f"?{query.urlencode()}"


def entries_of(events: list[TaskEvent]) -> list[Entry]:
    moves = moves_of(events)
    attach_names(list(moves.values()))
    return [entry_of(event, moves.get(event.pk)) for event in events]


def entry_of(event: TaskEvent, move: Task | None) -> Entry:
    summary, details = describe_event(event, LINKED)
    if move and move.reason and event.kind == EventKind.CREATED:
        details.append(f"Reason: {isolated(move.reason)}")
    return Entry(
        event,
        timezone.localtime(event.at).date(),
        summary,
        details,
        move.qty if move else None,
        route_of(move) if move else None,
    )


def moves_of(events: list[TaskEvent]) -> dict[int, Task]:
    """The move of each event, by the event's id."""
    tasks = Task.objects.only(*MOVE_FIELDS).in_bulk(
        {event.task_id for event in events if event.task_id}
    )
    moves = {event.pk: tasks[event.task_id] for event in events if event.task_id in tasks}
    for event in events:
        values = {name: event.details.get(name) for name in MOVE_FIELDS}
        ends = (values["from_station_id"], values["to_station_id"])
        if event.pk not in moves and all(isinstance(end, int) for end in ends):
            moves[event.pk] = Task(**values)
    return moves


def rows_of(events: QuerySet[TaskEvent]) -> Iterator[list[Any]]:
    """At most MOST_EXPORTED events, newest first.

    Each query ends before its rows are sent, so that a slow client keeps no snapshot open.
    """
    yield [*COLUMNS, "summary", "details"]
    before = None
    for _ in range(0, MOST_EXPORTED, EXPORTED_AT_ONCE):
        batch = list(older_than(events, before)[:EXPORTED_AT_ONCE])
        for event in batch:
            summary, _ = describe_event(event)
            values = [getattr(event, name) for name in COLUMNS]
            yield [*values, summary, msgspec.json.encode(event.details).decode()]
        if len(batch) < EXPORTED_AT_ONCE:
            return
        before = batch[-1].pk
