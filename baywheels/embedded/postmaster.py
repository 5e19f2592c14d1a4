"""Finds and ends the server process of a data folder."""

import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .errors import DevDbError
from .place import Place

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Postmaster:
    """`state`: its own word in postmaster.pid, such as "ready" or "stopping"."""

    pid: int
    state: str


def find_postmaster(data: Path) -> Postmaster | None:
    """Return the server of this data folder, if its process is verified to be that."""
    try:
        lines = (data / "postmaster.pid").read_text(errors="replace").splitlines()
        # A single-user server writes its pid as a negative number.
        pid = abs(int(lines[0]))
    except (FileNotFoundError, IndexError, ValueError):
        return None
    if not is_postmaster(pid, data):
        return None
    return Postmaster(pid, lines[7].strip() if len(lines) > 7 else "starting")


def is_postmaster(pid: int, data: Path) -> bool:
    """False for an unrelated process that got the pid of a former server."""
    process = Path("/proc") / str(pid)
    if Path("/proc/self/comm").exists():
        with suppress(OSError):
            name = (process / "comm").read_text().strip()
            return name == "postgres" and os.path.samefile(process / "cwd", data)
        return False
    command = ["ps", "-ww", "-p", str(pid), "-o", "command="]
    line = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return re.search(rf"^.*/postgres -D {re.escape(str(data))} ", line) is not None


def stop_postmaster(place: Place) -> bool:
    """Roll back open transactions and wait for the end. False: no server was running."""
    server = find_postmaster(place.data)
    if server is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGINT)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while is_postmaster(server.pid, place.data):
        if time.monotonic() > deadline:
            raise DevDbError(
                f"PostgreSQL (pid {server.pid}) did not end in {PATIENCE_SECONDS} s:"
                f" see {place.log}"
            )
        time.sleep(0.02)
    return True


def remove_stale_files(place: Place) -> None:
    # PostgreSQL refuses to start if a pid in these files now belongs to another process.
    # Removing them is safe under the cluster's lock while no server runs: the shared memory
    # block of the data folder still keeps a second server out.
    for file in (place.data / "postmaster.pid", place.socket, Path(f"{place.socket}.lock")):
        file.unlink(missing_ok=True)
