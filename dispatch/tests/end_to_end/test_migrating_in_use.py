"""Migrations of tables that are in use."""

import os
import subprocess
import sys
import time

import psycopg
import pytest

from baywheels.embedded.cluster import Cluster

from ..support.server import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.own_connections, pytest.mark.timeout(240)]

# The last migration before one that alters `tasks`.
BEFORE = "0017"
READ = "SELECT count(*) FROM tasks"
# The two seconds of a migration, and what a busy machine adds.
LONGEST_READ_SECONDS = 5


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path / "db")
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


def migration(cluster, *arguments):
    environment = {**os.environ, "DATABASE_URL": cluster.url, "SECRET_KEY": "k" * 50}
    return subprocess.Popen(
        [sys.executable, "manage.py", "migrate", *arguments],
        cwd=ROOT,
        env={**environment, "ALLOWED_HOSTS": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_migration_waits_for_a_long_transaction_without_holding_up_others(cluster):
    migration(cluster, "dispatch", BEFORE).communicate()
    with psycopg.connect(cluster.url) as report:
        report.execute(READ)
        running = migration(cluster)
        # It says that it gave up once.
        line = running.stderr.readline()
        started = time.monotonic()
        with psycopg.connect(cluster.url) as other:
            other.execute("SET statement_timeout = '60s'")
            for _ in range(20):
                other.execute(READ)
        seconds = time.monotonic() - started
        assert running.poll() is None
    _, errors = running.communicate()

    assert "Trying again in 1 s." in line
    assert seconds < LONGEST_READ_SECONDS
    assert running.returncode == 0, errors


def test_two_migrations_at_once_both_succeed(cluster):
    both = [migration(cluster), migration(cluster)]

    outputs = [each.communicate() for each in both]

    assert [each.returncode for each in both] == [0, 0], outputs
