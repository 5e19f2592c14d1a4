"""Private nginx and PgBouncer processes with the configuration here, for tests and benchmarks."""

import os
import re
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

from baywheels.embedded.cluster import PORT, Cluster
from baywheels.embedded.programs import as_known_user

HERE = Path(__file__).resolve().parent
PACKAGES = {
    "nginx": "nginx-light",
    "pgbouncer": "pgbouncer",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "etcd": "etcd-server",
    "haproxy": "haproxy",
    "curl": "curl",
}
PATIENCE_SECONDS = 120
# The port is only a part of the socket's name: PgBouncer listens on no address.
POOLER_PORT = 6432

# The frame that Debian's nginx.conf puts around a site. nginx writes to one folder only.
AROUND_A_SITE = """
daemon off;
pid {folder}/pid;
error_log stderr warn;
worker_processes 2;
events {{ worker_connections 4096; }}
http {{
    access_log /dev/stderr;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/1;
    uwsgi_temp_path {folder}/2;
    scgi_temp_path {folder}/3;
    include {folder}/site.conf;
}}
"""


def missing(program: str) -> str | None:
    """Return the package to install if the program is missing, or None."""
    if path_of(program):
        return None
    return f"{program} is not installed: `apt-get install {PACKAGES[program]}`."


def path_of(program: str) -> str | None:
    # Debian installs them outside an ordinary user's PATH.
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


@contextmanager
def nginx(ports: Sequence[int]) -> Iterator[str]:
    """Run nginx in front of the servers on these two ports. Yields its URL."""
    first, second = ports
    port = free_port()
    site = (HERE / "nginx.conf").read_text()
    site = _with(site, "    listen 80;", f"    listen 127.0.0.1:{port};")
    site = _with(site, "    server 127.0.0.1:8001", f"    server 127.0.0.1:{first}")
    site = _with(site, "    server 127.0.0.1:8002", f"    server 127.0.0.1:{second}")
    with tempfile.TemporaryDirectory(prefix="bw-") as folder:
        (Path(folder) / "site.conf").write_text(site)
        main = Path(folder) / "nginx.conf"
        main.write_text(AROUND_A_SITE.format(folder=folder))
        with running("nginx", "-c", str(main), ready=lambda: _listens(port)):
            yield f"http://127.0.0.1:{port}"


@contextmanager
def pgbouncer(url: str, **settings: int) -> Iterator[str]:
    """Run PgBouncer in front of this database. Yields its URL; settings override the file's."""
    server = conninfo_to_dict(url)
    user, password = (str(server.get(name) or "") for name in ("user", "password"))
    with tempfile.TemporaryDirectory(prefix="bw-") as folder:
        (Path(folder) / "users").write_text(f"{_quoted(user)} {_quoted(password)}\n")
        own = Path(folder) / "pgbouncer.ini"
        ours = {
            "listen_addr": "",
            "unix_socket_dir": folder,
            "logfile": "",
            "pidfile": f"{folder}/pid",
            # No password is needed: the socket's folder is private.
            "auth_type": "trust",
            "auth_file": f"{folder}/users",
            **settings,
        }
        text = (HERE / "pgbouncer.ini").read_text()
        # PgBouncer looks up any other user in the server, as this user.
        place = f"* = host={server['host']} port={server.get('port', PORT)} auth_user={user}"
        text = _with(text, "baywheels = .*", place)
        for name, value in ours.items():
            text = _with(text, f"{name} = .*", f"{name} = {value}")
        own.write_text(text)
        pooled = (
            f"postgresql://{quote(user, safe='')}@:{POOLER_PORT}{urlsplit(url).path}"
            f"?host={quote(folder, safe='')}"
        )
        with running("pgbouncer", str(own), ready=lambda: _answers(pooled)):
            yield pooled


@contextmanager
def running(program: str, *arguments: str, ready: Callable[[], bool]) -> Iterator[None]:
    """Run the program until the block ends. Not as root: PgBouncer refuses that."""
    path = path_of(program)
    if path is None:
        raise SystemExit(missing(program))
    # Appended: nginx opens its standard error a second time.
    with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "log", "a+") as log:
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


def _with(text: str, shipped: str, ours: str) -> str:
    """Replace the one line that begins with `shipped`. Fails unless there is exactly one."""
    changed, count = re.subn(f"^{shipped}", lambda _: ours, text, flags=re.MULTILINE)
    if count != 1:
        raise SystemExit(f"The files in deploy/ have {count} lines {shipped!r}, not one.")
    return changed


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace('"', '""'))


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
    """Run `python -m deploy.private COMMAND ...` on a new embedded cluster, through PgBouncer."""
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
