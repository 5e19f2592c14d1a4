"""gunicorn on a real PgBouncer in transaction mode, with the shipped configuration."""

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
    assert_each_task_was_claimed_once,
    assert_eight_clients_make_one_task_of_each,
    assert_killed_processes_lose_no_task,
    claim_all,
    make_tasks,
)
from ..support.server import ROOT, database_url, serve
from ..support.upstreams import need

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(240),
]

POOL = 2
# The service promises to answer every request in time, and to recover, without a restart, soon
# after the database does.
ANSWER_SECONDS = 10
RECOVERY_SECONDS = 5


@pytest.fixture(autouse=True, scope="module")
def pgbouncer_is_installed():
    need("pgbouncer")


@contextmanager
def behind_pgbouncer(workers=1, **settings):
    # PgBouncer's limits end waits here, not the service's own.
    own = {"BEHIND_PGBOUNCER": "true", "DB_ANSWER_SECONDS": "60"}
    with (
        private.pgbouncer(database_url(), **settings) as url,
        serve(workers, DATABASE_URL=url, **own) as server,
    ):
        yield server


def test_killed_processes_lose_no_task_and_hand_out_none_twice():
    assert_killed_processes_lose_no_task(behind_pgbouncer)


def test_eight_clients_approving_the_same_suggestions_make_one_task_each():
    assert_eight_clients_make_one_task_of_each(behind_pgbouncer)


def backends():
    """Return the process ids of all other connections to the test's database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        return {pid for (pid,) in cursor.fetchall()}


def test_many_clients_share_few_connections():
    make_tasks(300)
    # The servers that tests of this process share have connections too.
    before = backends()

    with behind_pgbouncer(workers=2, default_pool_size=POOL) as server:
        claimed, broken = claim_all(server.url)
        connections = backends() - before

    assert broken == 0
    assert len(connections) <= POOL
    assert_each_task_was_claimed_once(claimed)


@pytest.fixture
def role_timeouts():
    """The setting of docs/operations.md, for this test's database only."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT format('%I IN DATABASE %I', current_user, current_database())")
        (role,) = cursor.fetchone()
        cursor.execute(f"ALTER ROLE {role} SET lock_timeout = '1s'")
        yield
        cursor.execute(f"ALTER ROLE {role} RESET lock_timeout")


def complete(url, task):
    return requests.post(f"{url}/task/{task.pk}/complete", timeout=ANSWER_SECONDS)


def complete_slowly(url, task):
    """Complete a task that another transaction holds for as long as the test needs."""
    return requests.post(f"{url}/task/{task.pk}/complete", timeout=60)


def is_busy(answer):
    return (
        answer.status_code == 503
        and answer.json() == {"detail": "The database is busy or unavailable; try again."}
        and answer.headers["Retry-After"] == "2"
    )


def test_requests_get_503_while_all_connections_are_busy():
    *held, free = TaskFactory.create_batch(POOL + 1, assigned=True)

    # Without the role's timeouts, a request that waits for a lock keeps its connection.
    with behind_pgbouncer(workers=4, default_pool_size=POOL) as server, background() as run:
        with transaction.atomic():
            list(Task.objects.select_for_update().filter(pk__in=[task.pk for task in held]))
            waiting = [run(complete_slowly, server.url, task) for task in held]
            wait_until_blocked(waiting[0], POOL)
            others = [run(complete_slowly, server.url, free) for _ in range(6)]
            refused = [call.result() for call in others]
            ready = requests.get(f"{server.url}/readyz", timeout=ANSWER_SECONDS)
            assert [call.result().text for call in waiting if call.done()] == []
        served = [call.result() for call in waiting]
        recovered = complete(server.url, free)

    assert all(is_busy(answer) for answer in refused)
    assert ready.status_code == 503
    assert [answer.status_code for answer in [*served, recovered]] == [200] * (POOL + 1)


@pytest.mark.own_connections
def test_role_timeouts_end_a_wait_for_a_lock(role_timeouts):
    held = TaskFactory(assigned=True)

    with behind_pgbouncer() as server:
        with transaction.atomic():
            Task.objects.select_for_update().get(pk=held.pk)
            refused = complete(server.url, held)
        served = complete(server.url, held)

    assert is_busy(refused)
    assert served.status_code == 200


def test_service_recovers_soon_after_postgresql_returns(tmp_path):
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
                return requests.get(f"{server.url}/suggestions", timeout=ANSWER_SECONDS).status_code

            before = status()
            cluster.stop()
            unavailable = {status() for _ in range(3)}
            cluster.start()
            deadline = time.monotonic() + RECOVERY_SECONDS
            while (after := status()) == 503 and time.monotonic() < deadline:
                pass
    finally:
        cluster.stop()

    assert (before, unavailable, after) == (200, {503}, 200)
