"""The messages between dispatchers and crews' phones about tasks, derived from the events."""

from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..models import ANSWERS, EventKind, Problem, Task, TaskEvent, TaskStatus

KINDS = [EventKind.PROBLEM, EventKind.SEEN, EventKind.LATE_REPORT, *ANSWERS]


@dataclass(frozen=True)
class ReportedProblem:
    """`at`: when it happened. `labels`: the problems in words. `note`: what the crew wrote."""

    at: datetime
    worker_id: str
    labels: list[str]
    note: str

    @property
    def text(self) -> str:
        return ", ".join(self.labels) or "Problem"


@dataclass(frozen=True)
class SentMessage:
    """`seen_at`: the time at which the phone of the task's crew had shown it. None: not yet."""

    text: str
    at: datetime
    actor: str
    seen_at: datetime | None


@dataclass(frozen=True)
class LateReport:
    """A former crew's report that the task is done. `bikes` None: all of them."""

    at: datetime
    worker_id: str
    bikes: int | None


@dataclass(frozen=True)
class Exchange:
    """`problems`: those that no dispatcher has answered. `message`: the last one.

    `late_reports`: while the task is open, its bikes may be moved a second time.

    `unseen_since`: the time of a dispatcher's assignment that the crew's phone has not shown yet.
    None: the phone has shown it, the crew claimed the task, or it has no phone.
    """

    problems: Sequence[ReportedProblem] = ()
    late_reports: Sequence[LateReport] = ()
    message: SentMessage | None = None
    unseen_since: datetime | None = None
    has_phone: bool = False


NOTHING_SAID = Exchange()


def read_exchanges(tasks: Sequence[Task], phones: Set[str]) -> dict[int, Exchange]:
    """The exchange of each open task, by its id. `phones`: the crews with a phone."""
    events: dict[int | None, list[TaskEvent]] = defaultdict(list)
    ids = [task.pk for task in tasks]
    for event in TaskEvent.objects.filter(task_id__in=ids, kind__in=KINDS).order_by("id"):
        events[event.task_id].append(event)
    return {task.pk: exchange_of(task, events[task.pk], phones) for task in tasks}


def exchange_of(task: Task, events: Sequence[TaskEvent], phones: Set[str]) -> Exchange:
    """`events`: the task's own, of KINDS, in order."""
    seen = [e for e in events if e.kind == EventKind.SEEN and e.attempt == task.attempt]
    has_phone = task.worker_id in phones
    return Exchange(
        open_problems(events),
        late_reports(events),
        last_message(task, events, seen),
        task.assigned_at if has_phone and not seen and is_assigned_to_it(task, events) else None,
        has_phone,
    )


def open_problems(events: Sequence[TaskEvent]) -> list[ReportedProblem]:
    """As `TaskEventQuerySet.open_problems` finds them."""
    found: list[ReportedProblem] = []
    for event in events:
        if event.kind in ANSWERS:
            found = []
        if has_problem(event):
            found.append(problem_of(event))
    return found


def late_reports(events: Sequence[TaskEvent]) -> list[LateReport]:
    return [
        LateReport(event.at, event.worker_id or "", event.details.get("moved_qty"))
        for event in events
        if event.kind == EventKind.LATE_REPORT
    ]


def has_problem(event: TaskEvent) -> bool:
    """As `TaskEventQuerySet.with_problems` finds them."""
    return event.kind == EventKind.PROBLEM or bool(event.details.get("problems"))


def problem_of(event: TaskEvent) -> ReportedProblem:
    details = event.details
    happened_at = details.get("happened_at")
    return ReportedProblem(
        datetime.fromisoformat(happened_at) if happened_at else event.at,
        event.worker_id or "",
        problem_labels(details),
        details.get("note") or "",
    )


def problem_labels(details: dict[str, Any]) -> list[str]:
    labels = dict(Problem.choices)
    return [str(labels.get(code, code)) for code in details.get("problems") or []]


def last_message(
    task: Task, events: Sequence[TaskEvent], seen: Sequence[TaskEvent]
) -> SentMessage | None:
    """The last one for the task's present crew, or for the next one."""
    sent = [event for event in events if event.kind == EventKind.MESSAGE and is_for(event, task)]
    if not sent:
        return None
    last = sent[-1]
    shown = (e.at for e in seen if (e.details.get("message_id") or 0) >= last.pk)
    return SentMessage(last.details.get("text", ""), last.at, last.actor, next(shown, None))


def is_for(message: TaskEvent, task: Task) -> bool:
    """Messages to a former crew are not for the present one."""
    to_holder = task.worker_id and message.attempt == task.attempt
    return not message.worker_id or bool(to_holder)


def is_assigned_to_it(task: Task, events: Sequence[TaskEvent]) -> bool:
    """True if a dispatcher assigned the task to its present crew."""
    return task.status == TaskStatus.ASSIGNED and any(
        event.kind == EventKind.REASSIGNED and event.attempt == task.attempt for event in events
    )
