from functools import partial
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from ...kpi import build_report, period_of
from ...kpi.document import table_to_csv, to_csv, to_json
from ...kpi.tables import TABLES
from ...kpi.text import to_text
from ..base import DispatchCommand, print_all_characters
from ..dates import add_period


class Command(DispatchCommand):
    help = "Reports how well the city was kept in balance and how the work went. Changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        add_period(parser)
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--json", dest="form", action="store_const", const=to_json)
        form.add_argument("--csv", dest="form", action="store_const", const=to_csv)
        form.add_argument("--table", choices=TABLES, help="one table, as CSV")

    def handle(self, *args: Any, **options: Any) -> None:
        write = options["form"] or to_text
        if table := options["table"]:
            write = partial(table_to_csv, name=table)
        if write is not to_text:
            print_all_characters("utf-8")
        zone = timezone.get_default_timezone()
        period = period_of(options["first"], options["last"], timezone.localdate(), zone)
        text = write(build_report(period, timezone.now()))
        self.report(text.rstrip("\n"))
