"""The filters of the activity page. Each query reads a bounded part of millions of events."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.db.models import F, Max, Min, Q, QuerySet
from django.utils import timezone

from ..models import SOURCE_LENGTH, WORKER_ID_LENGTH, EventKind, Station, Task, TaskEvent
from ..overview.station_search import is_named, search_stations, station_number

# Without a day, filters that no index supports search only this many events, in 50 ms.
NEWEST = 100_000
MOST_STATIONS = 50
LARGEST_ID = 2**63 - 1
FIRST_DAY, LAST_DAY = date(2000, 1, 2), date(8999, 12, 30)
KINDS = [("", "Any")] + [(kind.value, kind.label.capitalize()) for kind in EventKind]


class IdField(forms.IntegerField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=LARGEST_ID, required=False, **kwargs)


class ActivityFilter(forms.Form):
    day = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))
    kind = forms.ChoiceField(label="Event", choices=KINDS, required=False)
    actor = forms.CharField(label="By", max_length=WORKER_ID_LENGTH, required=False)
    crew = forms.CharField(max_length=WORKER_ID_LENGTH, required=False)
    source = forms.CharField(max_length=SOURCE_LENGTH, required=False)
    station = forms.CharField(max_length=100, required=False)
    task = IdField()
    suggestion = IdField()
    # The last event of the previous page.
    before = IdField(widget=forms.HiddenInput)

    def clean_day(self) -> date | None:
        day: date | None = self.cleaned_data["day"]
        if day is not None and not FIRST_DAY <= day <= LAST_DAY:
            raise forms.ValidationError("No events can be recorded on this day.")
        return day

    @property
    def is_limited(self) -> bool:
        """True if only the newest events are searched."""
        asked = self.cleaned_data
        indexed = asked["day"] or asked["task"] or asked["suggestion"] or asked["source"]
        others = asked["kind"] or asked["actor"] or asked["crew"] or asked["station"]
        return bool(others and not indexed)

    def events(self) -> QuerySet[TaskEvent]:
        """The events that match, newest first. Requires a valid form."""
        asked = self.cleaned_data
        events = TaskEvent.objects.order_by("-id")
        columns = {"kind": "kind", "actor": "actor", "crew": "worker_id", "source": "source"}
        columns["task"] = "task_id"
        for name, column in columns.items():
            if asked[name]:
                events = events.filter(**{column: asked[name]})
        if asked["suggestion"]:
            events = events.filter(about_suggestion(asked["suggestion"]))
        if asked["station"]:
            events = events.filter(about_stations(asked["station"]))
        if asked["day"]:
            events = events.filter(on_day(asked["day"]))
        if self.is_limited:
            events = events.filter(id__gt=newest_id() - NEWEST)
        return events


def about_suggestion(suggestion_id: int) -> Q:
    """Its own events, and the undo that restored it."""
    origin = TaskEvent.objects.filter(
        kind=EventKind.UNDONE, details__new_suggestion_id=suggestion_id
    )
    return Q(suggestion_id=suggestion_id) | Q(id__in=list(origin.values_list("id", flat=True)))


def about_stations(text: str) -> Q:
    """Events of moves from or to the stations with this number or name."""
    ids = station_ids(text)
    tasks = Task.objects.filter(Q(from_station_id__in=ids) | Q(to_station_id__in=ids))
    return (
        Q(task_id__in=tasks.values("pk"))
        | Q(details__from_station_id__in=ids)
        | Q(details__to_station_id__in=ids)
    )


def station_ids(text: str) -> list[int]:
    if (number := station_number(text)) is not None:
        return [number]
    named = Station.objects.filter(is_named(text))
    found = named if named.exists() else search_stations(Station.objects.all(), text)
    return list(found.values_list("pk", flat=True)[:MOST_STATIONS])


def on_day(day: date) -> Q:
    """Events of a local day, with their range of ids.

    Given the times alone, PostgreSQL would walk back from the newest event to find the first rows
    in order of id. Adding 0 keeps it from finding the ends of the range by the same walk.
    """
    start = timezone.make_aware(datetime.combine(day, time()))
    end = timezone.make_aware(datetime.combine(day + timedelta(days=1), time()))
    of_day = Q(at__gte=start, at__lt=end)
    ends = TaskEvent.objects.filter(of_day).aggregate(first=Min(F("id") + 0), last=Max(F("id") + 0))
    return of_day & Q(id__gte=ends["first"] or 0, id__lte=ends["last"] or 0)


def newest_id() -> int:
    return TaskEvent.objects.aggregate(newest=Max("id"))["newest"] or 0
