from argparse import ArgumentTypeError
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error
from django.utils import timezone

from dispatch.exceptions import Refusal
from dispatch.kpi import build_report, period_of
from dispatch.kpi.document import to_csv, to_json
from dispatch.kpi.periods import to_date
from dispatch.kpi.text import to_text


def date_argument(text: str) -> date:
    try:
        return to_date(text)
    except Refusal as error:
        raise ArgumentTypeError(str(error)) from None


class Command(BaseCommand):
    help = "Tells how well the city was kept in balance, and how the work went. It changes nothing."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--from", dest="first", metavar="DATE", type=date_argument, help="the first day")
        add("--to", dest="last", metavar="DATE", type=date_argument, help="the last day, included")
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--json", dest="form", action="store_const", const=to_json)
        form.add_argument("--csv", dest="form", action="store_const", const=to_csv)

    def handle(self, *args: Any, **options: Any) -> None:
        zone = timezone.get_default_timezone()
        try:
            period = period_of(options["first"], options["last"], timezone.localdate(), zone)
            text = (options["form"] or to_text)(build_report(period, timezone.now()))
        except Refusal as error:
            raise CommandError(str(error)) from None
        except Error as error:
            reason = " ".join(str(error).split())
            raise CommandError(f"The database does not answer as it should: {reason}") from None
        self.stdout.write(text.rstrip("\n"))
