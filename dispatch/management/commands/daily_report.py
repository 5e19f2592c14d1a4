from datetime import date, timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.template.defaultfilters import pluralize
from django.utils import timezone

from ... import services
from ...mail import compose_report
from ...mail.sender import mail_server
from ..base import DispatchCommand
from ..dates import date_argument


class Command(DispatchCommand):
    help = (
        "Enqueues a day's report for everyone who wants the daily report and has not had it; "
        "send_mail sends it. Each day, send_mail does both for the day before."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--date", type=date_argument, help="the day; default: yesterday")
        parser.add_argument("--to", metavar="ADDRESS", help="send it now, to this address only")

    def handle(self, *args: Any, date: date | None, to: str | None, **options: Any) -> None:
        services.check_mail_is_set_up()
        day = date or timezone.localdate() - timedelta(days=1)
        if to is None:
            number = services.enqueue_daily_reports(day)
            self.report(f"Enqueued {number:,} report{pluralize(number)} of {day}.")
            return
        mail = compose_report(day, to)
        with mail_server() as server:
            server.send_messages([mail])
        self.report(f"Sent the report of {day} to {to}.")
