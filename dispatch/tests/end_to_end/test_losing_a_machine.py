"""A database machine dies under load: nothing acknowledged is lost, and work goes on."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from uuid import uuid4

import psycopg
import pytest
import requests

from ..support.machines import three_machines, wait_until
from ..support.server import ROOT, serve
from ..support.upstreams import need

pytestmark = [pytest.mark.slow, pytest.mark.own_connections, pytest.mark.timeout(600)]

VANS, TASKS = 6, 4000
# Docs promise these. The gap is between two acknowledged claims of any van.
LONGEST_GAP_SECONDS, LONGEST_ANSWER_SECONDS = 30, 10
ALLOWED = {200, 404, 503}
APPROVE = """
from dispatch import services
from dispatch.models import Suggestion
from dispatch.services import SuggestionRow
rows = [SuggestionRow(n, n + 1, 5, "Full") for n in range(1, {tasks} + 1)]
services.ingest_suggestions(rows, source="drill", actor="drill")
ids = list(Suggestion.objects.values_list("id", flat=True))
for first in range(0, len(ids), 1000):
    services.approve_suggestions(ids[first:first + 1000], actor="drill")
"""


def command(url, *arguments):
    environment = {**os.environ, "DATABASE_URL": url, "SECRET_KEY": "k" * 50}
    return {
        "args": [sys.executable, "manage.py", *arguments],
        "cwd": ROOT,
        "env": {**environment, "ALLOWED_HOSTS": "127.0.0.1"},
        "text": True,
    }


def manage(url, *arguments):
    done = subprocess.run(**command(url, *arguments), capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass
class Books:
    """The answers to the vans: acknowledged claims and completions, and every answer."""

    claims: list = field(default_factory=list)
    completions: list = field(default_factory=list)
    times: list = field(default_factory=list)
    statuses: Counter = field(default_factory=Counter)
    slowest: float = 0

    def post(self, url, body, **headers):
        started = time.monotonic()
        answer = requests.post(url, json=body, headers=headers, timeout=60)
        self.slowest = max(self.slowest, time.monotonic() - started)
        self.statuses[answer.status_code] += 1
        return answer

    def longest_gap(self):
        times = sorted(self.times)
        return max(later - earlier for earlier, later in pairwise(times))


def drive(url, van, books, enough):
    while not enough.is_set():
        key = uuid4().hex
        answer = None
        while (answer is None or answer.status_code == 503) and not enough.is_set():
            answer = books.post(
                f"{url}/dispatch/next", {"worker_id": van}, **{"Idempotency-Key": key}
            )
        if answer is None or answer.status_code != 200:
            continue
        task_id = answer.json()["id"]
        books.times.append(time.monotonic())
        books.claims.append((task_id, van))
        done = books.post(f"{url}/task/{task_id}/complete", {"worker_id": van})
        if done.status_code == 200:
            books.completions.append((task_id, van))


@contextmanager
def vans_at_work(url):
    books, enough = Books(), threading.Event()
    with ThreadPoolExecutor(VANS) as pool:
        vans = [pool.submit(drive, url, f"van-{n}", books, enough) for n in range(VANS)]
        try:
            yield books
        finally:
            enough.set()
    for van in vans:
        van.result()


@contextmanager
def sweeping(url):
    with subprocess.Popen(**command(url, "sweep", "--every", "1")) as process:
        try:
            yield process
        finally:
            process.terminate()


def work_resumes(books):
    before = len(books.claims)
    wait_until(lambda: len(books.claims) > before + 5 * VANS, "No claim is acknowledged.")


def check_books(url, books):
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT id, worker_id, status FROM tasks WHERE attempt > 0")
        found = {pk: (worker, status) for pk, worker, status in rows}
        [[twice]] = connection.execute("SELECT count(*) FROM tasks WHERE attempt > 1")
    lost = [claim for claim in books.claims if found.get(claim[0], ("",))[0] != claim[1]]
    lost += [done for done in books.completions if found.get(done[0]) != (done[1], "completed")]
    assert (lost, twice) == ([], 0)
    assert len({task for task, _ in books.claims}) == len(books.claims)
    assert json.loads(manage(url, "check_invariants", "--json"))["ok"]


def kill_postgres(machine):
    for pid in machine.postgres():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_nothing_acknowledged_is_lost_with_the_leader(tmp_path):
    for program in ("etcd", "haproxy"):
        need(program)
    with three_machines(tmp_path) as machines:
        url = machines.url
        manage(url, "migrate", "--verbosity=0")
        manage(url, "shell", "--no-imports", "--command", APPROVE.format(tasks=TASKS))
        machines.wait_until_whole()
        with serve(2, DATABASE_URL=url) as server, sweeping(url) as sweep:
            workers = server.workers()
            for fault in (lambda machine: machine.kill(), kill_postgres):
                with vans_at_work(server.url) as books:
                    work_resumes(books)
                    leader = machines.leader()
                    fault(leader)
                    work_resumes(books)
                print(f"gap {books.longest_gap():.1f} s, slowest answer {books.slowest:.1f} s")
                assert set(books.statuses) <= ALLOWED
                assert books.longest_gap() <= LONGEST_GAP_SECONDS
                assert books.slowest <= LONGEST_ANSWER_SECONDS
                assert server.workers() == workers
                assert sweep.poll() is None
                check_books(url, books)
                if not leader.processes:
                    leader.start_etcd(machines)
                    leader.start_patroni(machines)
                machines.wait_until_whole()
