"""What the figures are made of, read from the tables."""

from collections.abc import Iterator
from datetime import UTC, datetime

from django.db.models import Count, Exists, FloatField, Max, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Extract, Floor

from ..models import (
    EventKind,
    FeedWatch,
    OutageKind,
    Station,
    StationOutage,
    StatusPoll,
    TaskEvent,
)
from ..stations import Outage, Poll
from .intervals import Interval
from .work import Completion, Decision

ASSIGNED = [EventKind.CLAIMED, EventKind.REASSIGNED]
ENTERED = [EventKind.APPROVED, EventKind.CREATED]
DECIDED = [EventKind.APPROVED, EventKind.REJECTED, EventKind.EXPIRED]


def polls_between(start: datetime, end: datetime) -> Iterator[tuple[str, Poll]]:
    """Each with its system, in the order of time."""
    polls = StatusPoll.objects.filter(at__gte=start, at__lt=end).order_by("at", "system")
    fields = ("system", "at", "in_service", "empty", "full")
    for system, at, in_service, empty, full in polls.values_list(*fields).iterator():
        yield system, Poll(at, in_service, empty, full)


def hourly_polls(start: datetime, end: datetime) -> dict[int, Poll]:
    """Those of each hour after the start added up, by the hour's number from 0."""
    seconds = Extract("at", "epoch", tzinfo=UTC, output_field=FloatField()) - start.timestamp()
    polls = StatusPoll.objects.filter(at__gte=start, at__lt=end).order_by()
    sums = (Max("at"), Sum("in_service"), Sum("empty"), Sum("full"))
    rows = polls.values_list(Floor(seconds / 3600)).annotate(*sums)
    return {int(hour): Poll(*of) for hour, *of in rows}


def last_polls() -> dict[str, datetime]:
    """Of each system, of all time: until then it is known that what lasts has lasted."""
    latest = FeedWatch.objects.values_list("system").annotate(last=Max("ended_at"))
    return dict(latest.order_by("system"))


def outages_between(start: datetime, end: datetime) -> Iterator[tuple[str, Outage]]:
    """What lasted for any time of it, with its system, in the order of station and start.

    And what ended when a closure began that reached over its start: that closure is part of it.
    """
    lasted = Q(ended_at__isnull=True) | Q(ended_at__gt=start)
    closures = StationOutage.objects.filter(
        lasted,
        station=OuterRef("station"),
        kind=OutageKind.CLOSED,
        started_at=OuterRef("ended_at"),
        started_at__lte=start,
    )
    fields = ("station__system", "station_id", "kind", "started_at", "ended_at")
    outages = StationOutage.objects.filter(lasted, started_at__lt=end).values_list(*fields)
    # Not joined by OR: no index would then serve either of the two.
    before = StationOutage.objects.filter(Exists(closures), ended_at__lte=start).values_list(
        *fields
    )
    found = outages.union(before, all=True).order_by("station_id", "started_at")
    for system, station_id, kind, began, ended in found:
        yield system, Outage(station_id, OutageKind(kind), began, ended)


def stations_after(start: datetime) -> QuerySet[Station]:
    """Those that had not gone by then, and of which some poll has told."""
    had_not_gone = Q(gone_at__isnull=True) | Q(gone_at__gt=start)
    return Station.objects.filter(had_not_gone, status__isnull=False).order_by("id")


def events_between(start: datetime, end: datetime) -> QuerySet[TaskEvent]:
    return TaskEvent.objects.filter(at__gte=start, at__lt=end)


def completions_between(start: datetime, end: datetime) -> Iterator[Completion]:
    claim = TaskEvent.objects.filter(
        task_id=OuterRef("task_id"), attempt=OuterRef("attempt"), kind__in=ASSIGNED
    ).order_by("id")
    done = events_between(start, end).filter(kind=EventKind.COMPLETED).order_by("id")
    rows = done.annotate(claimed_at=Subquery(claim.values("at")[:1]))
    for heard_at, details, claimed_at in rows.values_list("at", "details", "claimed_at"):
        said = details.get("completed_at")
        yield Completion(
            heard_at,
            details.get("moved_qty", 0),
            claimed_at,
            datetime.fromisoformat(said) if said else None,
        )


def first_claims_between(start: datetime, end: datetime) -> Iterator[Interval]:
    """From the approval, or the entry by hand, to the first claim, which is in that time."""
    entry = TaskEvent.objects.filter(task_id=OuterRef("task_id"), kind__in=ENTERED).order_by("id")
    claims = events_between(start, end).filter(kind__in=ASSIGNED, attempt=1)
    rows = claims.annotate(entered_at=Subquery(entry.values("at")[:1])).order_by("id")
    for entered_at, claimed_at in rows.values_list("entered_at", "at"):
        if entered_at is not None:
            yield entered_at, claimed_at


def decisions_between(start: datetime, end: datetime) -> Iterator[Decision]:
    """On suggestions."""
    events = events_between(start, end).filter(kind__in=DECIDED)
    counted = events.values_list("source", "kind").annotate(count=Count("id"))
    for row in counted.order_by("source", "kind"):
        yield Decision(*row)
