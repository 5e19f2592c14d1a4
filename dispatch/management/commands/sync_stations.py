import zoneinfo
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone

from ... import services
from ...gbfs import Document, FeedName, Found, read_information
from ...models import FeedKind
from ...services import FeedReading, SyncResult
from ..base import DispatchCommand
from ..feeds import add_feed_arguments, enter_feed
from ..summaries import stations_json, stations_line


class Command(DispatchCommand):
    help = "Updates the stations from a GBFS feed. A station keeps its number for ever."

    def add_arguments(self, parser: CommandParser) -> None:
        add_feed_arguments(parser, FeedKind.INFORMATION)
        parser.add_argument(
            "--allow-shrink",
            action="store_true",
            help="accept a feed that lacks more than half of the stations",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        def enter(
            document: Document, found: Found, system: str, reading: FeedReading
        ) -> SyncResult | None:
            return services.sync_stations(
                read_information(document, found.regions),
                system=system,
                reading=reading,
                allow_shrink=options["allow_shrink"],
            )

        entered = enter_feed(
            options["sources"],
            FeedKind.INFORMATION,
            options["system"],
            enter,
            wished=(FeedName.SYSTEM, FeedName.REGIONS),
        )
        system, result = entered.system, entered.result
        if self.as_json:
            self.report({"system": system, **stations_json(result)})
        else:
            self.report(stations_line(system, result))
        for warning in [*entered.found.problems.values(), *about_time_zone(entered.found)]:
            self.stderr.write(warning)


def about_time_zone(found: Found) -> Iterator[str]:
    """Yield a warning if the clocks of the feed's city and of the console differ in this year."""
    if found.time_zone not in zoneinfo.available_timezones():
        return
    names = (found.time_zone, settings.TIME_ZONE)
    months = [datetime(timezone.now().year, month, 1) for month in range(1, 13)]
    clocks = [[ZoneInfo(name).utcoffset(month) for month in months] for name in names]
    if clocks[0] != clocks[1]:
        yield f"The feed's time zone is {names[0]}, but TIME_ZONE is {names[1]}."
