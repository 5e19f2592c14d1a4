"""The reasons why crews no longer hold a task, derived from its history."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ..models import EventKind, TaskEvent
from ..models.events import CLAIMS


class End(StrEnum):
    REASSIGNED = "reassigned"
    CANCELLED = "cancelled"
    # Given back, or the lease ended.
    RELEASED = "released"
    DONE = "done"
    DONE_BY_OTHER = "done_by_other"


KINDS = [*CLAIMS, EventKind.RELEASED, EventKind.COMPLETED, EventKind.CANCELLED]
ENDS = {
    EventKind.RELEASED: End.RELEASED,
    EventKind.REASSIGNED: End.REASSIGNED,
    EventKind.COMPLETED: End.DONE_BY_OTHER,
    EventKind.CANCELLED: End.CANCELLED,
}


@dataclass(frozen=True)
class Ending:
    """`claim`: how the crew got the task. `worker_id`: the crew that has it now or completed it."""

    claim: TaskEvent
    code: End
    at: datetime
    worker_id: str | None
    reason: str


def read_endings(
    task_ids: Iterable[int], worker_id: str, attempt: int | None = None
) -> dict[int, Ending | None]:
    """The ending of each of these tasks that the crew once held. None: it holds the task still.

    `attempt`: of this claim, even if the crew has claimed the task again since. None: of the last.
    """
    histories: dict[int | None, list[TaskEvent]] = defaultdict(list)
    events = TaskEvent.objects.filter(task_id__in=list(task_ids), kind__in=KINDS)
    for event in events.order_by("id"):
        histories[event.task_id].append(event)
    found = ((pk, since_claim(events, worker_id, attempt)) for pk, events in histories.items())
    return {pk: ending_of(*events) for pk, events in found if pk and events}


def since_claim(
    events: Sequence[TaskEvent], worker_id: str, attempt: int | None
) -> Sequence[TaskEvent]:
    """The crew's last claim, and the events after it. Empty: it never held the task."""
    for number, event in reversed([*enumerate(events)]):
        is_own = event.kind in CLAIMS and event.worker_id == worker_id
        if is_own and attempt in (None, event.attempt):
            return events[number:]
    return []


def ending_of(claim: TaskEvent, *later: TaskEvent) -> Ending | None:
    """The end of the task, if it has ended; else the first event after the claim."""
    if not later:
        return None
    has_ended = later[-1].kind in (EventKind.COMPLETED, EventKind.CANCELLED)
    end = later[-1] if has_ended else later[0]
    code = ENDS[EventKind(end.kind)]
    if code == End.DONE_BY_OTHER and end.worker_id == claim.worker_id:
        code = End.DONE
    other = end.worker_id if code in (End.REASSIGNED, End.DONE_BY_OTHER) else None
    return Ending(claim, code, end.at, other, end.details.get("reason") or "")
