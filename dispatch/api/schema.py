"""Examples and status descriptions of the OpenAPI schema."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
)

from .serializers.responses import ErrorSerializer, TaskInFullSerializer

F = TypeVar("F", bound=Callable[..., Any])

SUGGESTION = {
    "id": 1,
    "from_station_id": 100,
    "to_station_id": 200,
    "qty": 5,
    "reason": "Station 100 is full, Station 200 needs bikes",
}
PROPOSED_MOVE = {name: value for name, value in SUGGESTION.items() if name != "id"}
TASK = {
    "id": 456,
    **PROPOSED_MOVE,
    "status": "ready",
    "worker_id": None,
    "created_at": "2024-01-15T10:30:00Z",
}
TASK_IN_FULL = {
    **TASK,
    "priority": 0,
    "source": "demand-v2",
    "suggestion_id": 123,
    "attempt": 0,
    "assigned_at": None,
    "lease_expires_at": None,
    "completed_at": None,
    "reported_completed_at": None,
    "moved_qty": None,
    "note": "",
    "cancelled_at": None,
    "area": "San Francisco",
    "system": "bay_wheels",
}
CLAIMED = {
    **TASK_IN_FULL,
    "status": "assigned",
    "worker_id": "user_456",
    "attempt": 1,
    "assigned_at": "2024-01-15T10:40:00Z",
    "lease_expires_at": "2024-01-15T18:40:00Z",
}
STATION = {
    "id": 58,
    "system": "bay_wheels",
    "name": "Market St at 10th St",
    "short_name": "SF-G30",
    "lat": 37.77662,
    "lon": -122.41738,
    "capacity": 37,
    "region": "3",
    "area": "SF",
    "gone_at": None,
    "bikes": 2,
    "docks": 33,
    "bikes_disabled": 1,
    "docks_disabled": 0,
    "in_service": True,
    "as_of": "2024-01-15T10:29:12Z",
}
REASON = {"reason": "Station 200 is closed for road works"}
REJECTED = {
    "id": 789,
    "at": "2024-01-15T10:35:00Z",
    "kind": "rejected",
    "task_id": None,
    "suggestion_id": 123,
    "attempt": None,
    "worker_id": None,
    "actor": "maria",
    "source": "demand-v2",
    "details": {
        **PROPOSED_MOVE,
        "code": "station_closed",
        "rejection": "Road works at station 200",
        "priority": 0,
        "suggested_at": "2024-01-15T10:20:00+00:00",
        "expires_at": None,
    },
}
SUGGESTION_DECIDED = "Suggestion not found. If it was already decided, `detail` names the decision."

MEANINGS = {
    400: "The request is malformed, or a value is missing or out of range. Nothing changed.",
    401: "`API_AUTH=required`, and the request has no valid token.",
    403: (
        "The token does not permit this, or is for another crew. With `API_AUTH=open`: a browser "
        "sent the request for a page of another site. Nothing changed."
    ),
    404: "Not found. Nothing changed.",
    409: "The current state does not allow this. Nothing changed.",
    413: "The request body is too large.",
    415: "The body is neither JSON nor a form.",
    422: "The `Idempotency-Key` was used for a different request. Nothing changed.",
    503: (
        "The database is busy or unavailable, or an operator must repair it. Try again after "
        "`Retry-After` seconds."
    ),
}


def responses(
    success: Any,
    *statuses: int,
    examples: list[OpenApiExample] | None = None,
    **meanings: str,
) -> dict[int, OpenApiResponse]:
    """Return the description of each status; `_404="..."` overrides the general meaning."""
    described = {200: OpenApiResponse(success, examples=examples or [])}
    always = {401, 403, 503} if settings.API_AUTH == "required" else {503}
    for status in sorted({*always, *statuses}):
        description = meanings.get(f"_{status}", MEANINGS[status])
        described[status] = OpenApiResponse(ErrorSerializer, description=description)
    return described


BODY = (400, 403, 413, 415)


def example(value: Any, name: str = "Example", **kwargs: Any) -> OpenApiExample:
    return OpenApiExample(name, value=value, **kwargs)


def warning_header(description: str) -> OpenApiParameter:
    return OpenApiParameter(
        "X-Warning",
        OpenApiTypes.STR,
        OpenApiParameter.HEADER,
        response=[200],
        description=description,
    )


def changes_task(
    operation_id: str,
    summary: str,
    description: str,
    *,
    request: type,
    body: dict[str, Any],
    answer: dict[str, Any],
    **meanings: str,
) -> Callable[[F], F]:
    """Describe an operation on one task that returns the task with all fields."""
    decorate: Callable[[F], F] = extend_schema(
        operation_id=operation_id,
        summary=summary,
        description=description,
        request=request,
        responses=responses(
            TaskInFullSerializer,
            404,
            409,
            *BODY,
            examples=[example(answer)],
            _404="Task not found.",
            **meanings,
        ),
        examples=[example(body, request_only=True)],
        tags=["tasks"],
    )
    return decorate
