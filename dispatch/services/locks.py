from django.db import connection

from ..exceptions import NotFound
from ..models import Task


def take_turns(subject: str) -> None:
    """Wait until no other open transaction works on the same subject, which need not be a row.

    Only the statements after it see what the one before has committed: look then, not in one
    clever statement.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [subject])


def lock_task(task_id: int) -> Task:
    """The row as it is under its lock, and `task.now`: the database's clock.

    `no_key`: a plain lock would make claims skip this task while an unrelated row refers to it.
    """
    tasks = Task.objects.with_now().select_for_update(no_key=True)
    task = tasks.filter(pk=task_id).first()
    if task is None:
        raise NotFound(f"Task {task_id} not found.")
    return task
