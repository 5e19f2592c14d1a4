"""Simultaneous sweeps, completions and a kill -9, with real processes."""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import connection

from dispatch import services
from dispatch.exceptions import Conflict
from dispatch.maintenance.invariants import violations
from dispatch.models import Task, TaskEvent
from dispatch.services.sweep import BATCH, release_expired_tasks

from ..support.concurrency import (
    background,
    held_up,
    in_own_connection,
    no_event_is_written,
    wait_until_blocked,
)
from ..support.guards import without_row_locks
from ..support.server import ROOT, database_url

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]

TASKS = 10_000
WORKER = "van-7"
PHONES = 4
# Completions that each phone sends only after the last sweep has ended.
TOO_LATE = 25

ENTER_EXPIRED = """
    WITH entered AS (
        INSERT INTO tasks (from_station_id, to_station_id, qty, status, worker_id, attempt,
            created_at, assigned_at, lease_expires_at)
        SELECT n, n + 1, 5, 'assigned', %(worker)s, 1,
            timestamptz '2015-05-06Z' + n * interval '1s', '2015-05-07Z', '2015-05-08Z'
        FROM generate_series(1, %(count)s) AS n
        RETURNING id, worker_id
    )
    INSERT INTO task_events (task_id, kind, attempt, worker_id, actor)
    SELECT id, kind, attempt, CASE kind WHEN 'claimed' THEN worker_id END, 'maria'
    FROM entered, (VALUES (1, 'created', 0), (2, 'claimed', 1)) AS steps (step, kind, attempt)
    ORDER BY id, step
"""


def enter_expired_tasks(count):
    with connection.cursor() as cursor:
        cursor.execute(ENTER_EXPIRED, {"worker": WORKER, "count": count})


@contextmanager
def sweeping(name, *arguments):
    process = subprocess.Popen(
        [sys.executable, "manage.py", "sweep", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": database_url(),
            "SECRET_KEY": "k" * 50,
            "ALLOWED_HOSTS": "127.0.0.1",
            # The connection's name in pg_stat_activity.
            "PGAPPNAME": name,
        },
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until_held(*names):
    """Return when the processes with these names wait for a lock."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if set(names) <= {session.application_name for session in held_up()}:
            return
    raise AssertionError(f"{names} do not wait.")


class Phone:
    """Completes some of the tasks, whether or not the sweep has released them."""

    def __init__(self, tasks):
        self.tasks = tasks
        self.accepted, self.refused = [], []

    def work(self, swept):
        for task_id in self.tasks[:-TOO_LATE]:
            if swept.is_set():
                break
            self.complete(task_id)
        swept.wait(60)
        for task_id in self.tasks[-TOO_LATE:]:
            self.complete(task_id)

    def complete(self, task_id):
        report = services.Report(worker_id=WORKER)
        try:
            services.complete_task(task_id, actor=WORKER, report=report)
        except Conflict:
            self.refused.append(task_id)
        else:
            self.accepted.append(task_id)


def phones_of(ids):
    shuffled = random.Random(4).sample(ids, len(ids))
    return [Phone(shuffled[n::PHONES]) for n in range(PHONES)]


def faults():
    """Tasks with an attempt that did not end exactly once, or with a status that contradicts it."""
    ends = {task_id: Counter() for task_id in Task.objects.values_list("id", flat=True)}
    ended = TaskEvent.objects.filter(kind__in=["released", "completed"], attempt=1)
    for task_id, kind in ended.values_list("task_id", "kind"):
        ends[task_id][kind] += 1
    right = {"ready": Counter(released=1), "completed": Counter(completed=1)}
    shown = Task.objects.order_by("id").values_list("id", "status")
    return [(id, status, ends[id]) for id, status in shown if ends[id] != right.get(status)]


@contextmanager
def step(*names):
    """Hold these sweeps within a batch, and let each go on to its next batch at the end."""
    with no_event_is_written():
        wait_until_held(*names)
        yield


def sweep_and_complete(phones):
    """Run two sweeps and the phones at once; kill one sweep half-way, within a batch."""
    swept = threading.Event()
    with (
        ThreadPoolExecutor(PHONES) as pool,
        sweeping("dies") as dies,
        sweeping("lives") as lives,
    ):
        try:
            with step("dies", "lives"):
                work = [pool.submit(in_own_connection, phone.work, swept) for phone in phones]
            for _ in range(2):
                with step("dies", "lives"):
                    pass
            with step("dies", "lives"):
                assert 0 < TaskEvent.objects.filter(kind="released").count() < TASKS
                dies.kill()
            assert lives.wait(60) == 0
            with sweeping("last") as last:
                assert last.wait(60) == 0
        finally:
            swept.set()
    for each in work:
        each.result()


@pytest.mark.slow
def test_every_lease_ends_once_despite_two_sweeps_and_a_kill():
    enter_expired_tasks(TASKS)
    created = dict(Task.objects.values_list("id", "created_at"))
    phones = phones_of(list(created))

    sweep_and_complete(phones)

    assert faults() == []
    accepted = sorted(id for phone in phones for id in phone.accepted)
    refused = sorted(id for phone in phones for id in phone.refused)
    assert accepted
    assert len(refused) >= PHONES * TOO_LATE
    completed = Task.objects.filter(status="completed").order_by("id")
    assert list(completed.values_list("id", flat=True)) == accepted
    assert Task.objects.ready().count() == TASKS - len(accepted)
    late = TaskEvent.objects.late_reports().filter(worker_id=WORKER).order_by("task_id")
    assert list(late.values_list("task_id", flat=True)) == refused
    assert dict(Task.objects.values_list("id", "created_at")) == created
    assert violations() == {}


@contextmanager
def sweep_within_its_batch():
    """Stop a sweep before its commit. Yields a function that starts another one."""
    enter_expired_tasks(3)
    with background() as call, no_event_is_written():
        first = call(release_expired_tasks, actor="first")
        wait_until_blocked(first)
        yield lambda: call(release_expired_tasks, actor="second")


def test_sweep_skips_the_batch_of_another_sweep():
    with sweep_within_its_batch() as start_another:
        assert start_another().result(timeout=10) == 0

    assert faults() == []
    assert violations() == {}


def test_without_row_locks_two_sweeps_release_the_same_tasks():
    with without_row_locks(), sweep_within_its_batch() as start_another:
        wait_until_blocked(start_another(), 2)

    assert [found for _, _, found in faults()] == [Counter(released=2)] * 3
    assert violations().keys() == {"task_history_is_legal"}


@pytest.mark.slow
def test_stopped_sweep_finishes_its_batch_and_starts_no_other():
    enter_expired_tasks(3 * BATCH)

    with sweeping("stopped", "--every", "1") as process:
        with step("stopped"):
            process.terminate()
        assert process.wait(20) == 0

    assert Task.objects.ready().count() == BATCH
    assert violations() == {}
