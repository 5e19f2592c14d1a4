"""The operations that give tasks to a crew."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import pluralize
from django.utils.html import format_html

from .. import services
from ..exceptions import Conflict
from ..models import WORKER_ID_LENGTH, Crew, Task, TaskStatus
from ..overview.fit_checks import warn_together
from ..overview.roster import misfits
from ..texts import isolated, printable
from .assign_forms import ApproveAndAssignForm, AssignForm, ReassignForm
from .operations import Operation, board_url, from_board, posted_ids
from .routes import crew_day_url, link_to

if TYPE_CHECKING:
    from .operations import OperationsAdmin


def is_assigned(task: Task) -> bool:
    return task.status == TaskStatus.ASSIGNED


def is_ready(task: Task) -> bool:
    return task.status == TaskStatus.READY


def misfits_of_holder(task: Task) -> list[str]:
    crew = Crew.objects.filter(worker_id=task.worker_id).first()
    return list(misfits(crew, task)) if crew else []


assignment = partial(
    Operation,
    permission="reassign",
    run=services.reassign_task,
    claim_bound=True,
    warnings=misfits_of_holder,
)
ASSIGN = assignment(
    name="assign",
    label="Assign",
    done="assigned",
    form=AssignForm,
    question="Assign {rows} to a crew",
    possible=is_ready,
)
REASSIGN = assignment(
    name="reassign",
    label="Reassign",
    done="reassigned",
    form=ReassignForm,
    question="Reassign {rows} to another crew",
    possible=is_assigned,
)


# Approve and assign


def assigned_note(result: services.Assignment) -> str:
    task = result.task
    bikes = f"{task.qty} bike{pluralize(task.qty)}"
    if result.refusal:
        return format_html("{} ({}), not assigned", link_to(task), bikes)
    return format_html("{} ({}) for <bdi>{}</bdi>", link_to(task), bikes, task.worker_id)


def assignment_warnings(result: services.Assignment) -> list[str]:
    refused = [result.refusal] if result.refusal else []
    return [*refused, *result.warnings, *misfits_of_holder(result.task)]


APPROVE_AND_ASSIGN = Operation(
    name="assign",
    label="Approve and assign",
    done="approved",
    permission="approve reassign_task",
    run=services.approve_and_assign,
    form=ApproveAndAssignForm,
    question="Approve {rows} and assign {them} to a crew",
    cautions=warn_together,
    note=assigned_note,
    warnings=assignment_warnings,
)


# All tasks of a crew


def give(task_id: int, worker_id: str, *, former: str, actor: str, reason: str) -> Task:
    """Reassign a task of `former`. Conflict: it does not hold the task any more."""
    held = Task.objects.assigned().filter(pk=task_id, worker_id=former)
    attempt = held.values_list("attempt", flat=True).first()
    if attempt is None:
        raise Conflict(f"Task {task_id} is not held by {former} any more.")
    return services.reassign_task(task_id, worker_id, actor=actor, reason=reason, attempt=attempt)


HAND_OVER = replace(
    REASSIGN,
    name="hand_over",
    label="Give",
    done="given",
    note=lambda task: format_html("<bdi>{}</bdi>", task.worker_id),
    joint=" to ",
    claim_bound=False,
)


def hand_over_of(former: str) -> Operation:
    crew = isolated(former).replace("{", "{{").replace("}", "}}")
    question = f"Give {{rows}} of {crew} to another crew"
    return replace(HAND_OVER, run=partial(give, former=former), question=question)


def hand_over_view(tasks: "OperationsAdmin", request: HttpRequest) -> HttpResponse:
    """Give the open tasks of the crew `worker` to another one, in the order it got them."""
    former = printable(request.GET.get("worker", ""))[:WORKER_ID_LENGTH]
    if request.method == "POST":
        operation = hand_over_of(former)
        if not tasks.may(request, operation):
            raise PermissionDenied
        if page := hand_over(tasks, request, operation, former):
            return page
    return redirect(board_url(request) if from_board(request) else crew_day_url(former))


def hand_over(
    tasks: "OperationsAdmin", request: HttpRequest, operation: Operation, former: str
) -> HttpResponse | None:
    held: list[Any] = list(
        Task.objects.assigned()
        .filter(worker_id=former)
        .order_by("assigned_at", "id")
        .values_list("pk", flat=True)
    )
    if "confirmed" in request.POST:
        # Those that the dispatcher saw; the crew may have ended or claimed others since.
        shown = posted_ids(request)
        held = [pk for pk in held if pk in shown] + sorted(shown - set(held))
    if not held:
        text = f"Crew {isolated(former)} holds no task."
        tasks.message_user(request, text, messages.WARNING)
        return None
    return tasks.operate(request, operation, held)
