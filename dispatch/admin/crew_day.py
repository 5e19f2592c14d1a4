"""The page of a crew's day: its tasks with their times, and its reports."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from ..models import WORKER_ID_LENGTH, Crew, CrewDevice, EventKind, TaskEvent
from ..overview.exchanges import read_exchanges
from ..overview.roster import read_roster
from ..texts import isolated, validate_single_line
from .activity_filter import FIRST_DAY, LAST_DAY
from .history import activity_url, bikes
from .routes import attach_names, crew_day_url, route_of
from .stints import MOST_TASKS, Stint, read_stints, read_totals

PERMISSIONS = ["dispatch.view_task", "dispatch.view_taskevent", "dispatch.view_crew"]


class DayForm(forms.Form):
    crew = forms.CharField(max_length=WORKER_ID_LENGTH, validators=[validate_single_line])
    day = forms.DateField(required=False)

    def clean_day(self) -> date:
        day: date = self.cleaned_data["day"] or timezone.localdate()
        if not FIRST_DAY <= day <= LAST_DAY:
            raise forms.ValidationError("No events can be recorded on this day.")
        return day


@dataclass(frozen=True)
class Entry:
    """One stint in words. `route` None: the task was deleted."""

    stint: Stint
    route: SafeString | None
    bikes: int | None
    lines: list[str]


@require_safe
def crew_day_page(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perms(PERMISSIONS):
        raise PermissionDenied
    asked = DayForm(request.GET)
    if not asked.is_valid():
        raise Http404
    worker_id, day = asked.cleaned_data["crew"], asked.cleaned_data["day"]
    context = {
        **admin.site.each_context(request),
        **crew_context(worker_id),
        **day_context(worker_id, day),
        "title": f"{isolated(worker_id)}, {name_of(day)}",
        "worker_id": worker_id,
        "day": day,
        "may_reassign": request.user.has_perm("dispatch.reassign_task"),
    }
    return TemplateResponse(request, "admin/dispatch/crew_day.html", context)


def name_of(day: date) -> str:
    return "today" if day == timezone.localdate() else f"{day:%Y-%m-%d}"


def crew_context(worker_id: str) -> dict[str, Any]:
    crew = Crew.objects.with_last_seen().filter(worker_id=worker_id).first()
    phones = CrewDevice.objects.usable().filter(crew__worker_id=worker_id)
    return {"crew": crew, "phones": list(phones.order_by("-last_seen_at", "-id"))}


def day_context(worker_id: str, day: date) -> dict[str, Any]:
    is_today = day == timezone.localdate()
    stints = read_stints(worker_id, day, with_held=is_today)
    tasks = [stint.task for stint in stints if stint.task]
    attach_names(tasks)
    held = [stint for stint in stints if is_today and stint.end is None and stint.task]
    exchanges = read_exchanges([each.task for each in held if each.task], read_roster().phones)
    return {
        "totals": read_totals(worker_id, day),
        "held": [(entry_of(stint), exchanges[stint.task_id]) for stint in held],
        "entries": [entry_of(stint) for stint in reversed(stints) if stint not in held],
        "most_tasks": MOST_TASKS if len(stints) >= MOST_TASKS else None,
        "links": [*links(worker_id, day, is_today=is_today)],
    }


def links(worker_id: str, day: date, *, is_today: bool) -> Iterator[tuple[str, str]]:
    yield "Previous day", crew_day_url(worker_id, day - timedelta(days=1))
    if not is_today:
        yield "Next day", crew_day_url(worker_id, day + timedelta(days=1))
        yield "Today", crew_day_url(worker_id)
    yield "All events of the day", activity_url(crew=worker_id, day=day)


def entry_of(stint: Stint) -> Entry:
    task = stint.task
    return Entry(
        stint, route_of(task) if task else None, task.qty if task else None, [*lines_of(stint)]
    )


def lines_of(stint: Stint) -> Iterator[str]:
    if start := stint.start:
        yield describe_start(start, stint)
    for problem in stint.problems:
        note = f" ({isolated(problem.note)})" if problem.note else ""
        yield f"Problem at {clock(problem.at)}: {problem.text}{note}"
    if end := stint.end:
        yield f"{describe_end(end, stint)}{reason_of(end)}"
    if late := stint.late_report:
        moved = bikes(late.details.get("moved_qty"))
        yield f"Late report at {clock(late.at)}: completed, {moved} moved"


def describe_start(start: TaskEvent, stint: Stint) -> str:
    if start.kind == EventKind.CLAIMED:
        return f"Claimed at {clock(start.at)}"
    seen = f", seen at {clock(stint.seen.at)}" if stint.seen else ""
    return f"Assigned by {isolated(start.actor)} at {clock(start.at)}{seen}"


def describe_end(end: TaskEvent, stint: Stint) -> str:
    at, actor = f"at {clock(end.at)}", isolated(end.actor)
    match end.kind:
        case EventKind.COMPLETED:
            moved, asked = end.details.get("moved_qty"), stint.task.qty if stint.task else None
            part = f" of {asked}" if asked not in (None, moved) and moved is not None else ""
            return f"Completed {at}: {bikes(moved)}{part} moved"
        case EventKind.REASSIGNED:
            return f"Given to {isolated(end.worker_id or '')} by {actor} {at}"
        case EventKind.CANCELLED:
            return f"Cancelled by {actor} {at}"
        case _:
            own = end.actor == Crew(worker_id=stint.worker_id).actor
            return f"Given back {at}" if own else f"Released by {actor} {at}"


def reason_of(event: TaskEvent) -> str:
    reason = event.details.get("reason") or event.details.get("note")
    return f": {isolated(reason)}" if reason else ""


def clock(at: datetime) -> str:
    return f"{timezone.localtime(at):%H:%M}"
