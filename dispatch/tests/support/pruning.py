"""Old rows of each kind, and the archive that pruning writes."""

import gzip
import json
from datetime import timedelta

from django.db.models.functions import Now
from django.utils import timezone

from dispatch import services
from dispatch.maintenance.archive import Archive
from dispatch.models import ClusterOutage, StationOutage, StatusPoll, Task, TaskEvent
from dispatch.services.events import record_task

from .factories import StationFactory, TaskFactory

AGE = timedelta(days=90)
OLD = Now() - timedelta(days=91)
YOUNG = Now() - timedelta(days=89)


def completed(at=OLD, **fields):
    return TaskFactory(completed=True, assigned_at=at, completed_at=at, **fields)


def old_tasks(count):
    """Tasks that ended long ago, with two events each; their ids."""
    tasks = [completed() for _ in range(count)]
    for task in tasks:
        record_task("created", task, "maria")
        record_task("completed", task, "api")
    return [task.id for task in tasks]


def event(kind, at=OLD, **fields):
    return TaskEvent.objects.create(kind=kind, at=at, actor="maria", **fields).id


def outages(*ends):
    """Outages of two hours each, one station after the other, as ids."""
    return [
        StationOutage.objects.create(
            station=StationFactory(),
            kind="empty",
            started_at=timezone.now() - timedelta(days=end, hours=2),
            ended_at=timezone.now() - timedelta(days=end),
        ).id
        for end in ends
    ]


def cluster_outage(ended_at):
    station = StationFactory()
    return ClusterOutage.objects.create(
        system="bay",
        station=station,
        station_ids=[station.pk],
        kind="empty",
        started_at=timezone.now() - timedelta(days=99),
        ended_at=ended_at,
    ).id


def polls(*ages):
    return [
        StatusPoll.objects.create(
            system="bay", at=timezone.now() - timedelta(days=age), in_service=9, empty=1, full=2
        ).id
        for age in ages
    ]


def kept():
    return list(Task.objects.order_by("id").values_list("id", flat=True))


def prune_all(folder=None, age=AGE, **options):
    archive = None if folder is None else Archive(str(folder))
    return list(services.prune_tasks(age, archive=archive, **options))


def archived(folder):
    """The lines of all files, in the order of their first ids."""
    files = sorted(folder.glob("*.jsonl.gz"), key=lambda file: int(file.name.split("-")[-2]))
    return [json.loads(line) for file in files for line in gzip.open(file)]


def archived_ids(folder):
    return [task["id"] for task in archived(folder)]
