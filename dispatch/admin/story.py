"""A task's events in words, for people."""

from collections.abc import Iterator

from ..models import EventKind, TaskEvent

HEADLINES = {
    EventKind.APPROVED: "{actor} approved suggestion {suggestion_id}{of_job}",
    EventKind.CREATED: "{actor} wrote this task by hand",
    EventKind.CLAIMED: "{worker} claimed it{which_attempt}",
    EventKind.EXTENDED: "{worker} gave a sign of life: the lease runs anew",
    EventKind.RELEASED: "{actor} released it from {worker}: back in the queue",
    EventKind.REASSIGNED: "{actor} gave it to {worker}{taken_from}{which_attempt}",
    EventKind.COMPLETED: "{worker} completed it: {moved} bikes moved",
    EventKind.CANCELLED: "{actor} cancelled it",
    EventKind.PRIORITIZED: "{actor} set its priority to {priority}, from {former_priority}",
    EventKind.LATE_REPORT: "{worker}, no longer its holder, reported it done: {moved} bikes moved",
}
REPORTS = (EventKind.COMPLETED, EventKind.LATE_REPORT)


def tell(event: TaskEvent) -> tuple[str, list[str]]:
    """What happened in one line, and what else there is to say about it."""
    former = event.details.get("former_worker_id")
    words = {
        "actor": event.actor,
        "worker": event.worker_id,
        "suggestion_id": event.suggestion_id,
        "of_job": f" of {event.source}" if event.source else "",
        "which_attempt": f", attempt {event.attempt}" if (event.attempt or 0) > 1 else "",
        "taken_from": f", taking it from {former}" if former else "",
        "moved": event.details.get("moved_qty", "all"),
        "priority": event.details.get("priority"),
        "former_priority": event.details.get("former_priority"),
    }
    headline = HEADLINES.get(EventKind(event.kind), "{actor}: " + event.kind)
    return headline.format_map(words), [*afterwords(event)]


def afterwords(event: TaskEvent) -> Iterator[str]:
    details = event.details
    yield from details.get("warnings", [])
    if reason := details.get("reason"):
        yield f"Reason: {reason}"
    if note := details.get("note"):
        yield f"Note: {note}"
    if completed_at := details.get("completed_at"):
        yield f"Done at {completed_at}, as reported"
    if event.kind in REPORTS:
        yield f"Entered by {event.actor}"
