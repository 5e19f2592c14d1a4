"""Migrations of tables that are in use."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import IsolationLevel

from baywheels.embedded.cluster import Cluster

from ..support.server import ROOT
from ..support.versions import INDEX, next_version

pytestmark = [pytest.mark.slow, pytest.mark.own_connections, pytest.mark.timeout(240)]

# The last migration before one that alters `tasks`.
BEFORE = "0017"
READ = "SELECT count(*) FROM tasks"
# The two seconds of a migration, and what a busy machine adds.
LONGEST_READ_SECONDS = 5
PATIENCE_SECONDS = 60
# This migration alters `tasks`, and then `crews`.
BEFORE_TWO_TABLES, TWO_TABLES = "0026", "0027"
WAITING = "SELECT pid FROM pg_locks WHERE relation = 'crews'::regclass AND NOT granted"


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path / "db")
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


def start(cluster, *arguments, folder=ROOT):
    environment = {**os.environ, "DATABASE_URL": cluster.url, "SECRET_KEY": "k" * 50}
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=folder,
        env={**environment, "ALLOWED_HOSTS": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def migration(cluster, *arguments, folder=ROOT):
    return start(cluster, "migrate", *arguments, folder=folder)


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


def test_migration_that_a_deadlock_ends_is_tried_again(cluster):
    migration(cluster, "dispatch", BEFORE_TWO_TABLES).communicate()
    with (
        psycopg.connect(cluster.url) as job,
        psycopg.connect(cluster.url, autocommit=True) as queries,
    ):
        # The migration notices the deadlock before its wait ends, and the job never does.
        queries.execute("ALTER DATABASE baywheels SET deadlock_timeout = '1800ms'")
        job.execute("SET deadlock_timeout = '1min'")
        job.execute("LOCK TABLE crews IN ROW EXCLUSIVE MODE")
        running = migration(cluster, "dispatch", TWO_TABLES)
        until(queries, WAITING, 1)
        job.execute("LOCK TABLE tasks IN ROW EXCLUSIVE MODE")
    _, errors = running.communicate()

    assert "Trying again in 1 s." in errors
    assert running.returncode == 0, errors
    assert "deadlock detected" in cluster.log.read_text()


def test_two_migrations_at_once_both_succeed(cluster):
    both = [migration(cluster), migration(cluster)]

    outputs = [each.communicate() for each in both]

    assert [each.returncode for each in both] == [0, 0], outputs


# Longer than `migrate` waits for a lock.
BUILDING = """
    SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%'
    AND state = 'active' AND clock_timestamp() - query_start > interval '3 s'
"""
IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass"


def until(connection, statement, expected):
    """Repeat the query until it returns as many rows; return them."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(rows := connection.execute(statement).fetchall()) != expected:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return rows


@contextmanager
def building_behind_a_report(cluster, folder):
    """Yield the next version's migration, whose index waits for the report of another connection.

    Also yields that connection, and one for queries.
    """
    migration(cluster).communicate()
    with (
        psycopg.connect(cluster.url) as report,
        psycopg.connect(cluster.url, autocommit=True) as queries,
    ):
        # It reads another table: a new column of `tasks` does not wait for it.
        report.isolation_level = IsolationLevel.REPEATABLE_READ
        report.execute("SELECT count(*) FROM stations")
        with migration(cluster, folder=next_version(folder)) as running:
            yield running, report, queries


def test_index_is_built_however_long_a_report_takes(cluster, tmp_path):
    with building_behind_a_report(cluster, tmp_path) as (running, report, queries):
        until(queries, BUILDING, 1)
        report.commit()
        _, errors = running.communicate()

        assert (running.returncode, errors) == (0, "")
        assert queries.execute(IS_VALID, [INDEX]).fetchone() == (True,)


@pytest.mark.parametrize("interrupted", ["client", "server"])
def test_interrupted_build_of_an_index_is_repeated(cluster, tmp_path, interrupted):
    with building_behind_a_report(cluster, tmp_path) as (running, report, queries):
        [[backend]] = until(queries, BUILDING, 1)
        running.kill()
        if interrupted == "server":
            queries.execute("SELECT pg_terminate_backend(%s)", [backend])
        report.commit()
        # PostgreSQL finishes the build of a client that is gone.
        until(queries, f"SELECT FROM pg_stat_activity WHERE pid = {backend}", 0)
        [left_valid] = queries.execute(IS_VALID, [INDEX]).fetchone()
        _, warning = start(cluster, "preflight").communicate()
        again = migration(cluster, folder=tmp_path)
        _, errors = again.communicate()

        assert left_valid is (interrupted == "client")
        assert (f"REINDEX INDEX CONCURRENTLY {INDEX};" in warning) is not left_valid
        assert (again.returncode, errors) == (0, "")
        assert queries.execute(IS_VALID, [INDEX]).fetchone() == (True,)


@pytest.mark.parametrize("option", ["--plan", "--check", "--fake"])
def test_index_built_by_hand_stays_while_no_migration_runs(cluster, tmp_path, option):
    migration(cluster).communicate()
    folder = next_version(tmp_path)
    with psycopg.connect(cluster.url, autocommit=True) as queries:
        queries.execute(f"CREATE INDEX {INDEX} ON tasks (id)")

        migration(cluster, option, folder=folder).communicate()

        assert queries.execute(IS_VALID, [INDEX]).fetchone() == (True,)
