from dataclasses import asdict
from typing import Any

from ... import services
from ..periodic import PeriodicCommand

ACTOR = "sweep"


class Command(PeriodicCommand):
    help = (
        "Releases tasks with an expired lease, raises waiting tasks (TASK_AGEING_MINUTES), and "
        "deletes expired suggestions, old idempotency keys, ended sessions of the console, and old "
        "sign-ins, codes and reports of phones, webhook deliveries and e-mails. Several may run at "
        "once."
    )

    def run_once(self, options: dict[str, Any]) -> None:
        result = services.sweep(actor=ACTOR, stopped=self.stopped.is_set)
        if any(asdict(result).values()):
            self.report(
                f"{result.released:,} tasks released, {result.raised:,} raised, "
                f"{result.expired:,} suggestions expired, "
                f"{result.forgotten:,} idempotency keys, {result.sessions:,} sessions, "
                f"{result.sign_ins:,} sign-ins, "
                f"{result.codes:,} codes and {result.reports:,} reports of phones, "
                f"{result.deliveries:,} webhook deliveries, {result.mail:,} e-mails deleted."
            )
