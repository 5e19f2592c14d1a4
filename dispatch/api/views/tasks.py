from collections.abc import Callable, Sequence
from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.mixins import RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from ... import exceptions, services
from ...models import Task, TaskEvent
from ...services import Report
from ...texts import printable
from ..authority import OWN_TASKS, authority_of
from ..pagination import AlwaysPaged
from ..schema import (
    BODY,
    CLAIMED,
    REASON,
    SUGGESTION_DECIDED,
    TASK,
    TASK_IN_FULL,
    changes_task,
    example,
    responses,
    warning_header,
)
from ..serializers.requests import (
    ApproveSerializer,
    CancelSerializer,
    HolderSerializer,
    PrioritySerializer,
    ReassignSerializer,
    ReleaseSerializer,
    ReportSerializer,
    valid,
)
from ..serializers.responses import EventSerializer, TaskInFullSerializer, TaskSerializer
from .task_list import visible_tasks

MOST_IN_HEADER = 500


def one_line(sentences: Sequence[str]) -> str:
    """Return printable text for a header, short enough for any proxy after encoding."""
    return printable(" ".join(sentences))[:MOST_IN_HEADER]


def with_warnings(task: Task, warnings: Sequence[str]) -> Response:
    response = Response(TaskSerializer(task).data)
    if warnings:
        response.headers["X-Warning"] = one_line(warnings)
    return response


