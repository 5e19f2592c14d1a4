"""kill -9 of PostgreSQL and of the service under load, on a private cluster and real gunicorn."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import psycopg
import pytest
import requests

from baywheels.embedded.cluster import Cluster

from ..support.server import ROOT, kill_nine, serve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

VANS = 12
SUGGESTIONS = 3000
# The fewest operations of each van between two kills, so that every van is at work.
STRIDE = 3


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A PostgreSQL cluster that only these tests use, and kill."""
    cluster = Cluster(tmp_path_factory.mktemp("kill-nine") / "db")
    cluster.start()
    try:
        manage(cluster, "migrate", "--verbosity=0")
        yield cluster
    finally:
        cluster.stop()


def manage(cluster, *arguments):
    environment = {**os.environ, "DATABASE_URL": cluster.url}
    environment |= {"SECRET_KEY": "k" * 50, "ALLOWED_HOSTS": "127.0.0.1"}
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(command, cwd=ROOT, env=environment, timeout=60, check=True)


def query(cluster, statement):
    with psycopg.connect(cluster.url) as connection:
        return connection.execute(statement).fetchall()


def suggest(cluster, count):
    return [
        id
        for (id,) in query(
            cluster,
            "INSERT INTO suggestions (from_station_id, to_station_id, qty, reason)"
            f" SELECT n, n + 1, 5, 'Full' FROM generate_series(1, {count}) AS n RETURNING id",
        )
    ]


class Service:
    """gunicorn on the private cluster. After `kill`, `start` runs it again on another port."""

    def __init__(self, cluster, stack):
        self.cluster, self.stack = cluster, stack
        self.start()

    def start(self):
        self.server = self.stack.enter_context(serve(workers=2, DATABASE_URL=self.cluster.url))

    def kill(self):
        kill_nine(self.server.process.pid)
        self.server.process.wait()


class Van:
    """Approves, claims and completes, and records each acknowledged operation."""

    def __init__(self, name, service, patience=60):
        self.name, self.service, self.patience = name, service, patience
        self.acknowledged = []
        self.answers = Counter()

    def work(self, suggestions, enough):
        for suggestion_id in suggestions:
            if enough.is_set():
                return
            self.move(suggestion_id)

    def move(self, suggestion_id):
        approved = self.post("/task/approve", {"suggestion_id": suggestion_id})
        self.note("approved", approved, suggestion_id)
        worker = {"worker_id": self.name}
        claimed = self.post("/dispatch/next", worker, {"Idempotency-Key": uuid4().hex})
        if self.note("claimed", claimed, self.name):
            completed = self.post(f"/task/{claimed.json()['id']}/complete", worker)
            self.note("completed", completed, self.name)

    def note(self, kind, answer, subject):
        if answer.status_code == 200:
            self.acknowledged.append((kind, answer.json()["id"], str(subject)))
        return answer.status_code == 200

    def post(self, path, body, headers=None):
        return self.ask(
            lambda url: requests.post(url + path, json=body, headers=headers, timeout=10)
        )

    def get(self, path):
        return self.ask(lambda url: requests.get(url + path, timeout=10))

    def ask(self, request):
        """Repeat the request until it has an answer other than 503."""
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            try:
                answer = request(self.service.server.url)
            except requests.RequestException:
                self.answers["broken"] += 1
            else:
                self.answers[answer.status_code] += 1
                if answer.status_code != 503:
                    return answer
            time.sleep(0.02)
        raise AssertionError(f"{self.name} got no answer: {self.answers}")


@contextmanager
def at_work(vans, suggestions):
    enough = threading.Event()
    with ThreadPoolExecutor(len(vans)) as pool:
        shares = [suggestions[n :: len(vans)] for n in range(len(vans))]
        days = [pool.submit(v.work, s, enough) for v, s in zip(vans, shares, strict=True)]
        try:
            yield
        finally:
            enough.set()
    for day in days:
        day.result()


def wait_until_all_move_on(vans):
    goals = [len(van.acknowledged) + STRIDE for van in vans]
    deadline = time.monotonic() + 60
    while any(len(van.acknowledged) < goal for van, goal in zip(vans, goals, strict=True)):
        assert time.monotonic() < deadline, "A van made no progress."
        time.sleep(0.01)


