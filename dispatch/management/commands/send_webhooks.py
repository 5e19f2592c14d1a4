from typing import Any

from ...webhooks import Sender
from ..periodic import PeriodicCommand


class Command(PeriodicCommand):
    help = (
        "Sends webhooks that are due, and notices what calls for one: overdue tasks, tasks that no "
        "crew may take, urgent suggestions. Several may run at once."
    )

    def run_once(self, options: dict[str, Any]) -> None:
        sender = Sender(stopped=self.stopped.is_set)
        sender.run()
        if sender.sent or sender.failed:
            self.report(f"{sender.sent:,} webhooks sent, {sender.failed:,} attempts failed.")
