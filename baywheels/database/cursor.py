"""Statements that name the request they belong to."""

from typing import Any

from django.db.backends.postgresql import base

from ..logs import NO_REQUEST, request_id


def comment() -> str:
    """Return a comment with the id of the current request. Empty: there is no request.

    The ids have no characters that could end a comment (baywheels.middleware). It comes first,
    because pg_stat_activity shows only the beginning of a long statement.
    """
    current = request_id.get()
    return "" if current == NO_REQUEST else f"/* request {current} */ "


class RequestCursor(base.Cursor):
    def execute(self, query: Any, *args: Any, **options: Any) -> Any:
        if isinstance(query, str):
            query = comment() + query
        return super().execute(query, *args, **options)  # type: ignore[misc]
