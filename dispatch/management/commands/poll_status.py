import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ... import services
from ...exceptions import Refusal
from ...gbfs import BadFeed, Document, Found, read_status
from ...models import FeedKind
from ...polling import Poller, Recorded
from ...polling.schedule import after_failure
from ...services import FeedReading, StatusResult
from ..feeds import add_feed_arguments, enter_feed
from ..periodic import PeriodicCommand
from ..summaries import (
    changed_troubles,
    recorded_json,
    recorded_lines,
    status_json,
    status_line,
)

# Seconds between two successes of the command while it polls many systems.
ROUND = 10
# The least seconds between two polls of a system, and the longest pause without a database.
LEAST, LONGEST_DATABASE_PAUSE = 60, 30
MOST_THREADS = 256


class Command(PeriodicCommand):
    help = (
        "Records how full the stations are, from a GBFS feed. Without a SOURCE, of all systems in "
        "the console, and updates their stations hourly."
    )
    # Seconds to wait, as requested by the server.
    pause = 0.0
    poller: Poller | None = None
    polled = failed = 0

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_feed_arguments(parser, FeedKind.STATUS)
        parser.add_argument(
            "--threads", type=int, default=32, help="systems to read at a time; default: 32"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object a poll")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["threads"] <= MOST_THREADS:
            raise CommandError(f"--threads takes 1 to {MOST_THREADS}.")
        self.every: float | None = options["every"]
        super().handle(*args, **options)
        if self.poller is not None:
            self.poller.close()

    def run_once(self, options: dict[str, Any]) -> None:
        if options["sources"] or options["system"]:
            self.poll_one(options)
        else:
            self.poll_all(options)

    def poll_all(self, options: dict[str, Any]) -> None:
        """Poll the systems of the console for a while or, without --every, those that are due."""
        if self.poller is None:
            threads, every = options["threads"], self.every or LEAST
            self.poller = Poller(every, threads, self.report_system, self.stopped.is_set)
        self.poller.run(ROUND if self.every else None)
        if not self.every:
            self.report_end()

    def report_end(self) -> None:
        if not self.polled and not self.as_json:
            self.report("No system is due.")
        if self.failed:
            noun = "system was" if self.failed == 1 else "systems were"
            raise Refusal(f"{self.failed:,} {noun} not read without an error.")

    def poll_one(self, options: dict[str, Any]) -> None:
        self.pause = 0
        try:
            entered = enter_feed(options["sources"], FeedKind.STATUS, options["system"], enter)
        except BadFeed as error:
            self.pause = error.retry_after
            raise
        if self.as_json:
            self.report({"system": entered.system, **status_json(entered.result)})
        else:
            self.report(status_line(entered.system, entered.result))

    def report_system(self, recorded: Recorded) -> None:
        """Report a poll. Without an end, only changes between success and failure."""
        self.polled += 1
        self.failed += bool(recorded.errors)
        if self.as_json:
            self.report(recorded_json(recorded))
            return
        if not self.every:
            for line in recorded_lines(recorded):
                self.report(line)
        for line, fails in changed_troubles(recorded):
            if fails:
                self.stderr.write(line)
            else:
                self.report(line)

    def stop(self, number: int) -> None:
        if self.poller is None:
            # Stop at once, even while a feed answers slowly: an interrupted poll enters nothing.
            sys.exit()
        super().stop(number)

    def delay(self, every: float, failures: int) -> float:
        """Back off after failures."""
        if self.poller is not None:
            return min(2**failures, LONGEST_DATABASE_PAUSE) if failures else 0
        return after_failure(every, failures, self.pause)


def enter(document: Document, _: Found, system: str, reading: FeedReading) -> StatusResult:
    return services.record_status(read_status(document), system=system, reading=reading)
