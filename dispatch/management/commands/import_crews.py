from typing import Any

from django.core.management.base import CommandParser

from ...ingest.crews import read_crews
from ...ingest.row_source import open_input
from ...services import import_crews
from ..base import DispatchCommand


class Command(DispatchCommand):
    help = "Adds and changes crews of the roster from CSV, all or none."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="a file, or - for standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        with open_input(options["file"]) as file:
            rows = read_crews(options["file"], file)
        self.report(str(import_crews(rows, user_id=None)))
