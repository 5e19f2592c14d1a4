"""Approve a suggestion and assign its task to a crew."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import OperationalError

from ..exceptions import Refusal
from ..models import Task
from .approvals import approve_suggestion
from .claims import reassign_task


@dataclass(frozen=True)
class Assignment:
    """An approved task. `refusal`: a sentence if it was not assigned; then the task is ready, or
    a crew has claimed it meanwhile."""

    task: Task
    warnings: Sequence[str]
    refusal: str = ""


def approve_and_assign(
    suggestion_id: int, worker_id: str, *, actor: str, reason: str = "", fit: bool = False
) -> Assignment:
    """Approve as `approve_suggestion` does, then assign. These are two transactions: the approval
    remains if the assignment fails.
    """
    approval = approve_suggestion(suggestion_id, actor=actor, fit=fit)
    ready = approval.task
    try:
        task = reassign_task(ready.pk, worker_id, actor=actor, reason=reason, attempt=ready.attempt)
    except Refusal as refusal:
        why = str(refusal)
    except OperationalError:
        why = "The database did not respond. Check whether it was assigned."
    else:
        return Assignment(task, approval.warnings)
    refused = f"Task {ready.pk} was approved, but not assigned to {worker_id}: {why}"
    return Assignment(ready, approval.warnings, refused)
