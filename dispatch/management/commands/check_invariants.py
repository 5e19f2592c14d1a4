import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from dispatch.maintenance.invariants import INVARIANTS, violations


def to_json(value: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)


class Command(BaseCommand):
    help = "Reads all data and tells what contradicts itself or its history. It changes nothing."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        violated = violations()
        if options["json"]:
            answer = {"ok": not violated, "invariants": len(INVARIANTS), "violations": violated}
            self.stdout.write(to_json(answer))
        elif violated:
            self.tell(violated)
        else:
            self.stdout.write(f"No violations: {len(INVARIANTS)} invariants hold.")
        if violated:
            raise CommandError(f"{len(violated)} of {len(INVARIANTS)} invariants do not hold.")

    def tell(self, violated: dict[str, list[dict[str, Any]]]) -> None:
        meanings = {invariant.name: invariant.meaning for invariant in INVARIANTS}
        for name, rows in violated.items():
            self.stdout.write(f"{name}: {rows[0]['found']:,} found. {meanings[name]}")
            for row in rows:
                shown = {key: to_json(value) for key, value in row.items() if key != "found"}
                self.stdout.write("  " + " ".join(f"{key}={text}" for key, text in shown.items()))
