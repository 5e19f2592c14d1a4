"""Watches the logs of all programs that the tests start for secrets, as `log_secrets` does ours."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, BinaryIO
from unittest.mock import patch

from baywheels.embedded.cluster import Cluster

from .log_secrets import watch

LONGEST_NAME = 200


class WatchedProgram(subprocess.Popen[Any]):
    """Searches what the program writes to its standard error, at the latest when it has ended.

    Standard error is the log: what commands print for their user may be a new token.
    """

    log: BinaryIO | None = None

    def __init__(self, args: Any, *, stderr: Any = None, **options: Any) -> None:
        self.inherits, self.merges = stderr is None, stderr == subprocess.STDOUT
        with tempfile.TemporaryFile() if self.inherits else nullcontext(stderr) as stderr:
            target = options.get("stdout") if self.merges else stderr
            written = size_of(target)
            super().__init__(args, stderr=stderr, **options)
            if written is not None:
                # Its name may be gone, and it may not be open for reading.
                self.log = open(f"/proc/self/fd/{number_of(target)}", "rb")  # noqa: SIM115
                self.log.seek(written)
        if pipe := self.stdout if self.merges else self.stderr:
            for name in ("read", "readline"):
                setattr(pipe, name, self.watched(getattr(pipe, name)))

    def communicate(self, *arguments: Any, **options: Any) -> tuple[Any, Any]:
        out, err = super().communicate(*arguments, **options)
        self.check(out if self.merges else err)
        return out, err

    def wait(self, timeout: float | None = None) -> int:
        code = super().wait(timeout)
        self.check_log()
        return code

    def __del__(self) -> None:
        # asyncio waits for its programs in its own way.
        self.check_log()
        super().__del__()

    def check_log(self) -> None:
        if self.log:
            text = self.log.read().decode(errors="replace")
            self.log.close()
            self.log = None
            self.check(text)
            if self.inherits:
                sys.stderr.write(text)

    def watched(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def read_and_check(*arguments: Any) -> Any:
            text = read(*arguments)
            self.check(text)
            return text

        return read_and_check

    def check(self, text: str | bytes | None) -> None:
        text = text.decode(errors="replace") if isinstance(text, bytes) else text
        watch.check(text or "", str(self.args)[:LONGEST_NAME])


def number_of(target: Any) -> int:
    return target if isinstance(target, int) else int(target.fileno())


def size_of(target: Any) -> int | None:
    """None: no file."""
    if target is None or target in (subprocess.PIPE, subprocess.DEVNULL):
        return None
    status = os.fstat(number_of(target))
    return status.st_size if stat.S_ISREG(status.st_mode) else None


@contextmanager
def watching_programs() -> Iterator[None]:
    """Watch the programs that start before the block ends, and each PostgreSQL that stops in it."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(subprocess, "Popen", WatchedProgram))
        for name in ("stop", "reset"):
            function = checking_log(getattr(Cluster, name))
            stack.enter_context(patch.object(Cluster, name, function))
        yield


def checking_log(function: Callable[[Cluster], Any]) -> Callable[[Cluster], Any]:
    def check_and_call(cluster: Cluster) -> Any:
        if cluster.log.exists():
            watch.check(cluster.log.read_text(errors="replace"), str(cluster.log))
        return function(cluster)

    return check_and_call
