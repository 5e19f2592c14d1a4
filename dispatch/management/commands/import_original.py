from typing import Any

from django.core.management.base import CommandParser

from ... import services
from ...maintenance.original import open_original
from ..base import DispatchCommand


class Command(DispatchCommand):
    help = (
        "Copies the suggestions and tasks of the original service, with their ids: all or nothing."
        " You may run it again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("database_url", metavar="DATABASE_URL", help="the original's database")
        parser.add_argument(
            "--skip-bad", action="store_true", help="leave out rows that this service refuses"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, database_url: str, skip_bad: bool, **options: Any) -> None:
        with open_original(database_url) as original:
            result = services.import_original(original, skip_bad=skip_bad)
        for fault in result.faults:
            self.stderr.write(f"Left out: {fault}.")
        counts = {
            "suggestions": result.suggestions,
            "tasks": result.tasks,
            "suggestions_present": result.present["suggestions"],
            "tasks_present": result.present["tasks"],
            "left_out": len(result.faults),
        }
        if self.as_json:
            self.report({"ok": True, "task_table": original.task_table, **counts})
        else:
            self.report(
                "{suggestions:,} suggestions and {tasks:,} tasks imported. {suggestions_present:,}"
                " suggestions and {tasks_present:,} tasks were here already, {left_out:,} rows"
                " left out.".format(**counts)
                + f" The tasks came from the table {original.task_table}."
            )
