import json
import re
import signal
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from dispatch.exceptions import Refusal
from dispatch.maintenance.archive import open_archive
from dispatch.services import Pruned, count_prunable, prune_tasks

UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def to_age(text: str) -> timedelta:
    parts = re.fullmatch(r"([0-9]{1,6})([dhm])", text)
    if parts is None:
        raise ArgumentTypeError(f"{text!r} is not an age like 90d, 36h or 1500m")
    return timedelta(**{UNITS[parts[2]]: int(parts[1])})


class Command(BaseCommand):
    help = "Removes tasks that ended long ago. Kill it at any moment and run it again."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--older-than",
            metavar="AGE",
            required=True,
            type=to_age,
            help="since they were completed or cancelled: 90d, 36h; at least 24h",
        )
        add("--archive", metavar="FILE.jsonl.gz", help="first append them to this file")
        add("--with-events", action="store_true", help="their events too")
        add("--dry-run", action="store_true", help="count only")
        add("--json", action="store_true", help="print one JSON object, on failure too")

    def handle(self, *args: Any, **options: Any) -> None:
        self.options = options
        self.tasks = self.events = 0
        self.signal: int | None = None
        with self.one_line_errors():
            if options["dry_run"]:
                self.add(count_prunable(options["older_than"], with_events=options["with_events"]))
            else:
                with self.stopped_by_signals():
                    self.prune()
        if self.signal is not None:
            name = signal.Signals(self.signal).name
            self.fail(f"Stopped by {name} after a whole batch.", 128 + self.signal)
        self.stdout.write(self.to_json(ok=True) if options["json"] else self.summary())

    def prune(self) -> None:
        with ExitStack() as stack:
            name = self.options["archive"]
            batches = prune_tasks(
                self.options["older_than"],
                archive=stack.enter_context(open_archive(name)) if name else None,
                with_events=self.options["with_events"],
            )
            for batch in batches:
                self.add(batch)
                if self.signal is not None:
                    return

    def add(self, pruned: Pruned) -> None:
        self.tasks += pruned.tasks
        self.events += pruned.events

    def summary(self) -> str:
        events = f" and {self.events:,} events" if self.options["with_events"] else ""
        if self.options["dry_run"]:
            return f"Dry run, nothing was changed: {self.tasks:,} tasks{events} would leave."
        return f"{self.tasks:,} tasks{events} removed."

    def to_json(self, **more: Any) -> str:
        told = {"dry_run": self.options["dry_run"], "tasks": self.tasks, "events": self.events}
        return json.dumps({**told, **more})

    def fail(self, error: str, returncode: int = 1) -> NoReturn:
        if self.options["json"]:
            self.stdout.write(self.to_json(ok=False, error=error))
        done = self.summary() if self.tasks else "Nothing was removed."
        raise CommandError(f"{error} {done}", returncode=returncode)

    @contextmanager
    def one_line_errors(self) -> Iterator[None]:
        try:
            yield
        except Refusal as error:
            self.fail(str(error))
        except Error as error:
            self.fail(f"The database does not answer as it should: {' '.join(str(error).split())}.")

    @contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.stop) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
