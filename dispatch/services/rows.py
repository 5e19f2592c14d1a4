"""Raw SQL statements, and model instances made of their rows.

The only module of the app that depends on the project's database backend.
"""

from collections.abc import Sequence
from typing import Any, cast

from django.db import connection

from baywheels.database.base import DatabaseWrapper
from baywheels.database.batch import Row, Statement

from ..models import Suggestion, Task

__all__ = [
    "SUGGESTION_COLUMNS",
    "TASK_COLUMNS",
    "Row",
    "Statement",
    "run",
    "suggestion_from",
    "task_from",
]

SUGGESTION_COLUMNS = [field.attname for field in Suggestion._meta.concrete_fields]
TASK_COLUMNS = [field.attname for field in Task._meta.concrete_fields]


def run(*statements: Statement, last: bool = False) -> list[list[Row]]:
    """Return the rows of each statement. All of them travel in one round trip.

    Each statement sees what was committed before it began. `last`: no statement follows in the
    transaction, so its COMMIT travels with them.
    """
    return cast(DatabaseWrapper, connection).run_batch(*statements, last=last)


def suggestion_from(row: Sequence[Any]) -> Suggestion:
    return Suggestion.from_db(connection.alias, SUGGESTION_COLUMNS, row)


def task_from(row: Sequence[Any]) -> Task:
    return Task.from_db(connection.alias, TASK_COLUMNS, row)
