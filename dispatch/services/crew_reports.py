"""Reports of crews' phones about their tasks.

A phone repeats a report until it has read the answer, even days later. So the answer is
stored with the report's id, in the transaction that applies it.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.template.defaultfilters import pluralize
from django.utils.timezone import localtime

from ..exceptions import IdempotencyKeyReused, NotFound
from ..models import Crew, CrewReport, EventKind, Problem, ReportKind, Task
from .claims import release_or_refuse
from .endings import End, Ending, read_endings
from .events import task_event
from .locks import advisory_lock, holder_refusal, lock_task
from .reported import Report, ReportedTime, believe_age
from .tasks import complete_or_refuse, record_late_report

Answer = dict[str, Any]


@dataclass(frozen=True)
class PhoneReport:
    """`age`: seconds between the tap and the sending, by the phone's clock; `tapped_at`: the time
    of the tap by that clock. None: unknown. `moved_qty` None: all bikes were moved."""

    id: UUID
    kind: ReportKind
    task_id: int
    attempt: int
    age: float | None = None
    tapped_at: str | None = None
    moved_qty: int | None = None
    note: str = ""
    problems: Sequence[Problem] = ()
    reason: str = ""

    @property
    def why(self) -> str:
        """Why the crew gives the task back."""
        labels = ", ".join(Problem(problem).label for problem in self.problems)
        return self.reason or self.note or labels or "No reason was given."

    def digest(self, worker_id: str) -> str:
        """Without the age: it grows until the phone can send."""
        values = [self.kind, self.task_id, self.attempt, self.moved_qty, self.note, self.reason]
        text = json.dumps([worker_id, *values, *self.problems])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Sender:
    worker_id: str
    device_id: int | None

    @property
    def actor(self) -> str:
        return Crew(worker_id=self.worker_id).actor


@transaction.atomic(durable=True)
def apply_crew_report(report: PhoneReport, *, worker_id: str, device_id: int | None) -> Answer:
    """Apply a report once, and return its answer; for a repeated report, the first one's answer.

    `code` in the answer: `done`, `given_back`, `problem_noted`; if the crew no longer holds the
    task in this attempt, an `End` or `already_done`; `unknown_task` if it never did. `kept`: the
    refused report is in the task's history.
    IdempotencyKeyReused: the id came with other values, or from another crew.
    """
    advisory_lock(f"crew report {report.id}")
    digest = report.digest(worker_id)
    if earlier := CrewReport.objects.filter(pk=report.id).first():
        if earlier.digest != digest:
            raise IdempotencyKeyReused("This id was used for another report.")
        first: Answer = earlier.answer
        return first
    answer = {"id": str(report.id), **settle(report, Sender(worker_id, device_id))}
    CrewReport(
        id=report.id,
        worker_id=worker_id,
        device_id=device_id,
        task_id=report.task_id,
        kind=report.kind,
        digest=digest,
        answer=answer,
    ).save(force_insert=True)
    return answer


def settle(report: PhoneReport, sender: Sender) -> Answer:
    try:
        task = lock_task(report.task_id)
    except NotFound:
        return unknown(report)
    if answer := APPLY[report.kind](task, report, sender):
        return answer
    endings = read_endings([task.pk], sender.worker_id, report.attempt)
    ending = endings.get(task.pk)
    if ending is None:
        return unknown(report)
    return refused(task, ending, kept=keep(task, report, sender, ending))


def complete(task: Task, report: PhoneReport, sender: Sender) -> Answer | None:
    completion = completion_of(report, sender)
    if complete_or_refuse(task, completion, sender.actor, report.attempt):
        return None
    if not task.changed:
        keep_words(task, report, sender, task.assigned_at)
    moved = f"{task.moved_qty} bike{pluralize(task.moved_qty)} moved"
    detail = " ".join([f"Task {task.pk} is completed: {moved}.", *task.warnings])
    return {"code": "done", "detail": detail, "moved_qty": task.moved_qty}


def give_back(task: Task, report: PhoneReport, sender: Sender) -> Answer | None:
    details = {**details_of(report, sender, task.assigned_at, task.now), "reason": report.why}
    if release_or_refuse(task, sender.actor, sender.worker_id, report.attempt, **details):
        return None
    return {"code": "given_back", "detail": f"Task {task.pk} is back in the queue."}


def note_problem(task: Task, report: PhoneReport, sender: Sender) -> Answer | None:
    if holder_refusal(task, sender.worker_id, report.attempt):
        return None
    record_problem(task, report, sender, task.assigned_at)
    return {"code": "problem_noted", "detail": f"The problem with task {task.pk} is noted."}


APPLY = {
    ReportKind.DONE: complete,
    ReportKind.GIVE_BACK: give_back,
    ReportKind.PROBLEM: note_problem,
}


def keep(task: Task, report: PhoneReport, sender: Sender, ending: Ending) -> bool:
    """Record the report of a former holder. False: it says nothing that matters any more."""
    if report.kind == ReportKind.DONE:
        completion = completion_of(report, sender)
        if not record_late_report(task, ending.claim, completion, sender.actor):
            keep_words(task, report, sender, ending.claim.at)
        return True
    if report.kind == ReportKind.GIVE_BACK and ending.code in (End.RELEASED, End.DONE):
        return False
    details = {"reason": report.why} if report.kind == ReportKind.GIVE_BACK else {}
    record_problem(task, report, sender, ending.claim.at, **details)
    return True


def keep_words(
    task: Task, report: PhoneReport, sender: Sender, claimed_at: datetime | None
) -> None:
    """Record the note and the problems of a second report that a task is done.

    The first one's count stands: another phone of the crew, or a dispatcher, was faster.
    """
    if report.note or report.problems:
        record_problem(task, report, sender, claimed_at)


def record_problem(
    task: Task, report: PhoneReport, sender: Sender, claimed_at: datetime | None, **details: Any
) -> None:
    details = {**details_of(report, sender, claimed_at, task.now), **details}
    event = task_event(EventKind.PROBLEM, task, sender.actor, worker_id=sender.worker_id, **details)
    event.attempt = report.attempt
    event.save(force_insert=True)


def completion_of(report: PhoneReport, sender: Sender) -> Report:
    return Report(
        worker_id=sender.worker_id,
        moved_qty=report.moved_qty,
        note=report.note,
        age=report.age,
        details=said_by_phone(report, sender),
    )


def details_of(
    report: PhoneReport, sender: Sender, claimed_at: datetime | None, now: datetime
) -> dict[str, Any]:
    """The details of a problem's event, or of a release."""
    tapped = ReportedTime() if report.age is None else believe_age(report.age, claimed_at, now)
    details = {
        **said_by_phone(report, sender),
        "problems": list(report.problems),
        "note": report.note or None,
        "happened_at": tapped.at and tapped.at.isoformat(),
        "time_corrected": tapped.corrected or None,
    }
    return {name: value for name, value in details.items() if value is not None}


