"""nginx and PgBouncer of one's own, on the files here: for tests and measurements."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from baywheels.postgresql.programs import as_known_user

HERE = Path(__file__).resolve().parent
PACKAGES = {"nginx": "nginx-light", "pgbouncer": "pgbouncer"}
PATIENCE_SECONDS = 20
# Part of its socket's name only: it listens on no address.
POOLER_PORT = 6432

# What Debian's nginx.conf has around a site; everything it writes lies in one folder.
AROUND_A_SITE = """
daemon off;
pid {folder}/pid;
error_log stderr warn;
worker_processes 2;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/1;
    uwsgi_temp_path {folder}/2;
    scgi_temp_path {folder}/3;
    include {folder}/site.conf;
}}
"""
# What is said last holds. Every user of the server may come in: the socket's folder is private.
BESIDE_THE_POOLER = """
%include {shipped}
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr =
listen_port = {pooler_port}
unix_socket_dir = {folder}
logfile = {folder}/log
pidfile = {folder}/pid
auth_type = any
{settings}
"""


def missing(program: str) -> str | None:
    """What to say where it is not installed."""
    if path_of(program):
        return None
    return f"There is no {program} here: `apt-get install {PACKAGES[program]}`."


def path_of(program: str) -> str | None:
    # Where Debian has such programs an ordinary user's PATH does not lead.
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


@contextmanager
def nginx(ports: Sequence[int]) -> Iterator[str]:
    """The URL of one that has the servers on these two ports behind it."""
    first, second = ports
    port = free_port()
    site = (HERE / "nginx.conf").read_text()
    for shipped, ours in {
        "listen 80;": f"listen 127.0.0.1:{port} backlog=4096;",
        "127.0.0.1:8001": f"127.0.0.1:{first}",
        "127.0.0.1:8002": f"127.0.0.1:{second}",
    }.items():
        if shipped not in site:
            raise SystemExit(f"deploy/nginx.conf has no {shipped!r} to put another for.")
        site = site.replace(shipped, ours)
    with tempfile.TemporaryDirectory(prefix="bw-") as folder:
        (Path(folder) / "site.conf").write_text(site)
        main = Path(folder) / "nginx.conf"
        main.write_text(AROUND_A_SITE.format(folder=folder))
        with running("nginx", "-c", str(main), ready=lambda: _listens(port)):
            yield f"http://127.0.0.1:{port}"


@contextmanager
def pgbouncer(url: str, **settings: int) -> Iterator[str]:
    """The URL of the same database through it; settings override the file's."""
    server = conninfo_to_dict(url)
    with tempfile.TemporaryDirectory(prefix="bw-") as folder:
        own = Path(folder) / "pgbouncer.ini"
        own.write_text(
            BESIDE_THE_POOLER.format(
                shipped=HERE / "pgbouncer.ini",
                host=server["host"],
                port=server.get("port", 5432),
                folder=folder,
                pooler_port=POOLER_PORT,
                settings="\n".join(f"{name} = {value}" for name, value in settings.items()),
            )
        )
        pooled = (
            f"postgresql://{server.get('user', 'postgres')}@:{POOLER_PORT}{urlsplit(url).path}"
            f"?host={quote(folder, safe='')}"
        )
        with running("pgbouncer", "-q", str(own), ready=lambda: _answers(pooled)):
            yield pooled


@contextmanager
def running(program: str, *arguments: str, ready: Callable[[], bool]) -> Iterator[None]:
    """Until the block ends. As an ordinary user, whoever we are: PgBouncer refuses root."""
    path = path_of(program)
    if path is None:
        raise SystemExit(missing(program))
    with tempfile.TemporaryFile("w+") as log:
        command = [*as_known_user(os.geteuid()), path, *arguments]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise SystemExit(f"{program} does not serve:\n{log.read()}")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def main() -> None:
    """python -m deploy.private COMMAND ...: run it on a new embedded server, through PgBouncer."""
    from baywheels.devdb import Cluster  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder) / "db")
        cluster.start()
        try:
            with pgbouncer(cluster.url) as url:
                environment = {**os.environ, "DATABASE_URL": url, "BEHIND_PGBOUNCER": "true"}
                done = subprocess.run(sys.argv[1:], env=environment, check=False)
        finally:
            cluster.stop()
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
