"""The console's operations, for who may do them."""

from collections.abc import Iterable
from typing import cast

from django.contrib import admin
from django.http import HttpRequest

from ..admin.operations import Operation, OperationsAdmin
from ..models import Suggestion, Task
from .moves import Job

Buttons = list[tuple[Operation, str]]


def operations_on(model: type[Suggestion] | type[Task]) -> OperationsAdmin:
    return cast(OperationsAdmin, admin.site.get_model_admin(model))


def may(request: HttpRequest) -> set[str]:
    """The names of what the user may do with suggestions."""
    return {operation.name for operation in operations_on(Suggestion).offered(request)}


def with_buttons(request: HttpRequest, jobs: Iterable[Job]) -> list[tuple[Job, Buttons]]:
    """Each with what the user may do with it now, and where that is posted to."""
    tasks = operations_on(Task)
    offered, address = tasks.offered(request), tasks.list_url()
    return [
        (
            job,
            [
                (operation, address + tasks.button_path(operation, job.task))
                for operation in offered
                if operation.possible(job.task)
            ],
        )
        for job in jobs
    ]
