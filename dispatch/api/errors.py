from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import JsonResponse
from rest_framework.exceptions import APIException, ParseError, ValidationError
from rest_framework.views import exception_handler as rest_exception_handler
from rest_framework.views import set_rollback

from .. import exceptions, metrics
from .parsers import BodyTooLarge

# Seconds after which a crew may ask an empty queue again.
EMPTY_QUEUE_RETRY_AFTER = 15

# Rows of a request whose errors are listed.
MOST_BAD_ROWS = 20

REFUSALS = {
    exceptions.NotFound: 404,
    exceptions.Conflict: 409,
    exceptions.IdempotencyKeyReused: 422,
    exceptions.UnknownStations: 422,
    exceptions.TooManyTries: 429,
}


class NoTaskReady(APIException):
    status_code = 404
    default_detail = "No available tasks"
    wait = EMPTY_QUEUE_RETRY_AFTER


class SchemaDamaged(APIException):
    status_code = 503
    wait = 30


@dataclass
class Answer:
    """The answer to a refused request."""

    status: int
    data: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> JsonResponse:
        """JsonResponse, because the documentation pages would render a DRF response as HTML."""
        return JsonResponse(self.data, status=self.status, headers=self.headers)


def exception_handler(error: Exception, context: dict[str, Any]) -> JsonResponse | None:
    answer = answer_to(error, context)
    return None if answer is None else answer.response()


def answer_to(error: Exception, context: dict[str, Any]) -> Answer | None:
    """Turn every refusal into `{"detail": "..."}`, with the invalid fields in `errors`.

    None: the error is unexpected, and Django responds with 500, or 503 if it is the database's.
    """
    set_rollback()
    if isinstance(error, exceptions.Refusal):
        count_refusal(error)
        status = next((code for kind, code in REFUSALS.items() if isinstance(error, kind)), 400)
        wait = getattr(error, "wait", None)
        return Answer(status, {"detail": str(error)}, {"Retry-After": str(wait)} if wait else {})
    if isinstance(error, RequestDataTooBig):
        error = BodyTooLarge()
    elif isinstance(error, SuspiciousOperation):
        error = ParseError("The form is malformed or has too many fields.")
    response = rest_exception_handler(error, context)
    if response is None:
        return None
    count_refusal(error)
    data = response.data
    if isinstance(error, ValidationError):
        data = {"detail": describe(error.detail), "errors": first_rows(error.detail)}
    names = [name for name in ("Retry-After", "WWW-Authenticate") if name in response]
    return Answer(response.status_code, data, {name: response[name] for name in names})


def count_refusal(error: Exception) -> None:
    metrics.REFUSALS.labels(type(error).__name__).inc()


def describe(errors: Any) -> str:
    """Name every invalid field of a body; for many rows, those of the first bad row."""
    if isinstance(errors, dict) and all(isinstance(key, int) for key in errors):
        first, fields = next(iter(errors.items()))
        more = f" {len(errors) - 1:,} more rows are invalid." if len(errors) > 1 else ""
        return f"Row {first + 1:,}: {describe(fields)}{more}"
    return " ".join(sentences(errors))


def sentences(errors: Any, field: str = "") -> Iterator[str]:
    if isinstance(errors, dict):
        for key, error in errors.items():
            yield from sentences(error, field if key == "non_field_errors" else str(key))
    elif isinstance(errors, list):
        # The first error of a field is enough.
        yield from sentences(next(item for item in errors if item), field)
    else:
        yield f"{field}: {errors}" if field else str(errors)


def first_rows(errors: Any) -> Any:
    """Return the errors, but of at most MOST_BAD_ROWS rows."""
    if isinstance(errors, dict) and all(isinstance(key, int) for key in errors):
        return dict(islice(errors.items(), MOST_BAD_ROWS))
    return errors
