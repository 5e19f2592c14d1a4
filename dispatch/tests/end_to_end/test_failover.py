"""A database that becomes read-only, loses connections or freezes, under a real gunicorn."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
import requests

from baywheels.embedded.cluster import DATABASE, Cluster

from ..support.machines import wait_until
from ..support.server import ROOT, serve
from ..support.standby import standby_of

pytestmark = [pytest.mark.own_connections, pytest.mark.slow]

STATIONS = count(100)
UNAVAILABLE = {"detail": "The database is busy or unavailable; try again."}
TERMINATE_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND usename = current_user"
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("failover") / "db")
    cluster.start()
    try:
        manage(cluster, "migrate", "--verbosity=0").check_returncode()
        yield cluster
    finally:
        cluster.stop()


def environment(cluster, **changed):
    return {
        **os.environ,
        "DATABASE_URL": cluster.url,
        "SECRET_KEY": "k" * 50,
        "ALLOWED_HOSTS": "127.0.0.1",
        **changed,
    }


def manage(cluster, *arguments, **changed):
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(cluster, **changed),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def query(cluster, *statements):
    writable = "-c default_transaction_read_only=off"
    with psycopg.connect(cluster.url, options=writable, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@contextmanager
def by_default(cluster, setting):
    """New sessions have the setting; existing ones are ended, as a failover does."""
    query(cluster, f"ALTER DATABASE {DATABASE} SET {setting}", TERMINATE_OTHERS)
    try:
        yield
    finally:
        name = setting.partition("=")[0]
        query(cluster, f"ALTER DATABASE {DATABASE} RESET {name}")


def post(server, path, body, token=""):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.post(f"{server.url}{path}", json=body, headers=headers, timeout=15)


def propose(server, token=""):
    move = {"from_station_id": next(STATIONS), "to_station_id": 1, "qty": 1, "reason": "full"}
    return post(server, "/suggestions", move, token)


def approve(server, suggestion):
    return post(server, "/task/approve", {"suggestion_id": suggestion["id"]}).status_code


@pytest.mark.parametrize("target", ["read-write", "any"])
def test_writes_to_a_read_only_database_are_503_and_recover_at_once(cluster, target):
    separator = "&" if "?" in cluster.url else "?"
    url = f"{cluster.url}{separator}target_session_attrs={target}"
    with serve(DATABASE_URL=url) as server:
        assert propose(server).status_code == 200

        with by_default(cluster, "default_transaction_read_only=on"):
            propose(server)
            refused = propose(server)
            assert refused.status_code == 503
            assert refused.json() == UNAVAILABLE
            assert refused.headers["Retry-After"]
            assert requests.get(f"{server.url}/readyz", timeout=15).status_code == 503
            # Leave a read-only connection in every thread.
            for _ in range(8):
                assert propose(server).status_code == 503

        assert [propose(server).status_code for _ in range(8)] == [200] * 8
        assert requests.get(f"{server.url}/readyz", timeout=15).status_code == 200


def test_ended_sessions_fail_no_request_with_a_token(cluster):
    token = manage(cluster, "create_token", "maria", "--role=dispatcher").stdout.strip()
    statuses, enough = Counter(), threading.Event()

    def propose_and_count(server):
        status = propose(server, token).status_code
        statuses[status] += 1
        return status

    def propose_until_enough(server):
        while not enough.is_set():
            propose_and_count(server)

    with (
        serve(DATABASE_URL=cluster.url, API_AUTH="required") as server,
        ThreadPoolExecutor(4) as threads,
    ):
        proposing = [threads.submit(propose_until_enough, server) for _ in range(4)]
        for number in range(1, 41):
            wait_until(lambda least=5 * number: statuses.total() > least, "Requests hang.")
            query(cluster, TERMINATE_OTHERS)
        enough.set()
        for each in proposing:
            each.result()
        # The threads have yet to notice the sessions that ended last.
        for _ in range(8):
            propose_and_count(server)
        assert [propose_and_count(server) for _ in range(8)] == [200] * 8
    assert set(statuses) <= {200, 503}


@pytest.mark.parametrize("level", ["serializable", "repeatable read"])
def test_default_isolation_does_not_fail_simultaneous_requests(cluster, level):
    with (
        by_default(cluster, f"default_transaction_isolation='{level}'"),
        serve(DATABASE_URL=cluster.url) as server,
        ThreadPoolExecutor(4) as threads,
    ):
        for _ in range(10):
            suggestion = propose(server).json()
            answers = sorted(threads.map(approve, [server] * 4, [suggestion] * 4))
            assert answers == [200, 404, 404, 404]


def test_request_to_a_frozen_database_is_503_after_the_answer_timeout(cluster):
    with serve(DATABASE_URL=cluster.url, DB_ANSWER_SECONDS="1") as server:
        assert propose(server).status_code == 200
        with frozen(cluster):
            began = time.monotonic()
            answers = [propose(server) for _ in range(2)]
            assert time.monotonic() - began < 10
            assert [answer.status_code for answer in answers] == [503, 503]

        assert approve(server, propose(server).json()) == 200


@contextmanager
def frozen(cluster):
    postmaster = cluster.status().pid
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    processes = [postmaster, *map(int, children)]
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)


def test_command_reports_a_read_only_database_in_one_line(cluster):
    with by_default(cluster, "default_transaction_read_only=on"):
        for command in (["sweep"], ["migrate"], ["preflight"]):
            done = manage(cluster, *command)
            assert done.returncode == 1
            [line] = done.stderr.splitlines()
            assert "read-only" in line


HOSTS = [
    "postgresql://postgres@/baywheels?host={dead},{live}&port=5432,5432",
    "postgresql://postgres@/baywheels?host={live},{dead}",
    "postgresql://postgres@127.0.0.1:1,{live}:5432/baywheels",
]


@pytest.mark.parametrize("url", HOSTS)
def test_database_url_may_name_a_dead_host_among_several(cluster, url):
    live = quote(str(cluster.socket_dir), safe="")
    several = url.format(live=live, dead="127.0.0.1")

    done = manage(cluster, "preflight", DATABASE_URL=several)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["preflight", "migrate"])
def test_database_that_is_not_utf8_is_refused_in_one_line(cluster, command):
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    try:
        done = manage(cluster, command, DATABASE_URL=cluster.url.replace("/baywheels", "/latin"))
    finally:
        query(cluster, "DROP DATABASE latin")

    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "encoding is LATIN1" in line


def test_sweep_with_every_survives_a_read_only_database(cluster):
    with subprocess.Popen(
        [sys.executable, "manage.py", "sweep", "--every", "1"],
        cwd=ROOT,
        env=environment(cluster),
        stderr=subprocess.PIPE,
        text=True,
    ) as sweep:
        try:
            with by_default(cluster, "default_transaction_read_only=on"):
                assert "read-only" in sweep.stderr.readline()
            # An expired suggestion that it deletes shows that it goes on.
            with psycopg.connect(cluster.url, autocommit=True) as connection:
                connection.execute(EXPIRED_SUGGESTION)
                deadline = time.monotonic() + 20
                while connection.execute(COUNT_EXPIRED).fetchone() != (0,):
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            assert sweep.poll() is None
        finally:
            sweep.terminate()


EXPIRED_SUGGESTION = (
    "INSERT INTO suggestions (from_station_id, to_station_id, qty, reason, expires_at)"
    " VALUES (1, 2, 3, 'expired', now() - interval '1 hour')"
)
COUNT_EXPIRED = "SELECT count(*) FROM suggestions WHERE reason = 'expired'"


def test_first_write_after_the_promotion_of_a_standby_succeeds(cluster, tmp_path):
    with standby_of(cluster, tmp_path / "standby") as (standby, programs):
        url = f"{standby.url}&target_session_attrs=any"
        with serve(DATABASE_URL=url, probe="/healthz") as server:
            for _ in range(8):
                assert requests.get(f"{server.url}/suggestions", timeout=15).status_code == 200
                assert propose(server).status_code == 503
                assert requests.get(f"{server.url}/readyz", timeout=15).status_code == 503

            promoted = programs.run("pg_ctl", "promote", "-w", place=standby)
            assert promoted.returncode == 0, promoted.stderr
            assert [propose(server).status_code for _ in range(8)] == [200] * 8
            assert requests.get(f"{server.url}/readyz", timeout=15).status_code == 200
