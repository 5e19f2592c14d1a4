from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from ... import services
from ...gbfs import Document, read_information
from ...models import FeedKind
from ...services import FeedReading, SyncResult
from ..base import DispatchCommand
from ..feeds import enter_feed


class Command(DispatchCommand):
    help = "Updates the stations from a GBFS feed. A station keeps its number for ever."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "sources",
            nargs="+",
            metavar="SOURCE",
            help="http(s) address or file of a gbfs.json or a station_information feed",
        )
        parser.add_argument("--system", help="the system's name here; default: the source's own id")
        parser.add_argument(
            "--allow-shrink",
            action="store_true",
            help="accept a feed that lacks more than half of the stations",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        def enter(document: Document, system: str, reading: FeedReading) -> SyncResult | None:
            return services.sync_stations(
                read_information(document),
                system=system,
                reading=reading,
                allow_shrink=options["allow_shrink"],
            )

        entered = enter_feed(options["sources"], FeedKind.INFORMATION, options["system"], enter)
        system, result = entered.system, entered.result
        if self.as_json:
            self.report({"system": system, **(asdict(result) if result else {"unmodified": True})})
        else:
            self.report(f"{system}: {summary(result) if result else 'no newer feed.'}")


def summary(result: SyncResult) -> str:
    return (
        f"{result.added:,} stations added, {result.changed:,} changed, {result.unchanged:,} "
        f"unchanged, {result.gone:,} gone, {result.back:,} back. {result.remarks}".rstrip()
    )
