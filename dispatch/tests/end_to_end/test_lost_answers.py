"""Lost answers: clients hang up, processes die, phones repeat their requests. Real gunicorn."""

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
import requests

from dispatch.maintenance.invariants import violations
from dispatch.models import Task, TaskEvent

from ..support.concurrency import no_event_is_written, wait_until_blocked
from ..support.factories import TaskFactory
from ..support.server import serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(240),
]

CLIENTS = 150
WORKERS, THREADS = 3, 4
KILLS = 4


def enter_ready_tasks(count):
    tasks = TaskFactory.create_batch(count)
    TaskEvent.objects.bulk_create(
        TaskEvent(kind="created", task_id=task.id, attempt=0, actor="maria") for task in tasks
    )


def hang_up_on_claim(url, worker_id, key, *, patient):
    """Claim without reading the answer. `patient`: hang up only after it has arrived."""
    body = f'{{"worker_id": "{worker_id}"}}'
    lines = [
        "POST /dispatch/next HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *([f"Idempotency-Key: {key}"] if key else []),
    ]
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as line:
        line.sendall("\r\n".join([*lines, "", body]).encode())
        if patient:
            with suppress(ConnectionError):
                line.recv(1, socket.MSG_PEEK)


def claim(url, worker_id, key):
    """Repeat a claim until it is answered. Return the task and the number of broken connections."""
    broken, deadline = 0, time.monotonic() + 60
    headers = {"Idempotency-Key": key} if key else {}
    while time.monotonic() < deadline:
        try:
            answer = requests.post(
                f"{url}/dispatch/next", json={"worker_id": worker_id}, headers=headers, timeout=30
            )
        except requests.RequestException:
            broken += 1
            continue
        if answer.status_code == 200:
            return answer.json()["id"], broken
        assert answer.status_code == 503, answer.text
    raise AssertionError(f"{worker_id} got no task in a minute.")


def claim_with_everyone(url, *, keys):
    def hang_up_then_claim(number):
        worker_id, key = f"van-{number}", f"key-{number}" if keys else None
        hang_up_on_claim(url, worker_id, key, patient=number % 2 == 0)
        return worker_id, *claim(url, worker_id, key)

    with ThreadPoolExecutor(CLIENTS) as pool:
        outcomes = list(pool.map(hang_up_then_claim, range(CLIENTS)))
    return {worker: task for worker, task, _ in outcomes}, sum(broken for *_, broken in outcomes)


def kill_at_work(server, crowd, killed):
    """Kill a process in the middle of a claim."""
    with no_event_is_written():
        # More claims than the other workers have threads, so the victim has at least one.
        wait_until_blocked(crowd, (WORKERS - 1) * THREADS + 1)
        victim = next(pid for pid in server.workers() if pid not in killed)
        os.kill(victim, signal.SIGKILL)
    killed.append(victim)


def answers_after_kills(*, keys):
    """Return the task that each client got in the end."""
    enter_ready_tasks(3 * CLIENTS)
    killed = []
    with (
        serve(workers=WORKERS, WEB_THREADS=str(THREADS)) as server,
        ThreadPoolExecutor(1) as aside,
    ):
        crowd = aside.submit(claim_with_everyone, server.url, keys=keys)
        for _ in range(KILLS):
            kill_at_work(server, crowd, killed)
        answers, broken = crowd.result()
    assert broken > 0, "No client noticed the kills."
    return answers


def orphans(answers):
    """Return the assigned tasks that no client knows."""
    assigned = Task.objects.assigned().values_list("id", flat=True)
    return set(assigned) - set(answers.values())


def test_repeating_a_lost_claim_with_its_key_takes_no_second_task():
    answers = answers_after_kills(keys=True)

    assert orphans(answers) == set()
    known = sorted(answers.items())
    assert sorted(Task.objects.assigned().values_list("worker_id", "id")) == known
    claimed = TaskEvent.objects.filter(kind="claimed", attempt=1)
    assert sorted(claimed.values_list("worker_id", "task_id")) == known
    assert len(known) == CLIENTS
    assert violations() == {}


def test_lost_claims_without_keys_leave_orphaned_tasks():
    answers = answers_after_kills(keys=False)

    assert len(answers) == CLIENTS
    assert Task.objects.assigned().count() > CLIENTS
    assert orphans(answers)


def tap_twice(url, keys):
    """Make two simultaneous calls with each key."""
    twice = [key for key in keys for _ in range(2)]
    with ThreadPoolExecutor(len(twice)) as pool, no_event_is_written():
        taps = [pool.submit(claim, url, f"van-of-{key}", key) for key in twice]
        wait_until_blocked(taps[0], len(twice))
    return [(key, tap.result()[0]) for key, tap in zip(twice, taps, strict=True)]


def test_double_tap_takes_one_task():
    enter_ready_tasks(60)

    with serve(workers=2, WEB_THREADS="20") as server:
        tapped = tap_twice(server.url, [f"key-{n}" for n in range(10)])
        tapped += tap_twice(server.url, [f"key-{n}" for n in range(10, 20)])

    tasks_of_keys = set(tapped)
    assert len(tasks_of_keys) == len(dict(tasks_of_keys)) == 20, "Two tasks for one key."
    assert Task.objects.assigned().count() == 20
    assert violations() == {}
