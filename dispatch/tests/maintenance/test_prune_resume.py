"""A run that is killed at any time loses no task: each is in the database or in a complete file."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from dispatch import services
from dispatch.maintenance import archive
from dispatch.maintenance.archive import Archive
from dispatch.models import ClusterOutage, StationOutage, StatusPoll, Task, TaskEvent
from dispatch.services import prune
from dispatch.services.events import record_task

from ..support.concurrency import background, wait_until_blocked
from ..support.pruning import (
    AGE,
    YOUNG,
    archived,
    archived_ids,
    cluster_outage,
    completed,
    event,
    kept,
    old_tasks,
    outages,
    polls,
    prune_all,
)
from ..support.server import ROOT, database_url

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """An end that no handler catches, like kill -9."""


def die(*args):
    raise Killed


def dying_after(function):
    def run_and_die(*args):
        function(*args)
        raise Killed

    return run_and_die


def killed_before_the_file_has_its_name(patch):
    patch.setattr(Archive, "_publish", die)


def killed_before_the_folder_is_synced(patch):
    patch.setattr(archive, "sync_folder", die)


def killed_before_the_delete(patch):
    patch.setattr(Archive, "write", dying_after(Archive.write))


def killed_before_the_commit(patch):
    patch.setattr(prune, "delete_events", dying_after(prune.delete_events))


KILLS = [
    killed_before_the_file_has_its_name,
    killed_before_the_folder_is_synced,
    killed_before_the_delete,
    killed_before_the_commit,
]


def prune_until_killed(folder, kill, batches=0):
    pruning = services.prune_tasks(AGE, archive=Archive(str(folder)), with_events=True)
    for _ in range(batches):
        next(pruning)
    with pytest.MonkeyPatch.context() as patch:
        kill(patch)
        with pytest.raises(Killed):
            next(pruning)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kill", KILLS)
@pytest.mark.parametrize("batches", [0, 1], ids=["in the first batch", "in the second batch"])
def test_a_run_after_a_kill_archives_every_task_once(tmp_path, small_batches, kill, batches):
    ids = old_tasks(5)

    prune_until_killed(tmp_path, kill, batches)
    assert kept() == ids[2 * batches :]
    assert set(ids) <= set(archived_ids(tmp_path)) | set(kept())
    prune_all(tmp_path, with_events=True)

    assert archived_ids(tmp_path) == ids
    assert not kept()
    assert not TaskEvent.objects.exists()


def test_a_different_batch_after_a_kill_repeats_tasks_but_loses_none(tmp_path):
    first, young, last = completed().id, completed(YOUNG).id, completed().id
    prune_until_killed(tmp_path, killed_before_the_delete)

    prune_all(tmp_path, age=timedelta(days=80))

    assert sorted(archived_ids(tmp_path)) == [first, first, young, last, last]
    assert not kept()


def test_a_late_report_after_a_kill_is_archived_too(tmp_path):
    (task_id,) = old_tasks(1)
    prune_until_killed(tmp_path, killed_before_the_delete)
    record_task("late_report", Task.objects.get(), "api")

    prune_all(tmp_path, with_events=True)

    lines = archived(tmp_path)
    assert [line["id"] for line in lines] == [task_id] * 2
    assert sorted(len(line["events"]) for line in lines) == [2, 3]
    assert not TaskEvent.objects.exists()


def test_two_databases_in_one_folder_do_not_replace_each_others_files(tmp_path):
    """They may have tasks of the same ids."""
    ids = old_tasks(2)
    Archive(str(tmp_path)).write(f"tasks-{ids[0]}-{ids[1]}", [b'{"id": 0}'])

    prune_all(tmp_path)

    assert sorted(archived_ids(tmp_path)) == [0, *ids]


def start_process(*options):
    return subprocess.Popen(
        [sys.executable, "manage.py", "prune", *options],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": database_url(),
            "SECRET_KEY": "a-key-of-the-tests-only-" + "0123456789" * 4,
            "ALLOWED_HOSTS": "localhost",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_at_lock(run, table, *options):
    """Kill a process when it waits to delete from this table."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN SHARE MODE")
        process = start_process(*options)
        ended = run(process.communicate)
        wait_until_blocked(ended)
        process.kill()
        ended.result(timeout=20)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_process_killed_before_its_commit_loses_nothing(tmp_path):
    ids = old_tasks(3)
    options = ("--older-than=90d", "--archive", str(tmp_path), "--with-events")

    with background() as run:
        # The file is complete; its tasks are deleted, but not yet committed; its events wait.
        kill_at_lock(run, "task_events", *options)
        assert archived_ids(tmp_path) == ids
        again = start_process(*options)
        assert run(again.communicate).result(timeout=60) == ("3 tasks and 6 events removed.\n", "")

    assert again.returncode == 0
    assert archived_ids(tmp_path) == ids
    assert not kept()
    assert not TaskEvent.objects.exists()


def cluster_outages():
    return [cluster_outage(timezone.now() - AGE - timedelta(days=day)) for day in (3, 2, 1)]


# The option, the rows and how the command calls them.
OTHER_ROWS = {
    TaskEvent: ("suggestions", lambda: [event("ingested") for _ in range(3)], "suggestion events"),
    StationOutage: ("outages", lambda: outages(93, 92, 91), "outages"),
    ClusterOutage: ("outages", cluster_outages, "cluster outages"),
    StatusPoll: ("polls", lambda: polls(93, 92, 91), "polls"),
}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", OTHER_ROWS, ids=lambda model: model.__name__)
def test_other_rows_survive_a_process_killed_before_its_delete(tmp_path, model):
    kind, create, name = OTHER_ROWS[model]
    ids = create()
    options = (f"--{kind}-older-than=90d", "--archive", str(tmp_path))

    with background() as run:
        # The file is complete; the DELETE waits.
        kill_at_lock(run, model._meta.db_table, *options)
        assert archived_ids(tmp_path) == ids
        assert model.objects.count() == 3
        out, errors = run(start_process(*options).communicate).result(timeout=60)

    assert (f"3 {name}" in out, errors) == (True, "")
    assert archived_ids(tmp_path) == ids
    assert not model.objects.exists()
