import signal
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import timedelta
from itertools import chain
from typing import Any, NoReturn

from django.core.management.base import CommandParser
from django.utils import timezone

from ...exceptions import Refusal
from ...maintenance.archive import Archive
from ...services import (
    CLUSTER_OUTAGES,
    OUTAGES,
    POLLS,
    SUGGESTION_EVENTS,
    OldRows,
    count_old,
    count_prunable,
    due_days,
    prune_rows,
    prune_tasks,
    roll_up,
)
from ..ages import to_age
from ..base import DispatchCommand
from ..periodic import StopFlag, handle_signals

AGES = {
    "suggestions_older_than": [SUGGESTION_EVENTS],
    "outages_older_than": [OUTAGES, CLUSTER_OUTAGES],
    "polls_older_than": [POLLS],
}


def name_of(rows: OldRows) -> str:
    return rows.name.replace("-", "_")


class Command(DispatchCommand):
    help = "Removes old tasks and history. You may kill it at any time and run it again."
    options: Mapping[str, Any] = {"dry_run": False}
    counts = dict.fromkeys(["tasks", "events", *map(name_of, chain(*AGES.values()))], 0)

    def add_arguments(self, parser: CommandParser) -> None:
        ages = parser.add_argument_group("ages like 90d or 36h; give at least one")

        def add_age(name: str, about: str) -> None:
            ages.add_argument(name, metavar="AGE", type=to_age, help=about)

        add_age("--older-than", "tasks completed or cancelled before that; at least 24h")
        add_age(
            "--suggestions-older-than",
            "events of ingests and of closed suggestions without a task; at least 15d",
        )
        add_age(
            "--outages-older-than",
            "outages of stations and of clusters that ended before that; at least 15d",
        )
        add_age("--polls-older-than", "polls of station feeds; at least 15d")
        add = parser.add_argument
        add("--archive", metavar="FOLDER", help="first write them to files in this folder")
        add("--with-events", action="store_true", help="with the tasks, remove their events too")
        add("--dry-run", action="store_true", help="count only")
        add("--json", action="store_true", help="print one JSON object, on failure too")

    def handle(self, *args: Any, **options: Any) -> None:
        self.options = options
        self.counts = dict.fromkeys(self.counts, 0)
        if options["older_than"] is None and not self.ages():
            raise Refusal("Give at least one age, such as --older-than 90d.")
        if options["dry_run"]:
            self.count()
        else:
            self.prune()
        self.report({"ok": True, **self.failure_details()} if self.as_json else self.summary())

    def keep_figures(self) -> None:
        """Store the figures of past days: reports need them once the rows are gone."""
        zone = timezone.get_default_timezone()
        for day in due_days(timezone.localdate(), zone):
            roll_up(day, zone)

    def ages(self) -> list[tuple[OldRows, timedelta]]:
        given = [(kinds, self.options[option]) for option, kinds in AGES.items()]
        return [(rows, age) for kinds, age in given if age is not None for rows in kinds]

    def count(self) -> None:
        if (age := self.options["older_than"]) is not None:
            self.add(asdict(count_prunable(age, with_events=self.options["with_events"])))
        for rows, age in self.ages():
            self.add({name_of(rows): count_old(rows, age)})

    def prune(self) -> None:
        self.keep_figures()
        folder = self.options["archive"]
        archive = None if folder is None else Archive(folder)
        stopped = StopFlag()
        with handle_signals(stopped.set):
            for batch in self.batches(archive):
                self.add(batch)
                if stopped.number is not None:
                    name = signal.Signals(stopped.number).name
                    self.fail(f"Stopped by {name} after a whole batch.", 128 + stopped.number)

    def batches(self, archive: Archive | None) -> Iterator[dict[str, int]]:
        if (age := self.options["older_than"]) is not None:
            with_events = self.options["with_events"]
            for batch in prune_tasks(age, archive=archive, with_events=with_events):
                yield asdict(batch)
        for rows, age in self.ages():
            for number in prune_rows(rows, age, archive=archive):
                yield {name_of(rows): number}

    def add(self, numbers: dict[str, int]) -> None:
        for name, number in numbers.items():
            self.counts[name] += number

    def summary(self) -> str:
        names = [] if self.options["older_than"] is None else ["tasks"]
        names += ["events"] if names and self.options["with_events"] else []
        names += [name_of(rows) for rows, _ in self.ages()]
        *first, last = [f"{self.counts[name]:,} {name.replace('_', ' ')}" for name in names]
        removed = f"{', '.join(first)} and {last}" if first else last
        if self.options["dry_run"]:
            return f"Dry run, nothing was changed: {removed} would be removed."
        return f"{removed} removed."

    def fail(self, error: str, returncode: int = 1) -> NoReturn:
        done = self.summary() if any(self.counts.values()) else "Nothing was removed."
        super().fail(f"{error} {done}", returncode)

    def failure_details(self) -> dict[str, Any]:
        return {"dry_run": self.options["dry_run"], **self.counts}
