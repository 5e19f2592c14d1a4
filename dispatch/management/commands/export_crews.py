from typing import Any

from ...ingest.crews import COLUMNS, row_of
from ...models import Crew
from ...tables import csv_text
from ..base import DispatchCommand, print_all_characters


class Command(DispatchCommand):
    help = "Writes the roster as CSV to standard output. import_crews reads it."

    def handle(self, *args: Any, **options: Any) -> None:
        print_all_characters("utf-8")
        for line in csv_text([COLUMNS.known, *map(row_of, Crew.objects.all())]):
            self.stdout.write(line, ending="")
