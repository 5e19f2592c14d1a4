from datetime import date
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from ... import services
from ...exceptions import Refusal
from ..dates import add_period
from ..periodic import PeriodicCommand


class Command(PeriodicCommand):
    help = (
        "Stores the figures of past days, so that reports need not compute them again. You may "
        "kill it at any time and run it again, and several may run at once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--rebuild",
            action="store_true",
            help="once, compute stored days again: all, or those of --from and --to",
        )
        add_period(parser)

    def handle(self, *args: Any, every: float | None, **options: Any) -> None:
        if not options["rebuild"] and (options["first"] or options["last"]):
            raise Refusal("--from and --to need --rebuild.")
        if options["rebuild"] and every is not None:
            raise Refusal("--rebuild runs once, without --every.")
        super().handle(*args, every=every, **options)

    def run_once(self, options: dict[str, Any]) -> None:
        zone, today = timezone.get_default_timezone(), timezone.localdate()
        if options["rebuild"]:
            first, last = options["first"] or date.min, options["last"] or date.max
            days = [day for day in services.past_days(today, zone) if first <= day <= last]
        else:
            days = services.due_days(today, zone)
        computed = kept = 0
        for day in days:
            if self.stopped.is_set():
                break
            if services.roll_up(day, zone):
                computed += 1
            else:
                kept += 1
        if days:
            self.report(f"{computed:,} days computed, {kept:,} with pruned rows kept.")
