import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser
from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from ...monitoring import Exporter
from ..periodic import PeriodicCommand

PORT = 9108


class Command(PeriodicCommand):
    help = (
        "Shows figures about the queue, crews, stations, feeds and the database to Prometheus. "
        "With --every, serves them on a port; without, prints them once. Several may run at once."
    )
    beats = False

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--port", type=int, default=PORT, help=f"default {PORT}")
        parser.add_argument("--bind", default="127.0.0.1", help="address; default 127.0.0.1")

    def handle(self, *args: Any, **options: Any) -> None:
        self.exporter = Exporter()
        self.registry = CollectorRegistry()
        self.registry.register(self.exporter)
        if options["every"] is not None:
            try:
                start_http_server(options["port"], options["bind"], self.registry)
            except (OSError, OverflowError) as error:
                where = f"{options['bind']}:{options['port']}"
                raise CommandError(f"{where} cannot be used: {error}.") from error
        super().handle(*args, **options)
        if options["every"] is None:
            sys.stdout.write(generate_latest(self.registry).decode())

    def run_once(self, options: dict[str, Any]) -> None:
        self.exporter.read()
