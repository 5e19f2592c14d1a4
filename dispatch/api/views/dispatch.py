import re

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from ... import services
from ...models import Task
from ..authority import OWN_TASKS, authority_of
from ..errors import NoTaskReady
from ..renderers import json_response
from ..schema import BODY, TASK, example, responses
from ..serializers.requests import ClaimSerializer, valid
from ..serializers.responses import TaskSerializer

KEY_HEADER = "Idempotency-Key"
KEY = re.compile(r"[!-~]{1,255}", re.ASCII)


def idempotency_key(request: Request) -> str | None:
    key: str | None = request.headers.get(KEY_HEADER)
    if key is not None and not KEY.fullmatch(key):
        raise ValidationError({KEY_HEADER: ["1 to 255 printable ASCII characters, no spaces."]})
    return key


class DispatchViewSet(GenericViewSet[Task]):
    authority = {"next": [OWN_TASKS]}
    queryset = Task.objects.all()
    serializer_class = TaskSerializer

    @extend_schema(
        operation_id="claim_next_task",
        summary="Claim the next task",
        description=(
            "Assigns the ready task with the highest priority to the crew; the oldest comes first "
            "among equals. A crew on the roster gets only tasks of its system and areas that fit "
            "its van. Two requests never get the same task. If the response is lost, repeat "
            "the request with the same `Idempotency-Key`: it returns the same task."
        ),
        parameters=[
            OpenApiParameter(
                KEY_HEADER,
                {"type": "string", "pattern": "^[!-~]{1,255}$"},
                OpenApiParameter.HEADER,
                description="A new key for each task; the same key to repeat a request.",
            ),
            OpenApiParameter(
                "Retry-After",
                OpenApiTypes.INT,
                OpenApiParameter.HEADER,
                response=[404],
                description="Seconds after which a task may be ready.",
            ),
        ],
        request=ClaimSerializer,
        responses=responses(
            TaskSerializer,
            404,
            409,
            422,
            *BODY,
            examples=[example({**TASK, "status": "assigned", "worker_id": "user_456"})],
            _409="The crew is not active, does not work in the area, or is not on the roster and "
            "`UNKNOWN_CREWS=refuse`.",
            _404="No available tasks. Ask again after `Retry-After` seconds.",
        ),
        examples=[example({"worker_id": "user_456"}, request_only=True)],
        tags=["dispatch"],
    )
    @action(detail=False, methods=["post"])
    def next(self, request: Request) -> HttpResponse:
        data = valid(ClaimSerializer, request.data)
        key = idempotency_key(request)
        caller = authority_of(request)
        # A caller that may assign tasks to any crew may also claim for any crew.
        worker_id = caller.resolve_worker(data["worker_id"], unrestricted_with="reassign_task")
        task = services.claim_next_task(
            str(worker_id), actor=caller.actor, key=key, area=data["area"]
        )
        if task is None:
            raise NoTaskReady
        return json_response(TaskSerializer(task).data)
