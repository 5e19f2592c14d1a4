"""A real gunicorn on the test database."""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import requests
from django.conf import settings
from django.db import connection

from deploy.private import free_port

ROOT = Path(__file__).resolve().parents[3]
# A name of this machine that is not localhost: over plain HTTP, browsers do not trust it.
PLAIN_HOST = "dispatch.test"
START_SECONDS = 120
STOP_SECONDS = 30
LONGEST_LOG = 20_000


class Server:
    """A running gunicorn: `url` is its address, `process` its master, `log` what it wrote."""

    def __init__(
        self, process: subprocess.Popen[bytes], workers: int, port: int, log: Path, probe: str
    ) -> None:
        self.process = process
        self.count = workers
        self.probe = probe
        self.log = log
        self.url = f"http://127.0.0.1:{port}"

    def workers(self) -> list[int]:
        """Return the process ids of its workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"gunicorn does not serve:\n{self.log.read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _is_ready(self) -> bool:
        try:
            answers = requests.get(f"{self.url}{self.probe}", timeout=10).ok
        except requests.ConnectionError:
            return False
        # gunicorn starts its workers one after another, and the first one answers at once.
        return answers and len(self.workers()) == self.count


@contextmanager
def serve(
    workers: int = 1,
    port: int | None = None,
    probe: str = "/readyz",
    folder: Path = ROOT,
    **environment: str,
) -> Iterator[Server]:
    """Run gunicorn as production does. Needs `transactional_db`: it sees only committed rows.

    The server counts as started once all workers run and GET on `probe` succeeds.
    """
    # Port 0 would give each worker that binds for itself a port of its own.
    port = port or free_port()
    with tempfile.NamedTemporaryFile("w+", suffix=".log") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "baywheels.wsgi", "--bind", f"127.0.0.1:{port}"],
            cwd=folder,
            env=server_environment(WEB_CONCURRENCY=str(workers), **environment),
            stderr=log,
        )
        server = Server(process, workers, port, Path(log.name), probe)
        try:
            server.wait_until_ready()
            yield server
        finally:
            server.stop()
            # pytest shows it if the test fails.
            print(server.log.read_text()[-LONGEST_LOG:], file=sys.stderr)


def kill_nine(parent: int) -> None:
    """Kill a process and all its children at the same moment."""
    # A stopped parent starts no further child.
    os.kill(parent, signal.SIGSTOP)
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    ends = [os.pidfd_open(pid) for pid in [*map(int, children), parent]]
    for end in ends:
        signal.pidfd_send_signal(end, signal.SIGKILL)
    for end in ends:
        # Until it is dead, it would count as running.
        select.select([end], [], [])
        os.close(end)


@contextmanager
def running_command(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run manage.py on the test database. Needs `transactional_db`, as `serve` does."""
    with subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=server_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def server_environment(**environment: str) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": database_url(),
        # The tests' own key: a session made in this process is valid on the server.
        "SECRET_KEY": settings.SECRET_KEY,
        "ALLOWED_HOSTS": f"127.0.0.1,localhost,{PLAIN_HOST}",
        "API_AUTH": "open",
        "HTTPS_ONLY": "false",
        "LOG_LEVEL": "WARNING",
        **environment,
    }


def database_url() -> str:
    """Return the URL of this test's database for another process."""
    config = connection.settings_dict
    host, port, name = config["HOST"], config["PORT"], config["NAME"]
    host = config["OPTIONS"].get("host", host)
    user = quote(config["USER"] or "postgres", safe="")
    password = quote(config["PASSWORD"] or "", safe="")
    return f"postgresql://{user}:{password}@:{port or 5432}/{name}?host={quote(host, safe='')}"
