"""Our own statements: the cursor that they run on, and their rows as instances.

PostgreSQL plans each once for a connection, which takes a third off a claim (docs/performance.md).
"""

from collections.abc import Sequence
from typing import Any, cast

from django.db import connection
from django.db.backends.utils import CursorWrapper

from baywheels.database.base import DatabaseWrapper

from ..models import Suggestion, Task

SUGGESTION_COLUMNS = [field.attname for field in Suggestion._meta.concrete_fields]
TASK_COLUMNS = [field.attname for field in Task._meta.concrete_fields]


def prepared() -> CursorWrapper:
    return cast(DatabaseWrapper, connection).prepared_cursor()


def suggestion_from(row: Sequence[Any]) -> Suggestion:
    return Suggestion.from_db(connection.alias, SUGGESTION_COLUMNS, row)


def task_from(row: Sequence[Any]) -> Task:
    return Task.from_db(connection.alias, TASK_COLUMNS, row)
