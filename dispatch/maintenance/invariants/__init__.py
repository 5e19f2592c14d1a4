"""Invariants of the data, as queries that return nothing while they hold.

PostgreSQL enforces most of them when a row is written. These queries find what bypassed it: a
dropped constraint, a failed build of an index, a restored dump, rows changed with triggers
disabled, a bug.
"""

from typing import Any

from django.db import connection, transaction

from .invariant import Invariant
from .objects import INVALID_INDEXES, OBJECTS, SEQUENCES_BEHIND
from .records import RECORDS
from .suggestions import SUGGESTIONS
from .tasks import TASKS

__all__ = ["INVARIANTS", "Invariant", "invalid_indexes", "sequences_behind", "violations"]

INVARIANTS = [*SUGGESTIONS, *TASKS, *RECORDS, *OBJECTS]
ROWS_SHOWN = 20


def violations() -> dict[str, list[dict[str, Any]]]:
    """Return the first 20 rows for each invariant that does not hold, by its name.

    `found` in each row is the number of all rows. All queries read one snapshot, so that a
    running system raises no false alarm.
    """
    if connection.in_atomic_block:
        return find()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return find()


def sequences_behind() -> list[dict[str, Any]]:
    return rows(SEQUENCES_BEHIND)


def invalid_indexes() -> list[dict[str, Any]]:
    return rows(INVALID_INDEXES)


def find() -> dict[str, list[dict[str, Any]]]:
    found = {invariant.name: rows(invariant.sql) for invariant in INVARIANTS}
    return {name: some for name, some in found.items() if some}


def rows(sql: str) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT *, count(*) OVER () AS found FROM ({sql}) AS violation"  # noqa: S608
            f" ORDER BY 1, 2 LIMIT {ROWS_SHOWN}"
        )
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]
