"""Commands that repeat until they are stopped: signals, `--every`, an interruptible sleep."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error, connection

from .. import services
from ..exceptions import Refusal
from .base import DispatchCommand, explain

LONGEST_NAP = 1.0


class StopFlag:
    """The signal that asked the command to stop, if any.

    Not a threading.Event: its `set` can deadlock in a signal handler.
    """

    number: int | None = None

    def set(self, number: int) -> None:
        self.number = number

    def is_set(self) -> bool:
        return self.number is not None


@contextmanager
def handle_signals(handle: Callable[[int], None]) -> Iterator[None]:
    """Call `handle` at SIGINT and SIGTERM. Only a process's main thread receives signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    former = {number: signal.signal(number, lambda n, _: handle(n)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def interruptible_sleep(seconds: float, is_over: Callable[[], bool] = lambda: False) -> None:
    """Sleep in short naps: Python goes back to sleep after a signal handler returns."""
    end = time.monotonic() + seconds
    while not is_over() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, LONGEST_NAP))


class PeriodicCommand(DispatchCommand):
    """Runs once or, with `--every`, until SIGTERM or Ctrl-C. Then a failure is not the end."""

    # Each success is recorded, so that a command that has stopped is noticed.
    beats = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--every",
            type=float,
            metavar="SECONDS",
            help="repeat until SIGTERM or Ctrl-C; default: run once",
        )

    def handle(self, *args: Any, every: float | None, **options: Any) -> None:
        self.stopped = StopFlag()
        if every is None:
            self.run_once(options)
            self.beat()
            return
        if not 1 <= every <= 86_400:
            raise CommandError("--every takes 1 to 86400 seconds.")
        failures = 0
        with handle_signals(self.stop):
            while not self.stopped.is_set():
                failures = 0 if self.succeeds(options) else failures + 1
                # No connection stays open while idle, and none that a restart has broken.
                connection.close()
                interruptible_sleep(self.delay(every, failures), self.stopped.is_set)

    def run_once(self, options: dict[str, Any]) -> None:
        raise NotImplementedError

    def beat(self) -> None:
        if self.beats:
            services.note_success(type(self).__module__.rpartition(".")[2])

    def succeeds(self, options: dict[str, Any]) -> bool:
        try:
            self.run_once(options)
            self.beat()
        except (Refusal, Error) as error:
            self.stderr.write(explain(error))
            return False
        return True

    def stop(self, number: int) -> None:
        self.stopped.set(number)

    def delay(self, every: float, failures: int) -> float:
        """Seconds until the next run, after so many failures in a row."""
        return every
