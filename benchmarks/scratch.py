"""A service to measure: gunicorn on a private embedded PostgreSQL, both removed afterwards."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import psycopg

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from baywheels.embedded.cluster import DATABASE, Cluster  # noqa: E402
from baywheels.embedded.programs import find_programs  # noqa: E402
from deploy import private  # noqa: E402

# Stations with enough bikes and docks for all moves of the benchmarks.
STATIONS = """
    INSERT INTO stations (id, system, name, lat, lon, capacity)
    SELECT n, 'benchmark', 'Station ' || n, 37.7 + n * 0.001, -122.4, 10000
    FROM generate_series(1, 1000) AS n;
    INSERT INTO station_status (station_id, bikes, docks, as_of)
    SELECT n, 5000, 5000, now() FROM generate_series(1, 1000) AS n
"""
SHOW_CLAIM = """
from django.db import connection, transaction
from dispatch.models import EventKind
from dispatch.services.claim_scopes import Scope
from dispatch.services.claims import assigning, claim_statement
with transaction.atomic(), connection.cursor() as cursor:
    of_crew = claim_statement(Scope.EVERYTHING), ["van-1"]
    statement = assigning(of_crew, EventKind.CLAIMED, "van-1", "api")
    print(" ".join(cursor.mogrify(*statement).split()), ";")
"""
SIGN_IN = """
from django.conf import settings
from django.test import Client
from dispatch.models import User
client = Client()
client.force_login(User.objects.create_superuser("benchmark"))
print(client.cookies[settings.SESSION_COOKIE_NAME].value)
"""


@contextmanager
def scratch_database() -> Iterator[str]:
    """Yield the DATABASE_URL of a migrated database."""
    with scratch_cluster() as database:
        yield database("ours")


@contextmanager
def scratch_cluster() -> Iterator[Callable[[str], str]]:
    """Yield a function that creates a database by name. It migrates the one named "ours"."""
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder) / "db")
        cluster.start()

        def database(name: str) -> str:
            with psycopg.connect(cluster.url, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            url = cluster.url.replace(f"/{DATABASE}?", f"/{name}?")
            if name == "ours":
                manage(url, "migrate", "--verbosity", "0")
            return url

        try:
            yield database
        finally:
            cluster.stop()


def copied(url: str, name: str) -> str:
    """Copy a database that has no connections. Return the URL of the copy."""
    original = urlsplit(url).path[1:]
    with psycopg.connect(url.replace(f"/{original}?", "/postgres?"), autocommit=True) as database:
        database.execute(f"CREATE DATABASE {name} TEMPLATE {original}")
    return url.replace(f"/{original}?", f"/{name}?")


def programs() -> Path:
    """The folder of PostgreSQL's programs."""
    return find_programs().folder


def claim_statement(url: str) -> str:
    """The claim's statement as the service sends it, for pgbench."""
    return manage(url, "shell", "--no-imports", "--command", SHOW_CLAIM)


def environment(url: str, **settings: str) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": url,
        "SECRET_KEY": "benchmark" * 8,
        "ALLOWED_HOSTS": "127.0.0.1",
        "HTTPS_ONLY": "false",
        "LOG_LEVEL": "WARNING",
        **settings,
    }


def manage(url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(url),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@contextmanager
def served(url: str, application: str = "baywheels.wsgi", **settings: str) -> Iterator[int]:
    """Yield the port."""
    port = private.free_port()
    with tempfile.NamedTemporaryFile("w+", suffix=".log") as log:
        command = [sys.executable, "-m", "gunicorn", application, "--bind", f"127.0.0.1:{port}"]
        server = subprocess.Popen(command, cwd=ROOT, env=environment(url, **settings), stderr=log)
        try:
            wait_for(port, server, Path(log.name))
            yield port
        finally:
            server.terminate()
            server.wait()


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path | None = None) -> None:
    """SystemExit: it stopped, or does not answer within 30 s."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"Nothing serves on port {port}.\n{log.read_text() if log else ''}")


class Browser:
    """A persistent connection of a superuser who is signed in to the console."""

    def __init__(self, url: str, port: int) -> None:
        session = manage(url, "shell", "--no-imports", "--command", SIGN_IN)
        self.cookies = f"sessionid={session}"
        self.connection = HTTPConnection("127.0.0.1", port, timeout=120)

    def get(self, path: str) -> str:
        return self.asked("GET", path, None, 200)

    def post_form(self, path: str, page: str, fields: list[tuple[str, str]]) -> None:
        """Post a form of `page`, with its CSRF token. Expects a redirect."""
        _, _, rest = page.partition('name="csrfmiddlewaretoken" value="')
        token, _, _ = rest.partition('"')
        self.asked("POST", path, urlencode([("csrfmiddlewaretoken", token), *fields]), 302)

    def post_json(self, path: str, body: str) -> str:
        return self.asked("POST", path, body, 200, "application/json")

    def asked(
        self,
        method: str,
        path: str,
        body: str | None,
        expected: int,
        content_type: str = "application/x-www-form-urlencoded",
    ) -> str:
        headers = {"Cookie": self.cookies, **({"Content-Type": content_type} if body else {})}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        if cookie := re.search(r"csrftoken=\w+", answer.headers.get("Set-Cookie", "")):
            self.cookies = f"{self.cookies.split(';')[0]}; {cookie[0]}"
        if answer.status != expected:
            raise SystemExit(f"{method} {path} answered {answer.status}: {text[:300]}")
        return text
