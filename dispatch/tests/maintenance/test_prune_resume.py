"""Killed at any instant, a run with the same archive goes on: no task lost, none twice."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from dispatch import services
from dispatch.exceptions import Refusal
from dispatch.maintenance.archive import Archive, open_archive
from dispatch.models import Task, TaskEvent
from dispatch.services import prune
from dispatch.services.events import record_task

from ..support.concurrency import background, wait_until_blocked
from ..support.pruning import AGE, archived, archived_ids, completed, kept, old_tasks, prune_all
from ..support.server import database_url

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[3]


class Killed(BaseException):
    """Nothing catches it, as nothing catches kill -9."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tasks.jsonl.gz"


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(prune, "BATCH", 2)


def killed_mid_write(monkeypatch):
    def write_half(archive, data):
        archive.file.seek(archive.end)
        archive.file.write(data[: len(data) // 2])
        raise Killed

    monkeypatch.setattr(Archive, "_write", write_half)


def killed_before_the_delete(monkeypatch):
    append = Archive.append

    def append_and_die(archive, lines):
        append(archive, lines)
        raise Killed

    monkeypatch.setattr(Archive, "append", append_and_die)


def killed_before_the_commit(monkeypatch):
    delete_events = prune.delete_events

    def delete_and_die(ids):
        delete_events(ids)
        raise Killed

    monkeypatch.setattr(prune, "delete_events", delete_and_die)


KILLS = [killed_mid_write, killed_before_the_delete, killed_before_the_commit]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kill", KILLS)
@pytest.mark.parametrize("before", [0, 1], ids=["in the first batch", "in the second batch"])
@pytest.mark.parametrize("with_events", [True, False])
def test_a_run_after_a_kill_archives_every_task_once(
    path, small_batches, kill, before, with_events
):
    ids = old_tasks(5)

    with open_archive(str(path)) as archive, pytest.MonkeyPatch.context() as patch:
        batches = services.prune_tasks(AGE, archive=archive, with_events=True)
        for _ in range(before):
            next(batches)
        kill(patch)
        with pytest.raises(Killed):
            next(batches)
    assert kept() == ids[2 * before :]
    prune_all(path, with_events=with_events)

    assert archived_ids(path) == ids
    assert not kept()
    assert TaskEvent.objects.count() == (0 if with_events else 10 - 4 * before)


def test_what_a_killed_run_wrote_is_taken_out_even_if_it_is_too_young_for_the_next(
    path, monkeypatch
):
    ids = old_tasks(1)
    with monkeypatch.context() as patch:
        killed_before_the_delete(patch)
        with pytest.raises(Killed):
            prune_all(path)
    oldest = completed(Now() - timedelta(days=200))

    prune_all(path, age=timedelta(days=100))
    assert archived_ids(path) == [oldest.id]

    prune_all(path)
    assert archived_ids(path) == [oldest.id, *ids]


def test_a_late_report_between_a_kill_and_the_next_run_is_archived_too(path, monkeypatch):
    (task_id,) = old_tasks(1)
    with monkeypatch.context() as patch:
        killed_before_the_delete(patch)
        with pytest.raises(Killed):
            prune_all(path, with_events=True)
    record_task("late_report", Task.objects.get(), "api")

    prune_all(path, with_events=True)

    (line,) = archived(path)
    assert (line["id"], len(line["events"])) == (task_id, 3)
    assert not TaskEvent.objects.exists()


def test_the_archive_of_another_database_is_left_alone(path):
    """Its last tasks have the ids of tasks here, but not their content."""
    old_tasks(2)
    rows = [{**task, "note": "Elsewhere"} for task in Task.objects.order_by("id").values()]
    with open_archive(str(path)) as archive:
        archive.append(prune.to_lines(rows))
    content = path.read_bytes()

    with pytest.raises(Refusal, match="not as they are in this database"):
        prune_all(path)

    assert path.read_bytes() == content
    assert Task.objects.count() == 2


def test_an_archive_whose_last_batch_is_half_in_the_database_is_left_alone(path):
    first, second = old_tasks(2)
    with open_archive(str(path)) as archive:
        archive.append(prune.to_lines(list(Task.objects.order_by("id").values())))
    Task.objects.filter(pk=first).delete()
    content = path.read_bytes()

    with pytest.raises(Refusal, match="not as they are in this database"):
        prune_all(path)

    assert path.read_bytes() == content
    assert kept() == [second]


@pytest.mark.django_db(transaction=True)
def test_a_commit_of_a_killed_run_that_is_still_on_its_way_is_waited_for(path):
    ids = old_tasks(2)
    with open_archive(str(path)) as archive:
        archive.append(prune.to_lines(list(Task.objects.order_by("id").values())))

    with background() as run:
        with transaction.atomic():
            Task.objects.all().delete()
            again = run(prune_all, path)
            wait_until_blocked(again)
        assert again.result(timeout=20) == []

    assert archived_ids(path) == ids


def start_process(*options):
    return subprocess.Popen(
        [sys.executable, "manage.py", "prune", "--older-than", "90d", *options],
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


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_process_killed_before_its_commit_has_lost_nothing(path):
    ids = old_tasks(3)
    options = ("--archive", str(path), "--with-events")

    with background() as run:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE task_events IN SHARE MODE")
            process = start_process(*options)
            ended = run(process.communicate)
            # The batch is in the archive, its tasks are deleted, its events wait.
            wait_until_blocked(ended)
            process.kill()
            ended.result(timeout=20)
        assert archived_ids(path) == ids
        again = start_process(*options)
        assert run(again.communicate).result(timeout=60) == ("3 tasks and 6 events removed.\n", "")

    assert again.returncode == 0
    assert archived_ids(path) == ids
    assert not kept()
    assert not TaskEvent.objects.exists()
