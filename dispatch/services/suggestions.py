"""Suggestions: locking them, and the decisions on them other than approval."""

from collections.abc import Sequence

from django.db import transaction

from ..exceptions import NotFound, Refusal
from ..models import EventKind, RejectionCode, Suggestion, TaskEvent
from .doubts import doubts_about
from .events import record_suggestion
from .rows import SUGGESTION_COLUMNS, run, suggestion_from

DECIDED = [EventKind.APPROVED, EventKind.REJECTED, EventKind.EXPIRED, EventKind.UNDONE]
LOCK = """
    SELECT {columns}, clock_timestamp() FROM suggestions
    WHERE id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE
"""


def lock_suggestions(ids: Sequence[int]) -> dict[int, Suggestion]:
    """Lock suggestions in id order. Those found come with `now`, the database's clock."""
    [rows] = run((LOCK.format(columns=", ".join(SUGGESTION_COLUMNS)), [ids]))
    suggestions = {}
    for *values, now in rows:
        suggestion = suggestion_from(values)
        suggestion.now = now
        suggestions[suggestion.pk] = suggestion
    return suggestions


def lock_suggestion(suggestion_id: int) -> Suggestion:
    """Lock a suggestion. The message of NotFound names the decision on it."""
    if found := lock_suggestions([suggestion_id]):
        return found[suggestion_id]
    raise NotFound(decision_on([suggestion_id])[suggestion_id])


def decision_on(ids: Sequence[int]) -> dict[int, str]:
    """A sentence about each of these missing suggestions: the last decision on it, if any."""
    if not ids:
        return {}
    decisions = TaskEvent.objects.filter(suggestion_id__in=ids, kind__in=DECIDED)
    last = {decision.suggestion_id: decision for decision in decisions.order_by("id")}
    return {
        suggestion_id: describe_decision(suggestion_id, last.get(suggestion_id))
        for suggestion_id in ids
    }


def describe_decision(suggestion_id: int, decision: TaskEvent | None) -> str:
    if decision is None:
        return f"Suggestion {suggestion_id} not found."
    match decision.kind:
        case EventKind.APPROVED:
            return (
                f"Suggestion {suggestion_id} was already approved as task {decision.task_id}"
                f" by {decision.actor}."
            )
        case EventKind.REJECTED:
            return f"Suggestion {suggestion_id} was already rejected by {decision.actor}."
        case EventKind.UNDONE:
            return describe_undo(decision)
        case _:
            return f"Suggestion {suggestion_id} expired and was removed."


def describe_undo(undo: TaskEvent) -> str:
    decision = "approval" if undo.task_id else "rejection"
    return (
        f"The {decision} of suggestion {undo.suggestion_id} was undone by {undo.actor}."
        f" It is suggestion {undo.details['new_suggestion_id']} now."
    )


@transaction.atomic(durable=True)
def reject_suggestion(
    suggestion_id: int, *, actor: str, reason: str = "", code: str = RejectionCode.OTHER
) -> TaskEvent:
    """Remove a suggestion. The event keeps it for the job that proposed it, and for an undo.

    Without a `reason`, the code's label is the reason. Refusal: "other" without a reason.
    """
    if code == RejectionCode.OTHER and not reason:
        raise Refusal("Rejecting needs a reason, or a code other than 'other'.")
    suggestion = lock_suggestion(suggestion_id)
    event = record_suggestion(
        EventKind.REJECTED,
        suggestion,
        actor,
        code=code,
        rejection=reason or RejectionCode(code).label,
        priority=suggestion.priority,
        suggested_at=suggestion.created_at.isoformat(),
        expires_at=suggestion.expires_at and suggestion.expires_at.isoformat(),
    )
    suggestion.delete()
    return event


@transaction.atomic(durable=True)
def prioritize_suggestion(
    suggestion_id: int, *, actor: str, priority: int | None = None, by: int = 0
) -> Suggestion:
    """Set the priority, or shift it by `by`. It is kept within its range."""
    suggestion = lock_suggestion(suggestion_id)
    former, suggestion.priority = suggestion.priority, suggestion.shifted_priority(priority, by)
    suggestion.changed = suggestion.priority != former
    if suggestion.changed:
        suggestion.save(update_fields=["priority"])
        record_suggestion(
            EventKind.PRIORITIZED,
            suggestion,
            actor,
            former_priority=former,
            priority=suggestion.priority,
        )
    return suggestion


@transaction.atomic
def create_suggestion(suggestion: Suggestion, *, actor: str) -> Suggestion:
    """Save a suggestion that a dispatcher wrote.

    UnknownStations: no feed has listed one of its stations, and UNKNOWN_STATIONS is "refuse".
    Refusal: a move leads from one system to another.
    Not durable, because the console's form has a transaction of its own.
    """
    doubts = doubts_about(suggestion)
    doubts.refuse_unknown_stations()
    suggestion.warnings = [doubts.warning] if doubts.warning else []
    suggestion.save(force_insert=True)
    record_suggestion(EventKind.SUGGESTED, suggestion, actor)
    return suggestion
