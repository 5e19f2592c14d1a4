"""Tests run on real PostgreSQL: DATABASE_URL's, or else the embedded one, started for the run."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch
from urllib.parse import quote

import pytest
import requests
from django.conf import settings
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations
from django.test import override_settings

from baywheels.embedded import cluster

T = TypeVar("T")
ROOT = Path(__file__).parent
started_here = False


def pytest_configure(config: pytest.Config) -> None:
    global started_here
    is_controller = not hasattr(config, "workerinput")
    if is_controller and not os.environ.get("DATABASE_URL"):
        started_here = cluster.DEFAULT.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    if started_here:
        cluster.DEFAULT.stop()


@pytest.fixture(autouse=True, scope="session")
def quick_tests() -> Iterator[None]:
    with override_settings(
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        # Otherwise each test's client begins by reading all static files.
        WHITENOISE_AUTOREFRESH=True,
    ):
        yield


@pytest.fixture(autouse=True, scope="session")
def quick_flush() -> Iterator[None]:
    """A test with transactions of its own leaves rows in a few tables: only those are emptied.

    Django's flush gives each of all tables and indexes a new file, then fills its own anew.
    """
    filled_by_django = {"django_content_type", "auth_permission"}

    def sql_flush(ops: DatabaseOperations, _: Any, tables: list[str], **__: Any) -> list[str]:
        emptied = set(tables) - filled_by_django
        asked = " UNION ALL ".join(f"(SELECT '{name}' FROM {name} LIMIT 1)" for name in emptied)
        with ops.connection.cursor() as cursor:
            cursor.execute(asked)
            filled = ", ".join(name for (name,) in cursor.fetchall())
        return [f"TRUNCATE {filled} CASCADE"] if filled else []

    with (
        patch.object(DatabaseOperations, "sql_flush", sql_flush),
        patch("django.core.management.commands.flush.emit_post_migrate_signal"),
    ):
        yield


class Server:
    """A real gunicorn on the test database."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log
        self.url = f"http://127.0.0.1:{self._wait_for(self._port)}"
        self._wait_for(self._answers)

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def _wait_for(self, question: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + 30
        while (answer := question()) is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"gunicorn does not serve:\n{self.log.read_text()}")
            time.sleep(0.05)
        return answer

    def _port(self) -> str | None:
        listening = re.search(r"Listening at: http://127.0.0.1:(\d+)", self.log.read_text())
        return listening[1] if listening else None

    def _answers(self) -> bool | None:
        try:
            return requests.get(f"{self.url}/readyz", timeout=10).ok or None
        except requests.ConnectionError:
            return None


def database_url() -> str:
    """How another process reaches the database that this test uses."""
    config = connection.settings_dict
    host, port, name = config["HOST"], config["PORT"], config["NAME"]
    host = config["OPTIONS"].get("host", host)
    user = quote(config["USER"] or "postgres", safe="")
    password = quote(config["PASSWORD"] or "", safe="")
    return f"postgresql://{user}:{password}@:{port or 5432}/{name}?host={quote(host, safe='')}"


@contextmanager
def serve(workers: int = 1, **environment: str) -> Iterator[Server]:
    """Run gunicorn as production does. Needs `transactional_db`: it sees only what is committed."""
    with tempfile.NamedTemporaryFile("w+", suffix=".log") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "baywheels.wsgi", "--bind", "127.0.0.1:0"],
            cwd=ROOT,
            env={
                **os.environ,
                "DATABASE_URL": database_url(),
                # The tests' own, so that a session made here is one there.
                "SECRET_KEY": settings.SECRET_KEY,
                "ALLOWED_HOSTS": "127.0.0.1,localhost",
                "API_AUTH": "open",
                "HTTPS_ONLY": "false",
                "WEB_CONCURRENCY": str(workers),
                "LOG_LEVEL": "WARNING",
                **environment,
            },
            stderr=log,
        )
        try:
            yield Server(process, Path(log.name))
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def one_gunicorn(django_db_setup: None, django_db_blocker: Any) -> Iterator[Server]:
    with django_db_blocker.unblock(), serve() as server:
        yield server


@pytest.fixture(scope="session")
def one_closed_gunicorn(django_db_setup: None, django_db_blocker: Any) -> Iterator[Server]:
    with django_db_blocker.unblock(), serve(API_AUTH="required", LOG_LEVEL="INFO") as server:
        yield server


@pytest.fixture
def server(transactional_db: None, one_gunicorn: Server) -> Server:
    """One for all tests of a process; each test finds the tables empty."""
    return one_gunicorn


@pytest.fixture
def closed_server(transactional_db: None, one_closed_gunicorn: Server) -> Server:
    """As `server`, but it wants a token of each caller."""
    return one_closed_gunicorn
