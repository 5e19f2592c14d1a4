import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError

from dispatch import services
from dispatch.exceptions import DatabaseUnavailable, Refusal
from dispatch.gbfs import Document, read_information
from dispatch.management.feeds import enter_feed
from dispatch.models import FeedKind
from dispatch.services import FeedReading, SyncResult


class Command(BaseCommand):
    help = "Makes the stations what a GBFS feed says; each keeps its number for ever."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "sources",
            nargs="+",
            metavar="SOURCE",
            help="http(s) address or file: a gbfs.json, or a station_information",
        )
        parser.add_argument("--system", help="its name here; else what the source calls itself")
        parser.add_argument(
            "--allow-shrink",
            action="store_true",
            help="also a feed that lacks more than half of the stations",
        )
        parser.add_argument("--json", action="store_true", help="say it as JSON")

    def handle(
        self,
        *args: Any,
        sources: list[str],
        system: str | None,
        allow_shrink: bool,
        **options: Any,
    ) -> None:
        def enter(document: Document, system: str, reading: FeedReading) -> SyncResult:
            return services.sync_stations(
                read_information(document),
                system=system,
                reading=reading,
                allow_shrink=allow_shrink,
            )

        try:
            entered = enter_feed(sources, FeedKind.INFORMATION, system, enter)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from None
        except (OperationalError, InterfaceError) as error:
            raise CommandError(str(DatabaseUnavailable(error))) from None
        result = entered.result
        if options["json"]:
            told = asdict(result) if result else {"unmodified": True}
            self.stdout.write(json.dumps({"system": entered.system, **told}))
        elif result is None:
            self.stdout.write(f"{entered.system}: nothing newer.")
        else:
            self.stdout.write(f"{entered.system}: {tell(result)}")


def tell(result: SyncResult) -> str:
    return (
        f"{result.added:,} stations added, {result.changed:,} changed, {result.unchanged:,} as "
        f"they were, {result.gone:,} gone, {result.back:,} back. {result.about_bad_rows}".rstrip()
    )
