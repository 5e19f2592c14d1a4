"""What the OpenAPI schema says beyond what it can read off the code."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, OpenApiResponse

from .serializers import ErrorSerializer

SUGGESTION = {
    "id": 1,
    "from_station_id": 100,
    "to_station_id": 200,
    "qty": 5,
    "reason": "Station 100 is full, Station 200 needs bikes",
}
TASK = {
    "id": 456,
    "from_station_id": 100,
    "to_station_id": 200,
    "qty": 5,
    "reason": "Station 100 is full, Station 200 needs bikes",
    "status": "ready",
    "worker_id": None,
    "created_at": "2024-01-15T10:30:00Z",
}

MEANINGS = {
    400: "The request is malformed, or a value is missing or out of range. Nothing changed.",
    401: "`API_AUTH=required`, and the request has no valid token.",
    404: "It does not exist. Nothing changed.",
    409: "Its state does not allow this. Nothing changed.",
    411: "The body came without a Content-Length.",
    413: "The body is too large.",
    415: "The body is neither JSON nor a form.",
    503: "The database is busy or away. Try again after `Retry-After` seconds.",
}


def answers(
    success: Any,
    *statuses: int,
    examples: list[OpenApiExample] | None = None,
    **meanings: str,
) -> dict[int, OpenApiResponse]:
    """A response for each status; `_404="..."` says what a status means at this endpoint."""
    responses = {200: OpenApiResponse(success, examples=examples or [])}
    always = {401, 503} if settings.API_AUTH == "required" else {503}
    for status in sorted({*always, *statuses}):
        description = meanings.get(f"_{status}", MEANINGS[status])
        responses[status] = OpenApiResponse(ErrorSerializer, description=description)
    return responses


BODY = (400, 411, 413, 415)


def example(value: Any, name: str = "Example", **kwargs: Any) -> OpenApiExample:
    return OpenApiExample(name, value=value, **kwargs)


class ApiAuthenticationScheme(OpenApiAuthenticationExtension):
    target_class = "dispatch.api.authentication.ApiAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "header", "name": "Authorization"}