@extend_schema_view(
    retrieve=extend_schema(
        operation_id="get_task",
        summary="One task",
        description="The task with all fields.",
        responses=responses(TaskInFullSerializer, 404, examples=[example(TASK_IN_FULL)]),
        tags=["tasks"],
    )
)
class TaskViewSet(RetrieveModelMixin, GenericViewSet[Task]):
    authority = {
        "retrieve": ["view_task", OWN_TASKS],
        "events": ["view_task", OWN_TASKS],
        "approve": ["approve_suggestion"],
        "complete": ["complete_task", OWN_TASKS],
        "release": ["release_task", OWN_TASKS],
        "extend": [OWN_TASKS],
        "reassign": ["reassign_task"],
        "cancel": ["cancel_task"],
        "priority": ["prioritize_task"],
    }
    queryset = Task.objects.all()
    serializer_class = TaskInFullSerializer
    lookup_url_kwarg = "task_id"
    lookup_value_converter = "row_id"

    def get_object(self) -> Task:
        task = visible_tasks(self.request).filter(pk=self.kwargs["task_id"]).first()
        if task is None:
            raise exceptions.NotFound(f"Task {self.kwargs['task_id']} not found.")
        return task

    @extend_schema(
        operation_id="approve_suggestion",
        summary="Approve a suggestion, which becomes a ready task",
        description=(
            "The suggestion is deleted, and the task keeps its id as `suggestion_id`. Repeating "
            "the request creates no second task."
        ),
        parameters=[
            warning_header(
                "An open task already makes the same move, or the stations cannot give or take "
                "that many bikes, are not in the feed, or lie in different areas or far apart; "
                "or a van does not take that many."
            )
        ],
        request=ApproveSerializer,
        responses=responses(
            TaskSerializer,
            404,
            409,
            *BODY,
            examples=[example(TASK)],
            _404=SUGGESTION_DECIDED,
            _409=(
                "The suggestion has expired, or `INVENTORY_GUARD=refuse` and the stations cannot "
                "give or take the bikes or are not in the feed; `detail` has the numbers."
            ),
        ),
        examples=[example({"suggestion_id": 123}, request_only=True)],
        tags=["tasks"],
    )
    @action(detail=False, methods=["post"])
    def approve(self, request: Request) -> Response:
        data = valid(ApproveSerializer, request.data)
        approval = services.approve_suggestion(
            data["suggestion_id"],
            actor=authority_of(request).actor,
            fit=data["as_much_as_fits"],
        )
        return with_warnings(approval.task, approval.warnings)

    @extend_schema(
        operation_id="complete_task",
        summary="Complete an assigned task",
        description=(
            "Without a body, the crew that holds the task has moved all bikes. Repeating the "
            "request changes nothing and returns the same response. A report from a former holder "
            "is refused but recorded for the dispatcher."
        ),
        parameters=[
            warning_header(
                "More bikes were reported than the task is about, or the reported time is not "
                "believable and the server's was recorded."
            )
        ],
        request=ReportSerializer,
        responses=responses(
            TaskSerializer,
            404,
            409,
            *BODY,
            examples=[example({**TASK, "status": "completed", "worker_id": "user_456"})],
            _404="Task not found.",
            _409="The task is ready or cancelled, or another crew holds or completed it.",
        ),
        examples=[
            example(
                {
                    "worker_id": "user_456",
                    "moved_qty": 3,
                    "note": "Two docks were broken",
                    "completed_at": "2024-01-15T11:05:00Z",
                },
                request_only=True,
            )
        ],
        tags=["tasks"],
    )
    @action(detail=True, methods=["post"])
    def complete(self, request: Request, task_id: int) -> Response:
        report = Report(**self.as_worker(ReportSerializer, unrestricted_with="complete_task"))
        task = services.complete_task(task_id, actor=authority_of(request).actor, report=report)
        return with_warnings(task, task.warnings)

    @changes_task(
        "extend_lease",
        "Renew the lease",
        "The crew is still working on the task: the claim lasts another `TASK_LEASE_MINUTES`.",
        request=HolderSerializer,
        body={"worker_id": "user_456"},
        answer=CLAIMED,
        _409="The task is not assigned, or is assigned to another crew.",
    )
    @action(detail=True, methods=["post"])
    def extend(self, request: Request, task_id: int) -> Response:
        data = self.as_worker(HolderSerializer, unrestricted_with=None)
        return self.change(services.extend_lease, task_id, data)

    @changes_task(
        "release_task",
        "Release a task to the queue",
        "The task is ready again, at its old place in the queue.",
        request=ReleaseSerializer,
        body={"worker_id": "user_456", "reason": "The van broke down"},
        answer=TASK_IN_FULL,
        _409="The task is not assigned, or is assigned to another crew.",
    )
    @action(detail=True, methods=["post"])
    def release(self, request: Request, task_id: int) -> Response:
        data = self.as_worker(ReleaseSerializer, unrestricted_with="release_task")
        return self.change(services.release_task, task_id, data)

    @changes_task(
        "reassign_task",
        "Reassign an open task to another crew",
        "The task is assigned to the crew, with a new attempt and lease.",
        request=ReassignSerializer,
        body={"worker_id": "user_456", **REASON},
        answer=CLAIMED,
        _409="The task has ended.",
    )
    @action(detail=True, methods=["post"])
    def reassign(self, request: Request, task_id: int) -> Response:
        data = valid(ReassignSerializer, request.data)
        return self.change(services.reassign_task, task_id, data)

    @changes_task(
        "cancel_task",
        "Cancel an open task",
        "A ready or assigned task ends without being carried out.",
        request=CancelSerializer,
        body=REASON,
        answer={**TASK_IN_FULL, "status": "cancelled", "cancelled_at": "2024-01-15T10:45:00Z"},
        _409="The task has already ended.",
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, task_id: int) -> Response:
        data = valid(CancelSerializer, request.data)
        return self.change(services.cancel_task, task_id, data)

    @changes_task(
        "prioritize_task",
        "Set an open task's priority",
        "Ready tasks with a higher priority are dispatched first.",
        request=PrioritySerializer,
        body={"priority": 50},
        answer={**TASK_IN_FULL, "priority": 50},
        _409="The task has ended.",
    )
    @action(detail=True, methods=["post"])
    def priority(self, request: Request, task_id: int) -> Response:
        data = valid(PrioritySerializer, request.data)
        return self.change(services.prioritize_task, task_id, data)

    def as_worker(
        self, serializer: type[HolderSerializer], *, unrestricted_with: str | None
    ) -> dict[str, Any]:
        """Return the valid body, with the worker that the caller may act for."""
        data = valid(serializer, self.request.data)
        worker_id = authority_of(self.request).resolve_worker(
            data["worker_id"], unrestricted_with=unrestricted_with
        )
        return {**data, "worker_id": worker_id}

    def change(
        self, operation: Callable[..., Task], task_id: int, data: dict[str, Any]
    ) -> Response:
        task = operation(task_id, actor=authority_of(self.request).actor, **data)
        return Response(TaskInFullSerializer(task).data)

    @extend_schema(
        operation_id="list_task_events",
        summary="A task's history, oldest first",
        description="The history remains after the task itself is pruned.",
        responses=responses(EventSerializer(many=True), 400, 404, _404="Task not found."),
        tags=["events"],
    )
    @action(detail=True, methods=["get"], pagination_class=AlwaysPaged)
    def events(self, request: Request, task_id: int) -> Response:
        if not authority_of(request).may("view_task"):
            self.get_object()
        events = TaskEvent.objects.filter(task_id=task_id).order_by("id")
        pages = AlwaysPaged()
        page: list[TaskEvent] = pages.paginate_queryset(events, request, self) or []
        if not page:
            self.get_object()
        return pages.get_paginated_response(EventSerializer(page, many=True).data)
