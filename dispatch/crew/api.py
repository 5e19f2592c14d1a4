"""The requests of the crews' page about tasks. docs/crew-page.md describes them."""

from typing import Any, cast

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from .. import services
from ..api.errors import NoTaskReady
from ..api.serializers.requests import valid, valid_query
from ..api.views.dispatch import KEY_HEADER, idempotency_key
from ..models import Crew, CrewDevice, TaskStatus
from ..services import PhoneReport
from .cookie import CrewView
from .errors import CrewRefusal
from .serializers import ReportSerializer, SeenSerializer, StateSerializer
from .state import describe_tasks, read_state

STATUSES = {"done": 200, "given_back": 200, "problem_noted": 200, "unknown_task": 404}


class PhoneView(CrewView):
    @property
    def device(self) -> CrewDevice:
        device: Any = self.request.auth
        return cast(CrewDevice, device)

    @property
    def crew(self) -> Crew:
        return self.device.crew

    def asked(self) -> list[int]:
        tasks: list[int] = valid_query(self.request, StateSerializer)["tasks"]
        return tasks


class StateView(PhoneView):
    def get(self, request: Request) -> Response:
        return Response(read_state(self.device, self.asked()))


class NextView(PhoneView):
    def post(self, request: Request) -> Response:
        key = idempotency_key(request)
        if key is None:
            raise ValidationError({KEY_HEADER: ["This header is required."]})
        task = services.claim_next_task(
            self.crew.worker_id, actor=self.crew.actor, key=key, device=self.device.pk
        )
        if task is None:
            wait = NoTaskReady.wait
            detail = NoTaskReady.default_detail
            raise CrewRefusal(404, "no_task", detail, wait=wait, retry_after=wait)
        if task.worker_id != self.crew.worker_id or task.status != TaskStatus.ASSIGNED:
            raise CrewRefusal(409, "claim_ended", "This claim has ended.", task_id=task.pk)
        [described] = describe_tasks([task])
        return Response(described)


class ReportsView(PhoneView):
    def post(self, request: Request) -> Response:
        report = PhoneReport(**valid(ReportSerializer, request.data))
        answer = services.apply_crew_report(
            report, worker_id=self.crew.worker_id, device_id=self.device.pk
        )
        return Response(answer, status=STATUSES.get(answer["code"], 409))


class HereView(PhoneView):
    def post(self, request: Request) -> Response:
        asked = self.asked()
        services.extend_held(self.crew.worker_id, actor=self.crew.actor, device=self.device.pk)
        return Response(read_state(self.device, asked))


class SeenView(PhoneView):
    def post(self, request: Request) -> Response:
        data = valid(SeenSerializer, request.data)
        services.note_seen(
            **data, worker_id=self.crew.worker_id, actor=self.crew.actor, device=self.device.pk
        )
        return Response({})
