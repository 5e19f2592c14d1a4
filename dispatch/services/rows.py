"""Our own statements, and their rows as instances."""

from collections.abc import Sequence
from typing import Any, cast

from django.db import connection

from baywheels.database.base import DatabaseWrapper
from baywheels.database.pipeline import Row, Statement

from ..models import Suggestion, Task

SUGGESTION_COLUMNS = [field.attname for field in Suggestion._meta.concrete_fields]
TASK_COLUMNS = [field.attname for field in Task._meta.concrete_fields]


def run(*statements: Statement) -> list[list[Row]]:
    """The rows of each. They are sent together; each sees what was committed before it began."""
    return cast(DatabaseWrapper, connection).run_together(*statements)


def suggestion_from(row: Sequence[Any]) -> Suggestion:
    return Suggestion.from_db(connection.alias, SUGGESTION_COLUMNS, row)


def task_from(row: Sequence[Any]) -> Task:
    return Task.from_db(connection.alias, TASK_COLUMNS, row)
