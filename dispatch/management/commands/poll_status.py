import json
import random
import signal
import sys
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, connection

from dispatch import services
from dispatch.exceptions import DatabaseUnavailable, Refusal
from dispatch.gbfs import Document, read_status
from dispatch.management.feeds import Entered, enter_feed
from dispatch.management.periodic import pause
from dispatch.models import FeedKind
from dispatch.services import Reading, StatusResult

# Seconds. After trouble it asks less and less often, but no less than this.
SELDOMEST = 600


class Command(BaseCommand):
    help = "Reads how full the stations are from a GBFS feed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "sources",
            nargs="+",
            metavar="SOURCE",
            help="http(s) address or file: a gbfs.json, or a station_status",
        )
        parser.add_argument(
            "--every",
            type=float,
            metavar="SECONDS",
            help="go on until SIGTERM or Ctrl-C; without it, once",
        )
        parser.add_argument("--system", help="its name here; else what the source calls itself")
        parser.add_argument("--json", action="store_true", help="say it as JSON, a line a poll")

    def handle(self, *args: Any, every: float | None, **options: Any) -> None:
        if every is None:
            try:
                self.poll(options)
            except Refusal as refusal:
                raise CommandError(str(refusal)) from None
            return
        if not 1 <= every <= 86_400:
            raise CommandError("--every takes 1 to 86400 seconds.")
        for number in (signal.SIGINT, signal.SIGTERM):
            # At once, also out of a slow answer: a poll that is cut off is not entered at all.
            signal.signal(number, lambda *_: sys.exit())
        troubles = 0
        while True:
            troubles = 0 if self.goes_well(options) else troubles + 1
            # Nothing idle is kept open, and no connection that a restart has broken.
            connection.close()
            pause(until_next(every, troubles))

    def goes_well(self, options: dict[str, Any]) -> bool:
        try:
            self.poll(options)
        except Refusal as refusal:
            self.stderr.write(str(refusal))
            return False
        return True

    def poll(self, options: dict[str, Any]) -> None:
        try:
            entered = enter_feed(options["sources"], FeedKind.STATUS, options["system"], enter)
        except (OperationalError, InterfaceError) as error:
            raise DatabaseUnavailable(error) from None
        self.stdout.write(as_json(entered) if options["json"] else tell(entered))
        self.stdout.flush()


def enter(document: Document, system: str, reading: Reading) -> StatusResult:
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