def kill_postgresql(cluster):
    kill_nine(cluster.status().pid)


OPERATIONS = """
    SELECT kind, task_id, CASE kind WHEN 'approved' THEN suggestion_id::text ELSE worker_id END
    FROM task_events
"""
STATE = """
    SELECT 'approved', id, suggestion_id::text FROM tasks
    UNION SELECT 'claimed', id, worker_id FROM tasks WHERE status IN ('assigned', 'completed')
    UNION SELECT 'completed', id, worker_id FROM tasks WHERE status = 'completed'
"""


def lost(acknowledged, cluster):
    """Return the operations that are missing in the tables, or without exactly one event."""
    happened, shown = Counter(query(cluster, OPERATIONS)), set(query(cluster, STATE))
    return [each for each in acknowledged if happened[each] != 1 or each not in shown]


def test_acknowledged_operations_survive_kill_nine(cluster):
    *suggestions, first, second, third = suggest(cluster, SUGGESTIONS)

    with ExitStack() as stack:
        service = Service(cluster, stack)
        vans = [Van(f"van-{number}", service) for number in range(VANS)]
        # The promise: the service recovers within 5 seconds of the database's return.
        probe = Van("probe", service, patience=5)
        with at_work(vans, suggestions):
            for spare, service_too in [(first, False), (second, True), (third, False)]:
                wait_until_all_move_on(vans)
                kill_postgresql(cluster)
                if service_too:
                    service.kill()
                cluster.start()
                if service_too:
                    service.start()
                probe.move(spare)
                assert probe.get("/tasks").status_code == 200
            wait_until_all_move_on(vans)

    answers = sum((van.answers for van in [probe, *vans]), Counter())
    # 404: the suggestion was approved, and the answer to that was lost.
    assert answers.keys() <= {200, 404, 503, "broken"}
    assert answers[503] > 0
    assert answers["broken"] > 0
    acknowledged = [operation for van in [probe, *vans] for operation in van.acknowledged]
    assert lost(acknowledged, cluster) == []
    assert len(probe.acknowledged) == 3 * 3
    claimed = [task for kind, task, _ in acknowledged if kind == "claimed"]
    assert len(claimed) == len(set(claimed)), "Two vans hold one task."
    manage(cluster, "check_invariants")


@contextmanager
def acknowledging_before_writing(cluster):
    """Let COMMIT return up to ten seconds before its record leaves memory."""
    settings = cluster.data / "postgresql.auto.conf"
    former = settings.read_text()
    unsafe = "synchronous_commit = off\nwal_writer_delay = 10s\nwal_writer_flush_after = 1GB\n"
    cluster.stop()
    settings.write_text(former + unsafe)
    cluster.start()
    try:
        yield
    finally:
        cluster.stop()
        settings.write_text(former)
        cluster.start()


def test_kill_nine_loses_operations_without_synchronous_commit(cluster):
    suggestions = suggest(cluster, SUGGESTIONS)

    with acknowledging_before_writing(cluster), ExitStack() as stack:
        service = Service(cluster, stack)
        vans = [Van(f"van-{number}", service) for number in range(VANS)]
        with at_work(vans, suggestions):
            wait_until_all_move_on(vans)
            kill_postgresql(cluster)
            cluster.start()
        acknowledged = [operation for van in vans for operation in van.acknowledged]
        found = lost(acknowledged, cluster)

    assert found


def approve_all(pool, url, ids):
    def approve(id):
        return requests.post(f"{url}/task/approve", json={"suggestion_id": id}, timeout=10)

    return Counter(answer.status_code for answer in pool.map(approve, ids))


def test_restart_of_postgresql_between_requests_fails_none(cluster):
    ids = suggest(cluster, 200)

    with serve(workers=2, DATABASE_URL=cluster.url) as server, ThreadPoolExecutor(32) as pool:
        assert approve_all(pool, server.url, ids[:100]) == {200: 100}
        ((kept,),) = query(cluster, "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle'")
        assert kept >= 4, "The service has no connections to lose."
        kill_postgresql(cluster)
        cluster.start()
        assert approve_all(pool, server.url, ids[100:]) == {200: 100}
