"""Old tasks, and what became of them."""

import gzip
import json
from datetime import timedelta

from django.db.models.functions import Now

from dispatch import services
from dispatch.maintenance.archive import open_archive
from dispatch.models import Task
from dispatch.services.events import record_task

from .factories import TaskFactory

AGE = timedelta(days=90)
OLD = Now() - timedelta(days=91)
YOUNG = Now() - timedelta(days=89)


def completed(at=OLD, **fields):
    return TaskFactory(completed=True, assigned_at=at, completed_at=at, **fields)


def old_tasks(count):
    """With two events each."""
    tasks = [completed() for _ in range(count)]
    for task in tasks:
        record_task("created", task, "maria")
        record_task("completed", task, "api")
    return [task.id for task in tasks]


def kept():
    return list(Task.objects.order_by("id").values_list("id", flat=True))


def prune_all(path=None, age=AGE, **options):
    if path is None:
        return list(services.prune_tasks(age, **options))
    with open_archive(str(path)) as archive:
        return list(services.prune_tasks(age, archive=archive, **options))


def archived(path):
    with gzip.open(path) as file:
        return [json.loads(line) for line in file]


def archived_ids(path):
    return [task["id"] for task in archived(path)]
