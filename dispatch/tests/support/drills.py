"""The service on three database machines, with vans at work, while one of them fails."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from uuid import uuid4

import psycopg
import pytest
import requests

from .machines import three_machines, wait_until
from .server import ROOT, serve
from .upstreams import need

nightly = pytest.mark.skipif(
    os.environ.get("DRILLS") != "all", reason="It takes minutes: DRILLS=all runs it."
)
VANS, TASKS = 6, 12_000
# Docs promise these. The gap is between two acknowledged claims of any van.
LONGEST_GAP_SECONDS, LONGEST_ANSWER_SECONDS = 30, 10
# Vans that get 503 wait for as long before they try again.
PAUSE_SECONDS = 0.05
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


def token_of(url, van):
    return manage(url, "create_token", van, "--role=worker", f"--worker-id={van}").strip()


@dataclass
class Books:
    """The answers to the vans: acknowledged claims and completions, and every answer.

    `tokens`: by van. A request with one reads the database before its transaction.
    """

    tokens: dict
    claims: list = field(default_factory=list)
    completions: list = field(default_factory=list)
    times: list = field(default_factory=list)
    statuses: Counter = field(default_factory=Counter)
    slowest: float = 0

    def post(self, url, van, **headers):
        started = time.monotonic()
        headers["Authorization"] = f"Bearer {self.tokens[van]}"
        answer = requests.post(url, json={"worker_id": van}, headers=headers, timeout=60)
        self.slowest = max(self.slowest, time.monotonic() - started)
        self.statuses[answer.status_code] += 1
        return answer

    def longest_gap(self):
        times = sorted(self.times)
        return max(later - earlier for earlier, later in pairwise(times))

    def lost(self, tasks):
        """Return what was acknowledged and is not in `tasks`: worker and status by id."""
        claims = [each for each in self.claims if tasks.get(each[0], ("",))[0] != each[1]]
        done = [each for each in self.completions if tasks.get(each[0]) != (each[1], "completed")]
        return claims + done


def drive(url, van, books, enough):
    while not enough.is_set():
        key = uuid4().hex
        answer = None
        while (answer is None or answer.status_code == 503) and not enough.is_set():
            answer = books.post(f"{url}/dispatch/next", van, **{"Idempotency-Key": key})
            if answer.status_code == 503:
                enough.wait(PAUSE_SECONDS)
        if answer is None or answer.status_code != 200:
            continue
        task_id = answer.json()["id"]
        books.times.append(time.monotonic())
        books.claims.append((task_id, van))
        done = books.post(f"{url}/task/{task_id}/complete", van)
        if done.status_code == 200:
            books.completions.append((task_id, van))


@contextmanager
def vans_at_work(url, tokens):
    books, enough = Books(tokens), threading.Event()
    with ThreadPoolExecutor(VANS) as pool:
        vans = [pool.submit(drive, url, van, books, enough) for van in tokens]
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


@dataclass
class Service:
    machines: list
    server: object
    sweep: subprocess.Popen
    workers: list
    tokens: dict

    @contextmanager
    def at_work(self):
        """Yield the books of vans that work before, during and after the block."""
        with vans_at_work(self.server.url, self.tokens) as books:
            work_goes_on(books)
            yield books
            work_goes_on(books)
        print(
            f"{len(books.claims)} claims, longest gap {books.longest_gap():.1f} s, "
            f"slowest answer {books.slowest:.1f} s, {dict(books.statuses)}"
        )

    def tasks(self):
        """Return the worker and status of each claimed task, and the ids of those claimed twice."""
        with psycopg.connect(self.machines.url) as connection:
            rows = connection.execute("SELECT id, worker_id, status FROM tasks WHERE attempt > 0")
            found = {pk: (worker, status) for pk, worker, status in rows}
            twice = connection.execute("SELECT id FROM tasks WHERE attempt > 1").fetchall()
        return found, twice

    def check(self, books, longest_gap=LONGEST_GAP_SECONDS):
        """Nothing acknowledged is lost, no task has two holders, and nothing was restarted."""
        found, twice = self.tasks()
        assert (books.lost(found), twice) == ([], [])
        assert len({task for task, _ in books.claims}) == len(books.claims)
        assert json.loads(manage(self.machines.url, "check_invariants", "--json"))["ok"]
        assert set(books.statuses) <= ALLOWED
        assert books.longest_gap() <= longest_gap
        assert books.slowest <= LONGEST_ANSWER_SECONDS
        assert self.server.workers() == self.workers
        assert self.sweep.poll() is None


def work_goes_on(books):
    before = len(books.claims)
    wait_until(lambda: len(books.claims) > before + 5 * VANS, "No claim is acknowledged.")


@contextmanager
def service_on_three_machines(folder, **dcs):
    """Run it with tasks that are ready. `dcs`: changes of Patroni's configuration."""
    for program in ("etcd", "haproxy"):
        need(program)
    with three_machines(folder, **dcs) as machines:
        url = machines.url
        manage(url, "migrate", "--verbosity=0")
        manage(url, "shell", "--no-imports", "--command", APPROVE.format(tasks=TASKS))
        tokens = {van: token_of(url, van) for van in (f"van-{n}" for n in range(VANS))}
        machines.wait_until_whole()
        environment = {"DATABASE_URL": url, "API_AUTH": "required", "LOG_LEVEL": "ERROR"}
        with serve(2, **environment) as server, sweeping(url) as sweep:
            yield Service(machines, server, sweep, server.workers(), tokens)
