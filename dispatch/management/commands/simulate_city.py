import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, connection

from dispatch.demo.simulation import Simulation
from dispatch.demo.smoke import SmokeFailure
from dispatch.exceptions import Refusal

MOST_SPEED = 60


class Command(BaseCommand):
    help = "Part of quickstart: keeps the demo city's status fresh, and lets it live."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", help="of the service that the vans talk to")
        parser.add_argument(
            "--speed",
            type=int,
            default=0,
            choices=range(MOST_SPEED + 1),
            metavar=f"0..{MOST_SPEED}",
            help="minutes of the city in a second; 0, the default: at rest",
        )

    def handle(self, *args: Any, url: str, speed: int, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("DATABASE_URL is set: the demo city is for the local trial only.")
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        simulation = Simulation(url, speed)
        told_at = -1
        while not stopped.is_set():
            try:
                simulation.run(stopped.wait)
            except (OperationalError, InterfaceError, OSError):
                # The database or the server is away; the next round may find it back.
                connection.close()
            except (SmokeFailure, Refusal) as trouble:
                # Once, until there was a step that went well.
                if simulation.steps > told_at:
                    told_at = simulation.steps
                    self.stderr.write(f"The demo city: {' '.join(str(trouble).split())}")
            stopped.wait(1)
