"""Refusals with a code: the phone shows a text of its own for it, in the crew's language."""

from typing import Any

from django.http import JsonResponse
from rest_framework.exceptions import APIException

from ..api.errors import answer_to
from .codes import CODES


class CrewRefusal(APIException):
    """`values`: for the phone's text. `wait`: seconds until a repetition may succeed."""

    def __init__(
        self, status: int, code: str, detail: str, *, wait: int | None = None, **values: Any
    ) -> None:
        super().__init__(detail)
        self.status_code, self.code, self.values = status, code, values
        if wait is not None:
            self.wait = wait


def exception_handler(error: Exception, context: dict[str, Any]) -> JsonResponse | None:
    """The API's, with `code` and the values in the body."""
    answer = answer_to(error, context)
    if answer is None:
        return None
    code = getattr(error, "code", None) or CODES[answer.status]
    answer.data |= {"code": code, **getattr(error, "values", {})}
    return answer.response()
