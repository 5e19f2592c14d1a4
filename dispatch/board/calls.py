"""Calls for a dispatcher's attention, such as failing feeds, overdue tasks and late reports."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import TextChoices
from django.template.defaultfilters import pluralize
from django.urls import reverse

from ..models import ClusterOutage, EventKind, Suggestion, Task, TaskEvent
from ..overview.exchanges import problem_of
from ..overview.roster import Roster
from ..overview.station_views import StationViews
from ..texts import isolated
from .feeds import Feed

CALLS_SHOWN = 40
# Events call for so long. Every board asks far more often.
RECENT = timedelta(hours=1)


class CallKind(TextChoices):
    """The labels are those of the board's settings. Each dispatcher chooses from them."""

    PROBLEM = "problem", "Problems that crews report"
    OVERDUE = "overdue", "Overdue tasks"
    NO_CREW = "no_crew", "Tasks that no crew may take"
    RELEASED = "released", "Tasks released because the lease ended"
    LATE_REPORT = "late_report", "Late reports of former crews"
    FEED = "feed", "Failing station feeds"
    CLUSTER = "cluster", "Neighbouring stations that are all empty, or all full"
    URGENT = "urgent"


@dataclass(frozen=True)
class Call:
    """`key` stays the same while the cause lasts. `row`: the id of its row, which the board may
    not show at present. `address`: a page about it. `priority`: a suggestion's; None for others.
    """

    kind: CallKind
    key: str
    text: str
    address: str
    row: str = ""
    priority: int | None = None

    @property
    def is_passing(self) -> bool:
        """True for an event. The others last until someone removes their cause."""
        return self.kind in (CallKind.RELEASED, CallKind.LATE_REPORT)


def read_calls(
    now: datetime,
    stations: StationViews,
    feeds: list[Feed],
    with_problem: Sequence[Task],
    roster: Roster,
) -> list[Call]:
    """All calls; the board's filters do not apply. The newest of each kind, if there are many."""
    return [
        *failing(feeds),
        *out_together(stations),
        *problems(with_problem, stations),
        *overdue(stations),
        *without_crew(roster, stations),
        *recent_events(now, stations),
        *urgent(stations),
    ]


def failing(feeds: list[Feed]) -> Iterator[Call]:
    address = reverse("admin:dispatch_stationfeed_changelist")
    for feed in feeds:
        if feed.trouble:
            text = f"Station feed {isolated(feed.system)} is failing."
            yield Call(CallKind.FEED, f"feed {feed.system}", text, address)


def out_together(stations: StationViews) -> Iterator[Call]:
    outages = ClusterOutage.objects.ongoing().order_by("-id")[:CALLS_SHOWN]
    for outage in outages:
        count, name = len(outage.station_ids), isolated(stations[outage.station_id].name)
        text = f"All {count} stations around {name} are {outage.kind}."
        address = f"?station={outage.station_id}"
        yield Call(CallKind.CLUSTER, f"cluster {outage.pk}", text, address)


def problems(tasks: Iterable[Task], stations: StationViews) -> Iterator[Call]:
    by_id: dict[int | None, Task] = {task.pk: task for task in tasks}
    reports = TaskEvent.objects.open_problems().filter(task_id__in=by_id)
    for report in reports.order_by("-id")[:CALLS_SHOWN]:
        problem, task = problem_of(report), by_id[report.task_id]
        text = (
            f"Task {task.pk} has a problem: {problem.text}, reported by"
            f" {isolated(problem.worker_id)}: {describe(task, stations)}"
        )
        yield about_task(task, CallKind.PROBLEM, f"problem {report.pk}", text)


def overdue(stations: StationViews) -> Iterator[Call]:
    for task in Task.objects.overdue().order_by("-assigned_at", "-id")[:CALLS_SHOWN]:
        crew, move = isolated(task.worker_id or ""), describe(task, stations)
        text = f"Task {task.pk} of {crew} is overdue: {move}"
        yield about_task(task, CallKind.OVERDUE, f"task {task.pk} {task.attempt}", text)


def without_crew(roster: Roster, stations: StationViews) -> Iterator[Call]:
    for task in roster.without_crew().order_by("-created_at", "-id")[:CALLS_SHOWN]:
        why = roster.why_no_crew(task.system, task.area, task.qty)
        text = f"Task {task.pk} has no crew: {describe(task, stations)} {why}"
        yield about_task(task, CallKind.NO_CREW, f"no_crew {task.pk} {task.attempt}", text)


def recent_events(now: datetime, stations: StationViews) -> Iterator[Call]:
    recent = TaskEvent.objects.filter(at__gte=now - RECENT)
    events = (recent.late_reports() | recent.lease_ends()).order_by("-id")[:CALLS_SHOWN]
    found = list(events)
    tasks = Task.objects.in_bulk([event.task_id for event in found])
    for event in found:
        task = tasks.get(event.task_id or 0)
        if task is None:
            continue
        crew, move = isolated(event.worker_id or ""), describe(task, stations)
        if event.kind == EventKind.LATE_REPORT:
            kind, what = CallKind.LATE_REPORT, "was reported as completed by its former crew"
        else:
            kind, what = CallKind.RELEASED, "is ready again, because its lease ended. Its crew was"
        text = f"Task {task.pk} {what} {crew}: {move}"
        yield about_task(task, kind, f"event {event.pk}", text)


def urgent(stations: StationViews) -> Iterator[Call]:
    found = Suggestion.objects.urgent()
    for suggestion in found.order_by("-priority", "-created_at", "-id")[:CALLS_SHOWN]:
        pk = suggestion.pk
        yield Call(
            CallKind.URGENT,
            f"suggestion {pk}",
            f"Urgent suggestion {pk}: {describe(suggestion, stations)}",
            reverse("admin:dispatch_suggestion_change", args=[pk]),
            f"p{pk}",
            suggestion.priority,
        )


def about_task(task: Task, kind: CallKind, key: str, text: str) -> Call:
    address = reverse("admin:dispatch_task_change", args=[task.pk])
    return Call(kind, key, text, address, f"t{task.pk}")


def describe(move: Suggestion | Task, stations: StationViews) -> str:
    source, target = stations[move.from_station_id].name, stations[move.to_station_id].name
    bikes = f"{move.qty} bike{pluralize(move.qty)}"
    return f"{bikes}, {isolated(source)} to {isolated(target)}."
