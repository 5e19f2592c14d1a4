"""Watches the logs of all programs that the tests start for secrets, as `log_secrets` does ours."""

import gc
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from unittest.mock import patch

from baywheels.embedded.cluster import Cluster

from .log_secrets import watch

LONGEST_NAME = 200
PATIENCE_SECONDS = 5
# This process's open files.
FILES = Path("/proc/self/fd")


class WatchedProgram(subprocess.Popen[Any]):
    """Searches what the program writes to its standard error, at the latest when it has ended.

    Standard error is the log: what commands print for their user may be a new token. A test that
    reads a pipe by `read` or `readline`, or by `communicate`, shares what it reads.
    """

    log: IO[bytes] | None = None
    pipe: IO[Any] | None = None

    def __init__(self, args: Any, *, stderr: Any = None, **options: Any) -> None:
        self.inherits, self.merges = stderr is None, stderr == subprocess.STDOUT
        if self.inherits:
            stderr = self.log = tempfile.TemporaryFile()  # noqa: SIM115
        else:
            self.log = reopened(options.get("stdout") if self.merges else stderr)
        super().__init__(args, stderr=stderr, **options)
        if pipe := self.stdout if self.merges else self.stderr:
            self.pipe = pipe
            for name in ("read", "readline"):
                setattr(pipe, name, checking(getattr(pipe, name), self.name()))

    def communicate(self, *arguments: Any, **options: Any) -> tuple[Any, Any]:
        out, err = super().communicate(*arguments, **options)
        check(out if self.merges else err, self.name())
        return out, err

    def wait(self, timeout: float | None = None) -> int:
        code = super().wait(timeout)
        self.check_log()
        return code

    def __exit__(self, *arguments: Any) -> None:
        if self.pipe and not self.pipe.closed and self.has_ended():
            # A program that it started may hold the pipe open.
            os.set_blocking(self.pipe.fileno(), False)
            with suppress(TypeError):
                self.pipe.read()
        super().__exit__(*arguments)

    def __del__(self) -> None:
        # asyncio waits for its programs in its own way.
        self.check_log()
        super().__del__()

    def has_ended(self) -> bool:
        if self.stdin is None:
            with suppress(subprocess.TimeoutExpired):
                self.wait(PATIENCE_SECONDS)
        return self.poll() is not None

    def check_log(self) -> None:
        if self.log:
            with self.log:
                if self.inherits:
                    self.log.seek(0)
                text = self.log.read().decode(errors="replace")
            self.log = None
            check(text, self.name())
            if self.inherits:
                sys.stderr.write(text)

    def name(self) -> str:
        return str(self.args)[:LONGEST_NAME]


def checking(read: Callable[..., Any], name: str) -> Callable[..., Any]:
    def read_and_check(*arguments: Any) -> Any:
        text = read(*arguments)
        check(text, name)
        return text

    return read_and_check


def check(text: str | bytes | None, name: str) -> None:
    watch.check(text.decode(errors="replace") if isinstance(text, bytes) else text or "", name)


def reopened(target: Any) -> IO[bytes] | None:
    """Open the file again at its present end. None: it is no file, or this is not Linux.

    Its name may be gone, and it may not be open for reading.
    """
    if target in (None, subprocess.PIPE, subprocess.DEVNULL) or not FILES.exists():
        return None
    number = target if isinstance(target, int) else target.fileno()
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode):
        return None
    file = open(FILES / str(number), "rb")  # noqa: SIM115
    file.seek(status.st_size)
    return file


@contextmanager
def watching_programs() -> Iterator[None]:
    """Watch the programs that start before the block ends, and each PostgreSQL that stops in it."""
    stop, reset = Cluster.stop, Cluster.reset

    def stop_and_check(cluster: Cluster) -> bool:
        stopped = stop(cluster)
        if cluster.log.exists():
            watch.check(cluster.log.read_text(errors="replace"), str(cluster.log))
        return stopped

    def check_and_reset(cluster: Cluster) -> None:
        # This deletes the log.
        stop_and_check(cluster)
        reset(cluster)

    with (
        patch.object(subprocess, "Popen", WatchedProgram),
        patch.object(Cluster, "stop", stop_and_check),
        patch.object(Cluster, "reset", check_and_reset),
    ):
        yield
    gc.collect()
