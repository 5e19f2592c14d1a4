import signal
from datetime import timedelta
from typing import Any, NoReturn

from django.core.management.base import CommandParser

from ...maintenance.archive import Archive
from ...services import Pruned, count_prunable, prune_tasks
from ..ages import to_age
from ..base import DispatchCommand
from ..periodic import StopFlag, handle_signals


class Command(DispatchCommand):
    help = "Removes tasks that ended long ago. You may kill it at any time and run it again."
    tasks = events = 0

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--older-than",
            metavar="AGE",
            required=True,
            type=to_age,
            help="time since they were completed or cancelled: 90d, 36h; at least 24h",
        )
        add("--archive", metavar="FOLDER", help="first write them to files in this folder")
        add("--with-events", action="store_true", help="remove their events too")
        add("--dry-run", action="store_true", help="count only")
        add("--json", action="store_true", help="print one JSON object, on failure too")

    def handle(self, *args: Any, **options: Any) -> None:
        self.options = options
        age, with_events = options["older_than"], options["with_events"]
        if options["dry_run"]:
            self.add(count_prunable(age, with_events=with_events))
        else:
            self.prune(age, with_events)
        self.report({"ok": True, **self.counts()} if self.as_json else self.summary())

    def prune(self, age: timedelta, with_events: bool) -> None:
        folder = self.options["archive"]
        archive = None if folder is None else Archive(folder)
        stopped = StopFlag()
        with handle_signals(stopped.set):
            for batch in prune_tasks(age, archive=archive, with_events=with_events):
                self.add(batch)
                if stopped.number is not None:
                    name = signal.Signals(stopped.number).name
                    self.fail(f"Stopped by {name} after a whole batch.", 128 + stopped.number)

    def add(self, pruned: Pruned) -> None:
        self.tasks += pruned.tasks
        self.events += pruned.events

    def summary(self) -> str:
        events = f" and {self.events:,} events" if self.options["with_events"] else ""
        if self.options["dry_run"]:
            return f"Dry run, nothing was changed: {self.tasks:,} tasks{events} would be removed."
        return f"{self.tasks:,} tasks{events} removed."

    def fail(self, error: str, returncode: int = 1) -> NoReturn:
        done = self.summary() if self.tasks else "Nothing was removed."
        super().fail(f"{error} {done}", returncode)

    def counts(self) -> dict[str, Any]:
        return {"dry_run": self.options["dry_run"], "tasks": self.tasks, "events": self.events}

    def failure_details(self) -> dict[str, Any]:
        return self.counts()
