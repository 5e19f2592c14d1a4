import signal
import threading
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, connection

from dispatch import services
from dispatch.exceptions import DatabaseUnavailable
from dispatch.management.periodic import pause

ACTOR = "sweep"


class Command(BaseCommand):
    help = (
        "Releases tasks whose lease has run out, removes expired suggestions and forgets old "
        "idempotency keys. Any number may run at once."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--every",
            type=float,
            metavar="SECONDS",
            help="go on until SIGTERM or Ctrl-C; without it, once",
        )

    def handle(self, *args: Any, every: float | None, **options: Any) -> None:
        if every is None:
            self.sweep(threading.Event())
            return
        if not 1 <= every <= 86_400:
            raise CommandError("--every takes 1 to 86400 seconds.")
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        while not stopped.is_set():
            try:
                self.sweep(stopped)
            except (OperationalError, InterfaceError) as error:
                # The next round may find it back.
                self.stderr.write(str(DatabaseUnavailable(error)))
            # Nothing idle is kept open, and no connection that a restart has broken.
            connection.close()
            pause(every, stopped.is_set)

    def sweep(self, stopped: threading.Event) -> None:
        result = services.sweep(actor=ACTOR, stopped=stopped.is_set)
        if any(asdict(result).values()):
            self.stdout.write(
                f"{result.released:,} tasks released, {result.expired:,} suggestions expired, "
                f"{result.forgotten:,} idempotency keys forgotten."
            )
            self.stdout.flush()
