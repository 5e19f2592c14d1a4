import json
import random
import sys
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from dispatch import services
from dispatch.gbfs import Document, read_status
from dispatch.management.feeds import Entered, enter_feed
from dispatch.management.periodic import PeriodicCommand
from dispatch.models import FeedKind
from dispatch.services import FeedReading, StatusResult

# Seconds. After trouble it asks less and less often, but no less than this.
SELDOMEST = 600


class Command(PeriodicCommand):
    help = "Reads how full the stations are from a GBFS feed."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "sources",
            nargs="+",
            metavar="SOURCE",
            help="http(s) address or file: a gbfs.json, or a station_status",
        )
        parser.add_argument("--system", help="its name here; default: as the source names itself")
        parser.add_argument("--json", action="store_true", help="print one JSON object a poll")

    def run_once(self, options: dict[str, Any]) -> None:
        entered = enter_feed(options["sources"], FeedKind.STATUS, options["system"], enter)
        self.report(as_json(entered) if self.as_json else tell(entered))

    def stop(self, number: int) -> None:
        # At once, even while a feed answers slowly: an interrupted poll enters nothing.
        sys.exit()

    def delay(self, every: float, failures: int) -> float:
        return until_next(every, failures)


def enter(document: Document, system: str, reading: FeedReading) -> StatusResult:
    return services.record_status(read_status(document), system=system, reading=reading)


def until_next(every: float, troubles: int) -> float:
    """Seconds, not in step with all the others who ask."""
    seconds = min(every * 2.0 ** min(troubles, 10), max(every, SELDOMEST))
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311


def as_json(entered: Entered[StatusResult]) -> str:
    told = asdict(entered.result) if entered.result else {"is_new": False}
    return json.dumps({"system": entered.system, **told}, default=datetime.isoformat)


def tell(entered: Entered[StatusResult]) -> str:
    result = entered.result
    if result is None or not result.is_new:
        return f"{entered.system}: nothing newer."
    return (
        f"{entered.system} at {result.at:%Y-%m-%d %H:%M:%S} UTC: {result.stations:,} stations, "
        f"{result.empty:,} empty, {result.full:,} full, {result.closed:,} closed, "
        f"{result.unknown:,} unknown. {result.about_bad_rows}"
    ).rstrip()
