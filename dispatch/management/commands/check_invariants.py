from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...maintenance.invariants import INVARIANTS, violations
from ...maintenance.schema_check import find_damage, is_outdated
from ..base import NOT_MIGRATED, DispatchCommand, to_json


class Command(DispatchCommand):
    help = "Reads all data and reports contradictions with itself or its history. Read-only."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if damage := find_damage():
            self.fail(NOT_MIGRATED if is_outdated() else damage)
        violated = violations()
        if options["json"]:
            counts = {"ok": not violated, "invariants": len(INVARIANTS)}
            self.report({**counts, "violations": violated})
        elif violated:
            self.list_violations(violated)
        else:
            self.report(f"No violations: {len(INVARIANTS)} invariants hold.")
        if violated:
            raise CommandError(f"{len(violated)} of {len(INVARIANTS)} invariants do not hold.")

    def list_violations(self, violated: dict[str, list[dict[str, Any]]]) -> None:
        meanings = {invariant.name: invariant.meaning for invariant in INVARIANTS}
        for name, rows in violated.items():
            self.stdout.write(f"{name}: {rows[0]['found']:,} found. {meanings[name]}")
            for row in rows:
                shown = {key: to_json(value) for key, value in row.items() if key != "found"}
                self.stdout.write("  " + " ".join(f"{key}={text}" for key, text in shown.items()))
