"""Our own statements: the cursor that they run on, and their rows as instances.

PostgreSQL plans each once for a connection: a quarter of a claim's time (docs/performance.md).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from django.db import connection
from django.db.backends.utils import CursorWrapper

from baywheels.database.base import DatabaseWrapper

from ..models import Suggestion, Task

SUGGESTION_COLUMNS = [field.attname for field in Suggestion._meta.concrete_fields]
TASK_COLUMNS = [field.attname for field in Task._meta.concrete_fields]


def prepared() -> CursorWrapper:
    return cast(DatabaseWrapper, connection).prepared_cursor()


@contextmanager
def one_round_trip() -> Iterator[Callable[[str, Sequence[Any]], CursorWrapper]]:
    """Statements that are sent together, one after the other, and answered when all are sent.

    Read their cursors behind the block. Each sees what was committed before it began.
    """

    def ask(statement: str, parameters: Sequence[Any]) -> CursorWrapper:
        cursor = prepared()
        cursor.execute(statement, parameters)
        return cursor

    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield ask


def suggestion_from(row: Sequence[Any]) -> Suggestion:
    return Suggestion.from_db(connection.alias, SUGGESTION_COLUMNS, row)


def task_from(row: Sequence[Any]) -> Task:
    return Task.from_db(connection.alias, TASK_COLUMNS, row)
