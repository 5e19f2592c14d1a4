"""gunicorn on a real PgBouncer in transaction mode, with the shipped file."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import requests
from django.db import connection, transaction

from baywheels.embedded.cluster import Cluster
from deploy import private
from dispatch.models import Task

from ..support.concurrency import background, wait_until_blocked
from ..support.factories import TaskFactory
from ..support.loads import (
    approve_all_by_eight,
    assert_each_became_one_task,
    assert_each_task_was_claimed_once,
    claim_all,
    make_suggestions,
    make_tasks,
    workers_dying,
)
from ..support.server import ROOT, database_url, serve
from ..support.upstreams import need

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(240),
]

POOL = 2
# query_wait_timeout, and what this machine may be late.
WAIT_SECONDS = 2
LATE_SECONDS = 3


@pytest.fixture(autouse=True, scope="module")
def pgbouncer_is_here():
    need("pgbouncer")


@contextmanager
def behind_pgbouncer(workers=1, **settings):
    with (
        private.pgbouncer(database_url(), **settings) as url,
        serve(workers, DATABASE_URL=url, BEHIND_PGBOUNCER="true") as server,
    ):
        yield server


def test_no_task_is_handed_out_twice_or_lost_while_processes_are_killed():
    make_tasks(1200)

    with behind_pgbouncer(workers=3) as server, workers_dying(server) as killer:
        claimed, broken = claim_all(server.url)

    assert killer.killed >= 2, "The test ended before anything was killed."
    assert broken > 0
    assert_each_task_was_claimed_once(claimed)


def test_a_thousand_suggestions_approved_by_eight_clients_each_make_a_thousand_tasks():
    ids = make_suggestions(1000)

    with behind_pgbouncer(workers=3) as server:
        answers = approve_all_by_eight(server.url, ids)

    assert_each_became_one_task(ids, answers)


def backends():
    """Of other connections to the test's database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        return {pid for (pid,) in cursor.fetchall()}


def test_many_clients_are_served_by_few_connections():
    make_tasks(300)
    # Those of the servers that this process of the tests shares.
    before = backends()

    with behind_pgbouncer(workers=2, default_pool_size=POOL) as server:
        claimed, broken = claim_all(server.url)
        connections = backends() - before

    assert broken == 0
    assert len(connections) <= POOL
    assert_each_task_was_claimed_once(claimed)


@pytest.fixture
def timeouts_of_the_role():
    """As docs/operations.md has them, for this test's database alone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT format('%I IN DATABASE %I', current_user, current_database())")
        (role,) = cursor.fetchone()
        cursor.execute(f"ALTER ROLE {role} SET lock_timeout = '1s'")
        yield
        cursor.execute(f"ALTER ROLE {role} RESET lock_timeout")


def complete(url, task):
    """The answer, and the seconds that it took."""
    start = time.monotonic()
    answer = requests.post(f"{url}/task/{task.pk}/complete", timeout=30)
    return answer, time.monotonic() - start


def is_busy(answer):
    return (
        answer.status_code == 503
        and answer.json() == {"detail": "The database is busy or unavailable; try again."}
        and answer.headers["Retry-After"] == "2"
    )


def test_when_connections_are_short_others_wait_two_seconds_are_told_503_and_it_heals():
    *held, free = TaskFactory.create_batch(POOL + 1, assigned=True)

    # Without its role's timeouts, who waits for a lock keeps its connection.
    with behind_pgbouncer(workers=4, default_pool_size=POOL) as server, background() as run:
        with transaction.atomic():
            list(Task.objects.select_for_update().filter(pk__in=[task.pk for task in held]))
            holders = [run(complete, server.url, task) for task in held]
            wait_until_blocked(holders[0], POOL)
            others = [run(complete, server.url, free) for _ in range(12)]
            refused = [call.result() for call in others]
            ready = requests.get(f"{server.url}/readyz", timeout=30)
        served = [call.result()[0] for call in holders]
        healed, seconds = complete(server.url, free)

    assert all(is_busy(answer) for answer, _ in refused)
    assert min(took for _, took in refused) > WAIT_SECONDS - 1
    assert max(took for _, took in refused) < WAIT_SECONDS + LATE_SECONDS
    assert ready.status_code == 503
    assert [answer.status_code for answer in [*served, healed]] == [200] * (POOL + 1)
    assert seconds < LATE_SECONDS


@pytest.mark.own_connections
def test_the_timeouts_of_the_role_end_a_wait_for_a_lock(timeouts_of_the_role):
    held = TaskFactory(assigned=True)

    with behind_pgbouncer() as server:
        with transaction.atomic():
            Task.objects.select_for_update().get(pk=held.pk)
            refused, seconds = complete(server.url, held)
        served, _ = complete(server.url, held)

    assert is_busy(refused)
    assert seconds < 1 + LATE_SECONDS
    assert served.status_code == 200


def test_a_postgresql_that_was_away_is_found_again_within_five_seconds(tmp_path):
    cluster = Cluster(tmp_path / "db")
    cluster.start()
    try:
        migrated = {"DATABASE_URL": cluster.url, "SECRET_KEY": "k" * 50, "ALLOWED_HOSTS": "x"}
        command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        subprocess.run(command, cwd=ROOT, env={**os.environ, **migrated}, timeout=90, check=True)
        with (
            private.pgbouncer(cluster.url) as url,
            serve(DATABASE_URL=url, BEHIND_PGBOUNCER="true") as server,
        ):

            def status():
                return requests.get(f"{server.url}/suggestions", timeout=30).status_code

            before = status()
            cluster.stop()
            start = time.monotonic()
            away = {status() for _ in range(3)}
            waited = time.monotonic() - start
            cluster.start()
            back = time.monotonic()
            while (answer := status()) == 503 and time.monotonic() < back + 20:
                pass
            healed = time.monotonic() - back
    finally:
        cluster.stop()

    assert (before, away, answer) == (200, {503}, 200)
    assert waited < 3 * (WAIT_SECONDS + LATE_SECONDS)
    assert healed < 5
