"""Events in words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from ..models import EventKind, TaskEvent
from ..overview.exchanges import problem_labels
from ..texts import isolated

SUMMARIES = {
    EventKind.INGESTED: "{actor} proposed suggestions{from_source}: {counts}",
    EventKind.SUGGESTED: "{actor} added suggestion {suggestion_id}",
    EventKind.REJECTED: "{actor} rejected suggestion {suggestion_id}{from_source}",
    EventKind.EXPIRED: "Suggestion {suggestion_id}{from_source} expired",
    EventKind.APPROVED: "{actor} approved suggestion {suggestion_id}{from_source}",
    EventKind.CREATED: "{actor} created this task manually",
    EventKind.CLAIMED: "{worker} claimed the task{attempt}",
    EventKind.EXTENDED: "{worker} renewed the lease",
    EventKind.RELEASED: "{actor} released the task from {worker}; it is ready again",
    EventKind.REASSIGNED: "{actor} assigned the task to {worker}{former_worker}{attempt}",
    EventKind.COMPLETED: "{worker} completed the task: {moved} moved",
    EventKind.CANCELLED: "{actor} cancelled the task",
    EventKind.UNDONE: (
        "{actor} undid the {decision} of suggestion {suggestion_id}; it is suggestion"
        " {new_suggestion_id} now"
    ),
    EventKind.PRIORITIZED: "{actor} changed the priority from {former_priority} to {priority}",
    EventKind.PROBLEM: "{worker} reported a problem",
    EventKind.MESSAGE: "{actor} sent a message to {recipient}",
    EventKind.SEEN: "The phone of {worker} showed the task{and_messages}",
    EventKind.LATE_REPORT: "{worker} reported the task completed after losing it: {moved} moved",
}
# Events that show the suggestion's reason. Other events keep that reason only for the job.
PROPOSALS = (EventKind.SUGGESTED, EventKind.REJECTED, EventKind.EXPIRED)
REPORTS = (EventKind.COMPLETED, EventKind.LATE_REPORT)


@dataclass(frozen=True)
class Wording:
    """The formatting of a sentence, and of the names and ids in it."""

    formatted: Callable[..., str] = str.format
    actor: Callable[[str], str] = isolated
    crew: Callable[[str], str] = isolated
    suggestion: Callable[[int], str] = str


def activity_url(**filters: Any) -> str:
    return f"{reverse('activity')}?{urlencode(filters)}"


def link(url: str, text: Any) -> SafeString:
    return format_html('<a href="{}">{}</a>', url, text)


PLAIN = Wording()
# Each name links to the activity of that user or crew.
LINKED = Wording(
    formatted=format_html,
    actor=lambda name: link(activity_url(actor=name), isolated(name)),
    crew=lambda name: link(activity_url(crew=name), isolated(name)),
    suggestion=lambda pk: link(reverse("admin:dispatch_suggestion_change", args=[pk]), pk),
)


def describe_event(event: TaskEvent, wording: Wording = PLAIN) -> tuple[str, list[str]]:
    """A one-line summary, and further details as lines of their own."""
    summary = SUMMARIES.get(EventKind(event.kind), "{actor}: " + event.kind)
    return wording.formatted(summary, **words_of(event, wording)), [*event_details(event)]


def words_of(event: TaskEvent, wording: Wording) -> dict[str, Any]:
    details = event.details
    former = details.get("former_worker_id")
    restored = details.get("new_suggestion_id")
    return {
        "actor": wording.actor(event.actor),
        "worker": wording.crew(event.worker_id) if event.worker_id else "",
        "suggestion_id": event.suggestion_id,
        "new_suggestion_id": wording.suggestion(restored) if restored else "",
        "decision": "approval" if event.task_id else "rejection",
        "from_source": f" (from {isolated(event.source)})" if event.source else "",
        "attempt": f" (attempt {event.attempt})" if (event.attempt or 0) > 1 else "",
        "former_worker": (
            wording.formatted(" instead of {}", wording.crew(former)) if former else ""
        ),
        "recipient": wording.crew(event.worker_id) if event.worker_id else "the next crew",
        "and_messages": " and its messages" if details.get("message_id") else "",
        "moved": bikes(details.get("moved_qty")),
        "counts": counts(details),
        "priority": details.get("priority"),
        "former_priority": details.get("former_priority"),
    }


def bikes(moved_qty: int | None) -> str:
    if moved_qty is None:
        return "all bikes"
    return f"{moved_qty} bike{pluralize(moved_qty)}"


def counts(details: dict[str, Any]) -> str:
    """The numbers of an ingest, such as "2 inserted, 5 refreshed"."""
    numbers = [
        f"{value:,} {name.replace('_', ' ')}"
        for name, value in details.items()
        if value and isinstance(value, int) and not isinstance(value, bool)
    ]
    return ", ".join(numbers) or "no changes"


def clock(text: Any) -> str:
    """A time of an event's details in the console's form and zone. Unchanged if it is no time:
    events may come through SQL."""
    try:
        return date_format(localtime(datetime.fromisoformat(text)), "DATETIME_FORMAT")
    except (TypeError, ValueError, OverflowError):
        return str(text)


def event_details(event: TaskEvent) -> Iterator[str]:
    details = event.details
    yield from details.get("warnings", [])
    if labels := problem_labels(details):
        yield f"Problem{pluralize(labels)}: {', '.join(labels)}"
    if event.kind == EventKind.MESSAGE:
        yield f"“{isolated(details.get('text', ''))}”"
    if rejection := details.get("rejection"):
        yield f"Rejected because: {isolated(rejection)}"
    reason = details.get("reason")
    if reason and event.kind in PROPOSALS:
        yield f"Proposed because: {isolated(reason)}"
    elif reason and "from_station_id" not in details:
        yield f"Reason: {isolated(reason)}"
    if note := details.get("note"):
        yield f"Note: {isolated(note)}"
    if happened_at := details.get("happened_at"):
        yield f"Reported time: {clock(happened_at)}"
    if completed_at := details.get("completed_at"):
        yield f"Reported completion time: {clock(completed_at)}"
    if crew_clock := details.get("crew_clock"):
        yield f"Time by the crew's clock: {clock(crew_clock)}"
    if crew_count := details.get("crew_count"):
        yield f"Bikes by the crew's count: {crew_count}"
    if event.kind in REPORTS:
        yield f"Entered by {isolated(event.actor)}"
