from collections.abc import Callable
from functools import cache
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.views import View
from drf_spectacular.utils import OpenApiResponse, extend_schema
from drf_spectacular.views import SpectacularRedocView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ...maintenance.schema_check import SchemaWatch
from ..errors import SchemaDamaged
from ..schema import MEANINGS, F, example
from ..serializers.responses import ErrorSerializer, HealthSerializer


class PublicView(APIView):
    """A page for everyone, even with `API_AUTH=required`."""

    authentication_classes = []
    permission_classes = [AllowAny]


def is_alive(operation_id: str, summary: str) -> Callable[[F], F]:
    decorate: Callable[[F], F] = extend_schema(
        operation_id=operation_id,
        summary=summary,
        description="Needs neither a token nor the database.",
        responses={200: HealthSerializer},
        examples=[example({"message": settings.API_TITLE})],
        tags=["health"],
    )
    return decorate


class HealthView(PublicView):
    @is_alive("get_service", "The service's name")
    def get(self, request: Request) -> Response:
        return Response({"message": settings.API_TITLE})


class LivenessView(HealthView):
    @is_alive("check_health", "Liveness: the process works")
    def get(self, request: Request) -> Response:
        return super().get(request)


class ReadinessView(PublicView):
    schema_watch = SchemaWatch()

    @extend_schema(
        operation_id="check_readiness",
        summary="Readiness: the service works and its database accepts writes",
        description="For load balancers. Needs no token.",
        responses={
            200: HealthSerializer,
            503: OpenApiResponse(ErrorSerializer, description=MEANINGS[503]),
        },
        examples=[example({"message": "ready"}, response_only=True, status_codes=["200"])],
        tags=["health"],
    )
    def get(self, request: Request) -> Response:
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_read_only")
            [is_read_only] = cursor.fetchone()
        if is_read_only == "on" and not settings.READ_ONLY:
            # The next request connects to the primary, if there is one by then.
            connection.close()
            raise OperationalError("The database is read-only.")
        if damage := self.schema_watch.find_damage():
            raise SchemaDamaged(damage)
        return Response({"message": "ready"})


class RedocScriptView(View):
    """Redoc's script without the logo that it would load from another host."""

    LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(
            self.script(),
            content_type="text/javascript",
            headers={"Cache-Control": "max-age=86400"},
        )

    @staticmethod
    @cache
    def script() -> bytes:
        path = finders.find("drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js")
        return Path(path or "").read_bytes().replace(RedocScriptView.LOGO, b"data:,")


class RedocView(SpectacularRedocView):
    # Redoc inserts an empty style element, which it fills later, and one for its scroll bar: both
    # are allowed by hash. Its search runs in a web worker.
    POLICY = (
        "default-src 'self'; img-src 'self' data:; worker-src blob:; style-src 'self' "
        "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' "
        "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {**super().default_response_headers, "Content-Security-Policy": self.POLICY}
