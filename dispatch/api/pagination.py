import re
from typing import Any

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from ..values import whole_number

MAX_LIMIT = 1000
DEFAULT_LIMIT = 100


class LinkCursorPagination(CursorPagination):
    """Pages by `limit` and `cursor`, in id order, with the next page in the Link header.

    The body is always a bare array. Without `limit` and `cursor` it holds `default_limit` rows;
    None: all rows.
    """

    ordering = "id"
    page_size = None
    page_size_query_param = "limit"
    max_page_size = MAX_LIMIT

    default_limit: int | None = None

    def get_page_size(self, request: Request) -> int | None:
        limit: str | None = request.query_params.get("limit")
        if limit is None:
            return DEFAULT_LIMIT if "cursor" in request.query_params else self.default_limit
        try:
            size = whole_number(limit)
        except ValueError:
            size = 0
        if not 1 <= size <= MAX_LIMIT:
            raise ValidationError({"limit": [f"Must be a whole number from 1 to {MAX_LIMIT}."]})
        return size

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor = super().decode_cursor(request)
        except NotFound:
            raise self.invalid_cursor() from None
        if cursor and not re.fullmatch(r"[0-9]{1,18}", str(cursor.position), re.ASCII):
            raise self.invalid_cursor()
        return cursor

    def invalid_cursor(self) -> ValidationError:
        return ValidationError({"cursor": ["Use the cursor from the Link header unchanged."]})

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": "limit",
                "in": "query",
                "description": "The most rows to return. The Link header leads to the next page.",
                "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
            },
            {
                "name": "cursor",
                "in": "query",
                "description": "The position of the next page, copied from the Link header.",
                "schema": {"type": "string", "minLength": 1},
            },
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return schema

    def get_paginated_response(self, data: Any) -> Response:
        response = Response(data)
        if link := self.get_next_link():
            response.headers["Link"] = f'<{link}>; rel="next"'
        return response


class AlwaysPaged(LinkCursorPagination):
    """Pages of a list that only grows."""

    default_limit = DEFAULT_LIMIT


class NewestFirst(AlwaysPaged):
    ordering = "-id"