def said_by_phone(report: PhoneReport, sender: Sender) -> dict[str, Any]:
    details = {
        "report": str(report.id),
        "device": sender.device_id,
        "age": report.age,
        "tapped_at": report.tapped_at,
        "problems": list(report.problems) or None,
    }
    return {name: value for name, value in details.items() if value is not None}


def unknown(report: PhoneReport) -> Answer:
    """The same for a task of another crew as for one that does not exist."""
    return {"code": "unknown_task", "detail": f"Task {report.task_id} is not known to this crew."}


def refused(task: Task, ending: Ending, *, kept: bool) -> Answer:
    sentence = SENTENCES[ending.code].format(crew=ending.worker_id, at=localtime(ending.at))
    detail = f"Task {task.pk} {sentence}{'; the report was kept' if kept else ''}."
    code = "already_done" if ending.code == End.DONE else ending.code.value
    at = ending.at.isoformat()
    return {"code": code, "detail": detail, "worker_id": ending.worker_id, "at": at, "kept": kept}


SENTENCES = {
    End.REASSIGNED: "was reassigned to {crew} at {at:%H:%M}",
    End.CANCELLED: "was cancelled at {at:%H:%M}",
    End.RELEASED: "was released at {at:%H:%M}",
    End.DONE: "was completed by this crew at {at:%H:%M}",
    End.DONE_BY_OTHER: "was completed by {crew} at {at:%H:%M}",
}
