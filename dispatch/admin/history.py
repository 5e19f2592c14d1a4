"""A task's events in words."""

from collections.abc import Iterator

from django.template.defaultfilters import pluralize

from ..models import EventKind, TaskEvent
from ..texts import isolated

SUMMARIES = {
    EventKind.APPROVED: "{actor} approved suggestion {suggestion_id}{from_source}",
    EventKind.CREATED: "{actor} created this task manually",
    EventKind.CLAIMED: "{worker} claimed the task{attempt}",
    EventKind.EXTENDED: "{worker} renewed the lease",
    EventKind.RELEASED: "{actor} released the task from {worker}; it is ready again",
    EventKind.REASSIGNED: "{actor} assigned the task to {worker}{former_worker}{attempt}",
    EventKind.COMPLETED: "{worker} completed the task: {moved} moved",
    EventKind.CANCELLED: "{actor} cancelled the task",
    EventKind.UNDONE: "{actor} undid the approval; the suggestion is {new_suggestion_id} now",
    EventKind.PRIORITIZED: "{actor} changed the priority from {former_priority} to {priority}",
    EventKind.LATE_REPORT: ("{worker} reported the task completed after losing it: {moved} moved"),
}
REPORTS = (EventKind.COMPLETED, EventKind.LATE_REPORT)


def describe_event(event: TaskEvent) -> tuple[str, list[str]]:
    """A one-line summary, and further details as lines of their own."""
    former = event.details.get("former_worker_id")
    words = {
        "actor": isolated(event.actor),
        "worker": isolated(event.worker_id or ""),
        "suggestion_id": event.suggestion_id,
        "from_source": f" (from {isolated(event.source)})" if event.source else "",
        "attempt": f" (attempt {event.attempt})" if (event.attempt or 0) > 1 else "",
        "former_worker": f" instead of {isolated(former)}" if former else "",
        "moved": bikes(event.details.get("moved_qty")),
        "priority": event.details.get("priority"),
        "new_suggestion_id": event.details.get("new_suggestion_id"),
        "former_priority": event.details.get("former_priority"),
    }
    summary = SUMMARIES.get(EventKind(event.kind), "{actor}: " + event.kind)
    return summary.format_map(words), [*event_details(event)]


def bikes(moved_qty: int | None) -> str:
    if moved_qty is None:
        return "all bikes"
    return f"{moved_qty} bike{pluralize(moved_qty)}"


def event_details(event: TaskEvent) -> Iterator[str]:
    details = event.details
    yield from details.get("warnings", [])
    if reason := details.get("reason"):
        yield f"Reason: {isolated(reason)}"
    if note := details.get("note"):
        yield f"Note: {isolated(note)}"
    if completed_at := details.get("completed_at"):
        yield f"Reported completion time: {completed_at}"
    if crew_clock := details.get("crew_clock"):
        yield f"Time by the crew's clock: {crew_clock}"
    if crew_count := details.get("crew_count"):
        yield f"Bikes by the crew's count: {crew_count}"
    if event.kind in REPORTS:
        yield f"Entered by {isolated(event.actor)}"
