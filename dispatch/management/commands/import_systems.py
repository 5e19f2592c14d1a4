from typing import Any

from django.core.management.base import CommandParser

from ...ingest.row_source import open_input
from ...ingest.systems import read_systems
from ...services import import_systems
from ..base import DispatchCommand


class Command(DispatchCommand):
    help = "Adds and changes systems that poll_status reads, from CSV, all or none."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="a file, or - for standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        with open_input(options["file"]) as file:
            rows = read_systems(options["file"], file)
        self.report(import_systems(rows))
