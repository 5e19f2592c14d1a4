"""Reads the data behind the figures."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from django.db.models import (
    Case,
    Count,
    Exists,
    FloatField,
    Func,
    IntegerField,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    TextField,
    Value,
    When,
)
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce, Extract, ExtractHour, Floor, TruncDate

from ..models import (
    Crew,
    EventKind,
    FeedWatch,
    OutageKind,
    RejectionCode,
    Station,
    StationOutage,
    StatusPoll,
    Task,
    TaskEvent,
)
from ..models.events import TaskEventQuerySet
from ..stations import Outage, Poll
from .breakdown import ReadyTasks
from .periods import Period
from .places import Place, Places
from .sources import Decision
from .work import WorkDone

DECIDED = [EventKind.APPROVED, EventKind.REJECTED, EventKind.EXPIRED]
# Earlier versions recorded rejections without a code.
OTHER = Value(RejectionCode.OTHER.value, TextField())
BIKES = Coalesce(Sum(Cast(KT("details__moved_qty"), IntegerField())), 0)
# An event of many suggestions says how many were new: as `inserted` in a file, else as `created`.
ENTERED = Coalesce(
    Cast(KT("details__inserted"), IntegerField()),
    Cast(KT("details__created"), IntegerField()),
    Value(1),
)


def polls_between(start: datetime, end: datetime) -> Iterator[tuple[str, Poll]]:
    """Yield polls with their systems, in order of time."""
    polls = StatusPoll.objects.filter(at__gte=start, at__lt=end).order_by("at", "system")
    fields = ("system", "at", "in_service", "empty", "full")
    for system, at, in_service, empty, full in polls.values_list(*fields).iterator():
        yield system, Poll(at, in_service, empty, full)


def hourly_polls(start: datetime, end: datetime) -> dict[int, Poll]:
    """Return the sum of the polls in each hour after `start`. Hours are numbered from 0."""
    return sums_of_polls(hours_after(start), start, end)


def daily_polls(period: Period) -> dict[date, Poll]:
    return sums_of_polls(TruncDate("at", tzinfo=period.zone), period.start, period.end)


def sums_of_polls(group: Func, start: datetime, end: datetime) -> dict[Any, Poll]:
    polls = StatusPoll.objects.filter(at__gte=start, at__lt=end).order_by()
    sums = (Max("at"), Sum("in_service"), Sum("empty"), Sum("full"))
    return {key: Poll(*of) for key, *of in polls.values_list(group).annotate(*sums)}


def hours_after(start: datetime) -> Func:
    seconds = Extract("at", "epoch", tzinfo=UTC, output_field=FloatField()) - start.timestamp()
    return Cast(Floor(seconds / 3600), IntegerField())


def last_polls() -> dict[str, datetime]:
    """Return each system's last poll of all time. Open outages are known to last until then."""
    latest = FeedWatch.objects.values_list("system").annotate(last=Max("ended_at"))
    return dict(latest.order_by("system"))


