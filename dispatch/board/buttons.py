"""The console's operations, limited to those the user may run."""

from collections.abc import Iterable
from typing import cast

from django.contrib import admin
from django.http import HttpRequest

from ..admin.operations import Operation, OperationsAdmin
from ..models import Suggestion, Task
from ..overview.moves import OpenTask

Buttons = list[tuple[Operation, str]]


def operations_on(model: type[Suggestion] | type[Task]) -> OperationsAdmin:
    return cast(OperationsAdmin, admin.site.get_model_admin(model))


def allowed_on_suggestions(request: HttpRequest) -> set[str]:
    """Names of the operations that the user may run on suggestions."""
    return {operation.name for operation in operations_on(Suggestion).offered(request)}


def with_buttons(request: HttpRequest, tasks: Iterable[OpenTask]) -> list[tuple[OpenTask, Buttons]]:
    """Each task with the operations possible now and the addresses they post to."""
    task_admin = operations_on(Task)
    offered, list_url = task_admin.offered(request), task_admin.list_url()
    return [
        (
            each,
            [
                (operation, list_url + task_admin.button_path(operation, each.task))
                for operation in offered
                if operation.possible(each.task)
            ],
        )
        for each in tasks
    ]
