from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from drf_spectacular.views import SpectacularRedocView
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from .. import services
from ..models import Suggestion, Task
from .authentication import actor_of
from .errors import NoTaskReady
from .pagination import LinkCursorPagination
from .schema import BODY, SUGGESTION, TASK, answers, example
from .serializers import (
    ApproveSerializer,
    ClaimSerializer,
    HealthSerializer,
    SuggestionSerializer,
    TaskSerializer,
)


def valid(serializer: BaseSerializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data
    return data


class PublicView(APIView):
    """Answers whoever asks, also with `API_AUTH=required`."""

    authentication_classes = []
    permission_classes = [AllowAny]


class HealthView(PublicView):
    @extend_schema(
        summary="Health check",
        description="Answers whoever asks, and without the database.",
        responses={200: HealthSerializer},
        examples=[example({"message": settings.API_TITLE})],
        tags=["health"],
    )
    def get(self, request: Request) -> Response:
        return Response({"message": settings.API_TITLE})


@extend_schema(exclude=True)
class ReadinessView(PublicView):
    """For balancers: 503 while the database does not answer."""

    def get(self, request: Request) -> Response:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return Response({"message": "ready"})


class RedocView(SpectacularRedocView):
    # Redoc fills a style element that it inserts empty, and has one of its own (for its scroll
    # bar): both by their hashes. Its search runs in a worker.
    POLICY = (
        "default-src 'self'; img-src 'self' data:; worker-src blob:; style-src 'self' "
        "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' "
        "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
    )

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {**super().default_response_headers, "Content-Security-Policy": self.POLICY}


@extend_schema_view(
    list=extend_schema(
        summary="Open suggestions",
        description="All of them in id order, or page by page with `limit` and `cursor`.",
        responses=answers(SuggestionSerializer(many=True), 400, examples=[example(SUGGESTION)]),
        tags=["suggestions"],
    )
)
class SuggestionViewSet(ListModelMixin, GenericViewSet[Suggestion]):
    queryset = Suggestion.objects.order_by("id")
    serializer_class = SuggestionSerializer
    pagination_class = LinkCursorPagination

    def get_queryset(self) -> QuerySet[Suggestion]:
        return super().get_queryset().only(*SuggestionSerializer.Meta.fields)


class TaskViewSet(GenericViewSet[Task]):
    queryset = Task.objects.all()
    serializer_class = TaskSerializer
    lookup_url_kwarg = "task_id"
    lookup_value_converter = "int"

    @extend_schema(
        summary="Approve a suggestion: it becomes a ready task",
        request=ApproveSerializer,
        responses=answers(
            TaskSerializer,
            404,
            *BODY,
            examples=[example(TASK)],
            _404="Suggestion not found; if it was decided already, `detail` says how.",
        ),
        examples=[example({"suggestion_id": 123}, request_only=True)],
        tags=["tasks"],
    )
    @action(detail=False, methods=["post"])
    def approve(self, request: Request) -> Response:
        data = valid(ApproveSerializer(data=request.data))
        task = services.approve_suggestion(data["suggestion_id"], actor=actor_of(request))
        return Response(TaskSerializer(task).data)

    @extend_schema(
        summary="Complete an assigned task",
        description="Completing it again changes nothing and answers the same.",
        request=None,
        responses=answers(
            TaskSerializer,
            404,
            409,
            *BODY,
            examples=[example({**TASK, "status": "completed", "worker_id": "user_456"})],
            _404="Task not found.",
            _409="The task is ready or cancelled, so nobody can have completed it.",
        ),
        tags=["tasks"],
    )
    @action(detail=True, methods=["post"])
    def complete(self, request: Request, task_id: int) -> Response:
        task = services.complete_task(task_id, actor=actor_of(request))
        return Response(TaskSerializer(task).data)


class DispatchViewSet(GenericViewSet[Task]):
    queryset = Task.objects.all()
    serializer_class = TaskSerializer

    @extend_schema(
        summary="Claim the next task",
        description=(
            "Assigns the ready task with the highest priority, the oldest among equals, to the "
            "worker. Two requests never get the same task."
        ),
        request=ClaimSerializer,
        responses=answers(
            TaskSerializer,
            404,
            *BODY,
            examples=[example({**TASK, "status": "assigned", "worker_id": "user_456"})],
            _404="No available tasks. `Retry-After` says when to ask again, in seconds.",
        ),
        examples=[example({"worker_id": "user_456"}, request_only=True)],
        tags=["dispatch"],
    )
    @action(detail=False, methods=["post"])
    def next(self, request: Request) -> Response:
        data = valid(ClaimSerializer(data=request.data))
        task = services.claim_next_task(data["worker_id"], actor=actor_of(request))
        if task is None:
            raise NoTaskReady
        return Response(TaskSerializer(task).data)