def outages_between(start: datetime, end: datetime) -> Iterator[tuple[str, Outage]]:
    """Yield the outages in that time with their systems, by station and start.

    Includes an earlier outage that turned into a closure which reaches into that time: the closure
    belongs to it.
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
    # UNION instead of OR lets each half use its index.
    before = StationOutage.objects.filter(Exists(closures), ended_at__lte=start).values_list(
        *fields
    )
    found = outages.union(before, all=True).order_by("station_id", "started_at")
    for system, station_id, kind, began, ended in found:
        yield system, Outage(station_id, OutageKind(kind), began, ended)


def stations_after(start: datetime) -> QuerySet[Station]:
    """Return the stations that were still present then and have had a poll."""
    had_not_gone = Q(gone_at__isnull=True) | Q(gone_at__gt=start)
    return Station.objects.filter(had_not_gone, status__isnull=False).order_by("id")


def events_between(start: datetime, end: datetime) -> TaskEventQuerySet:
    return TaskEvent.objects.filter(at__gte=start, at__lt=end)


def completed_by_day_and_hour(period: Period) -> dict[date, dict[int, WorkDone]]:
    found: dict[date, dict[int, WorkDone]] = defaultdict(dict)
    day, hour = TruncDate("at", tzinfo=period.zone), ExtractHour("at", tzinfo=period.zone)
    for (at, number), done in completed_by(period.start, period.end, day, hour).items():
        found[at][number] = done
    return found


def completed_by_day(period: Period) -> dict[date, WorkDone]:
    days = completed_by(period.start, period.end, TruncDate("at", tzinfo=period.zone))
    return {day: done for (day,), done in days.items()}


def completed_by_hour(start: datetime, end: datetime) -> dict[int, WorkDone]:
    """Return the work of each hour after `start`. Hours are numbered from 0."""
    hours = completed_by(start, end, hours_after(start))
    return {hour: done for (hour,), done in hours.items()}


def completed_by(start: datetime, end: datetime, *groups: Func) -> dict[tuple[Any, ...], WorkDone]:
    done = events_between(start, end).filter(kind=EventKind.COMPLETED).order_by()
    rows = done.values_list(*groups).annotate(Count("id"), bikes=BIKES)
    return {tuple(keys): WorkDone(tasks, bikes) for *keys, tasks, bikes in rows}


def loaded_places() -> Places:
    return Places(Station.objects.values_list("system", "area").order_by().distinct())


def ready_now(places: Places) -> dict[Place, ReadyTasks]:
    found: dict[Place, ReadyTasks] = {}
    rows = Task.objects.ready().order_by().values_list("system", "area")
    for system, area, number, oldest in rows.annotate(Count("id"), Min("created_at")):
        place = places.place(system, area)
        known = found.get(place, ReadyTasks(0, oldest))
        found[place] = ReadyTasks(known.count + number, min(known.oldest, oldest))
    return found


def crew_names() -> dict[str, str]:
    """Return the names on the roster by the ids of crews."""
    return dict(Crew.objects.order_by().values_list("worker_id", "name"))


def suggested_by_day(period: Period) -> dict[date, Counter[str]]:
    """Return the number of suggestions of each source."""
    events = events_between(period.start, period.end).order_by()
    entered = events.filter(kind__in=[EventKind.SUGGESTED, EventKind.INGESTED]).annotate(
        day=TruncDate("at", tzinfo=period.zone)
    )
    found: dict[date, Counter[str]] = defaultdict(Counter)
    for day, source, count in entered.values_list("day", "source").annotate(entered=Sum(ENTERED)):
        found[day][source] = count
    return found


def decisions_by_day(period: Period) -> dict[date, list[Decision]]:
    """Return the decisions on suggestions, counted by source, kind and rejection code.

    A decision that was undone does not count.
    """
    events = events_between(period.start, period.end).filter(kind__in=DECIDED).not_undone()
    code = Case(When(kind=EventKind.REJECTED, then=Coalesce(KT("details__code"), OTHER)))
    coded = events.annotate(day=TruncDate("at", tzinfo=period.zone), code=code)
    counted = coded.values_list("day", "source", "kind", "code")
    found = defaultdict(list)
    for day, *of in counted.annotate(count=Count("id")).order_by("source", "kind", "code"):
        found[day].append(Decision(*of))
    return found


def first_day(zone: tzinfo) -> date | None:
    """Return the day of the first event or poll. None: there is none."""
    firsts = [
        rows.aggregate(first=Min("at"))["first"] for rows in (TaskEvent.objects, StatusPoll.objects)
    ]
    moments = [moment for moment in firsts if moment is not None]
    return min(moments).astimezone(zone).date() if moments else None


def last_event_id() -> int:
    return TaskEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0


def last_events_by_day(after_id: int, zone: tzinfo) -> dict[date, int]:
    """Return the last event of each day that has an event after this one."""
    events = TaskEvent.objects.filter(pk__gt=after_id).order_by()
    days = events.annotate(day=TruncDate("at", tzinfo=zone)).values_list("day")
    return dict(days.annotate(Max("id")))


def count_rows(period: Period) -> int:
    """Count the rows behind the figures of a period."""
    span = {"at__gte": period.start, "at__lt": period.end}
    completed = Task.objects.filter(completed_at__gte=period.start, completed_at__lt=period.end)
    outages = StationOutage.objects.filter(started_at__lt=period.end).exclude(
        ended_at__lte=period.start
    )
    return (
        TaskEvent.objects.filter(**span).count()
        + StatusPoll.objects.filter(**span).count()
        + completed.count()
        + outages.count()
    )
