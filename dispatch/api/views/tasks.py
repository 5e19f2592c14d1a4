from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.mixins import RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from ... import exceptions, services
from ...models import Task, TaskEvent
from ...services import Report
from ..authority import OWN_TASKS, authority_of
from ..pagination import AlwaysPaged
from ..schema import (
    BODY,
    CLAIMED,
    REASON,
    SUGGESTION_DECIDED,
    TASK,
    TASK_IN_FULL,
    answers,
    changes_task,
    example,
)
from ..serializers.answers import EventSerializer, TaskInFullSerializer, TaskSerializer
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
from .task_list import visible_tasks

MOST_IN_HEADER = 500


def one_line(sentences: list[str]) -> str:
    """For a header: only what can be printed, and no more than a proxy takes, however encoded."""
    return "".join(each for each in " ".join(sentences) if each.isprintable())[:MOST_IN_HEADER]


@extend_schema_view(
    retrieve=extend_schema(
        summary="One task",
        responses=answers(TaskInFullSerializer, 404, examples=[example(TASK_IN_FULL)]),
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
        summary="Approve a suggestion: it becomes a ready task",
        parameters=[
            OpenApiParameter(
                "X-Warning",
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                response=[200],
                description=(
                    "What to know about it: an open task makes the same move already, or the "
                    "stations cannot give or take so many bikes."
                ),
            )
        ],
        request=ApproveSerializer,
        responses=answers(
            TaskSerializer,
            404,
            409,
            *BODY,
            examples=[example(TASK)],
            _404=SUGGESTION_DECIDED,
            _409=(
                "The suggestion has expired, or its bikes do not fit and `INVENTORY_GUARD` refuses "
                "that; `detail` says the numbers."
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
        response = Response(TaskSerializer(approval.task).data)
        if approval.warnings:
            response.headers["X-Warning"] = one_line(approval.warnings)
        return response

    @extend_schema(
        summary="Complete an assigned task",
        description=(
            "Without a body: whoever holds it has moved all bikes. Completing it again changes "
            "nothing and answers the same. A former holder is refused; the report is kept all the "
            "same, for the dispatcher to see."
        ),
        request=ReportSerializer,
        responses=answers(
            TaskSerializer,
            404,
            409,
            *BODY,
            examples=[example({**TASK, "status": "completed", "worker_id": "user_456"})],
            _404="Task not found.",
            _409="The task is ready or cancelled, or held or completed by another worker.",
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
        return Response(TaskSerializer(task).data)

    @changes_task(
        "Renew the lease: the holder's sign of life",
        HolderSerializer,
        {"worker_id": "user_456"},
        CLAIMED,
        _409="The task is not assigned, or to another worker.",
    )
    @action(detail=True, methods=["post"])
    def extend(self, request: Request, task_id: int) -> Response:
        data = self.as_worker(HolderSerializer, unrestricted_with=None)
        return self.changed(
            services.extend_lease(task_id, actor=authority_of(request).actor, **data)
        )

    @changes_task(
        "Give a task back to the queue",
        ReleaseSerializer,
        {"worker_id": "user_456", "reason": "The van broke down"},
        TASK_IN_FULL,
        _409="The task is not assigned, or to another worker.",
    )
    @action(detail=True, methods=["post"])
    def release(self, request: Request, task_id: int) -> Response:
        data = self.as_worker(ReleaseSerializer, unrestricted_with="release_task")
        return self.changed(
            services.release_task(task_id, actor=authority_of(request).actor, **data)
        )

    @changes_task(
        "Hand an open task to another worker",
        ReassignSerializer,
        {"worker_id": "user_456", **REASON},
        CLAIMED,
        _409="The task has ended.",
    )
    @action(detail=True, methods=["post"])
    def reassign(self, request: Request, task_id: int) -> Response:
        data = valid(ReassignSerializer, request.data)
        return self.changed(
            services.reassign_task(task_id, actor=authority_of(request).actor, **data)
        )

    @changes_task(
        "Take an open task off the plan",
        CancelSerializer,
        REASON,
        {**TASK_IN_FULL, "status": "cancelled", "cancelled_at": "2024-01-15T10:45:00Z"},
        _409="The task has ended already.",
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, task_id: int) -> Response:
        data = valid(CancelSerializer, request.data)
        return self.changed(
            services.cancel_task(task_id, actor=authority_of(request).actor, **data)
        )

    @changes_task(
        "Set an open task's priority",
        PrioritySerializer,
        {"priority": 50},
        {**TASK_IN_FULL, "priority": 50},
        _409="The task has ended.",
    )
    @action(detail=True, methods=["post"])
    def priority(self, request: Request, task_id: int) -> Response:
        data = valid(PrioritySerializer, request.data)
        return self.changed(
            services.prioritize_task(task_id, actor=authority_of(request).actor, **data)
        )

    def as_worker(
        self, serializer: type[HolderSerializer], *, unrestricted_with: str | None
    ) -> dict[str, Any]:
        """The request's body, with the worker that the caller may speak for."""
        data = valid(serializer, self.request.data)
        worker_id = authority_of(self.request).resolve_worker(
            data["worker_id"], unrestricted_with=unrestricted_with
        )
        return {**data, "worker_id": worker_id}

    def changed(self, task: Task) -> Response:
        return Response(TaskInFullSerializer(task).data)

    @extend_schema(
        summary="A task's history, oldest first",
        description="Kept also when the task itself was pruned.",
        responses=answers(EventSerializer(many=True), 400, 404, _404="Nothing is known of it."),
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
