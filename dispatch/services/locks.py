from functools import cache

from ..exceptions import NotFound
from ..models import Task
from .rows import run, task_from

TURNS = """
    SELECT pg_advisory_xact_lock(hashtextextended(subject, 0)) FROM unnest(%s::text[]) AS subject
"""


def advisory_lock(*subjects: str) -> None:
    """Wait until no other open transaction works on any of these subjects, which need not be rows.

    Whoever names several names them in the same order. Only the statements after it see what the
    one before has committed: look then, not in one clever statement.
    """
    run((TURNS, [list(subjects)]))


def lock_task(task_id: int) -> Task:
    """The row as it is under its lock, and `task.now`: the database's clock."""
    [rows] = run((lock_statement(), [task_id]))
    if not rows:
        raise NotFound(f"Task {task_id} not found.")
    [[*columns, now]] = rows
    task = task_from(columns)
    task.now = now
    return task


@cache
def lock_statement() -> str:
    """Compiled once, as in `claims`.

    `no_key`: a plain lock would make claims skip this task while an unrelated row refers to it.
    """
    rows = Task.objects.with_now().filter(pk=0).select_for_update(no_key=True)
    sql: str = rows.query.sql_with_params()[0]
    return sql
