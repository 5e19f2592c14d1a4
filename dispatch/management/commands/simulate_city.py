from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import Error, connection

from ...demo.simulation import STEP_SECONDS, Simulation
from ...demo.smoke_client import SmokeFailure
from ...exceptions import Refusal
from ..base import DispatchCommand, explain
from ..periodic import StopFlag, handle_signals, interruptible_sleep

MAX_SPEED = 60


class Command(DispatchCommand):
    help = "Part of quickstart: keeps the demo city's station status fresh and simulates riders."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", help="address of the service that the vans call")
        parser.add_argument(
            "--speed",
            type=int,
            default=0,
            choices=range(MAX_SPEED + 1),
            metavar=f"0..{MAX_SPEED}",
            help="simulated minutes per second; default 0: no riders and no vans",
        )

    def handle(self, *args: Any, url: str, speed: int, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("DATABASE_URL is set: the demo city is for the local trial only.")
        self.reported_at = -1
        stopped = StopFlag()
        with handle_signals(stopped.set):
            simulation = Simulation(url, speed)
            while not stopped.is_set():
                self.step(simulation)
                interruptible_sleep(STEP_SECONDS, stopped.is_set)
            simulation.end()

    def step(self, simulation: Simulation) -> None:
        try:
            simulation.step()
        except Error as error:
            # A later step may reach the database, on a new connection.
            connection.close()
            self.report_once(simulation, explain(error))
        except (OSError, SmokeFailure, Refusal) as trouble:
            self.report_once(simulation, str(trouble))

    def report_once(self, simulation: Simulation, trouble: str) -> None:
        """Report the first failure of a row of failures only."""
        if simulation.steps > self.reported_at:
            self.reported_at = simulation.steps
            self.stderr.write(f"The demo city: {' '.join(trouble.split())}")
