import random
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from ... import services
from ...gbfs import BadFeed, Document, Found, read_status
from ...models import FeedKind
from ...services import FeedReading, StatusResult
from ..feeds import add_feed_arguments, enter_feed
from ..periodic import PeriodicCommand

# Seconds. After failures the polls become rarer, down to one in this time.
LONGEST_DELAY = 600
# The longest pause, even if the server asks for a longer one.
LONGEST_PAUSE = 86_400


class Command(PeriodicCommand):
    help = "Records how full the stations are, from a GBFS feed."
    # Seconds to wait, as requested by the server.
    pause = 0.0

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_feed_arguments(parser, FeedKind.STATUS)
        parser.add_argument("--json", action="store_true", help="print one JSON object a poll")

    def run_once(self, options: dict[str, Any]) -> None:
        self.pause = 0
        try:
            entered = enter_feed(options["sources"], FeedKind.STATUS, options["system"], enter)
        except BadFeed as error:
            self.pause = min(error.retry_after, LONGEST_PAUSE)
            raise
        system, result = entered.system, entered.result
        if self.as_json:
            self.report({"system": system, **as_json(result)})
        elif result is None or not result.is_new:
            self.report(f"{system}: no newer feed.")
        else:
            self.report(f"{system} {summary(result)}")

    def stop(self, number: int) -> None:
        # Stop at once, even while a feed answers slowly: an interrupted poll enters nothing.
        sys.exit()

    def delay(self, every: float, failures: int) -> float:
        """Back off after failures. A random part keeps clients of a feed out of step."""
        seconds = min(every * 2.0 ** min(failures, 10), max(every, LONGEST_DELAY))
        seconds = max(seconds, self.pause / 0.9)
        return seconds * random.uniform(0.9, 1.1)  # noqa: S311


def enter(document: Document, _: Found, system: str, reading: FeedReading) -> StatusResult:
    return services.record_status(read_status(document), system=system, reading=reading)


def as_json(result: StatusResult | None) -> dict[str, Any]:
    if result is None:
        return {"is_new": False}
    return {**asdict(result), "at": result.at.isoformat()}


def summary(result: StatusResult) -> str:
    more = [
        f", {number:,} {what}"
        for number, what in (
            (result.without_docks, "without a number of docks"),
            (result.old, "with old reports"),
        )
        if number
    ]
    return (
        f"at {result.at:%Y-%m-%d %H:%M:%S} UTC: {result.stations:,} stations, {result.empty:,} "
        f"empty, {result.full:,} full, {result.closed:,} closed, {result.unknown:,} unknown"
        f"{''.join(more)}. {result.remarks}"
    ).rstrip()
