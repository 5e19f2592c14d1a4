from typing import Any

from ... import services
from ...mail import MailSender
from ..periodic import PeriodicCommand


class Command(PeriodicCommand):
    help = (
        "Sends e-mails that are due: alerts for those who want them, and each day the report of "
        "the day before. Several may run at once."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        services.check_mail_is_set_up()
        super().handle(*args, **options)

    def run_once(self, options: dict[str, Any]) -> None:
        sender = MailSender(stopped=self.stopped.is_set)
        try:
            sender.run()
        finally:
            if sender.sent or sender.failed:
                self.report(f"E-mails sent: {sender.sent:,}. Failed attempts: {sender.failed:,}.")
