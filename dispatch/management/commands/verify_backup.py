from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.db import connection
from django.utils import timezone

from ...exceptions import Refusal
from ...maintenance.invariants import violations
from ...maintenance.schema_check import find_damage, is_outdated
from ...models import Suggestion, Task, TaskEvent
from ..ages import to_age
from ..base import NOT_MIGRATED, DispatchCommand, check_encoding


class Command(DispatchCommand):
    help = (
        "Checks a restored copy of the database, named by DATABASE_URL: its schema is whole, no "
        "invariant is violated, and its last event is young enough. Read-only."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--max-age",
            type=to_age,
            metavar="AGE",
            help="fail if the last event is older: 90d, 36h; default: any age",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, max_age: timedelta | None, **options: Any) -> None:
        check_encoding(connection)
        if damage := find_damage():
            self.fail(NOT_MIGRATED if is_outdated() else damage)
        if violated := violations():
            self.fail(f"Violated invariants: {', '.join(violated)}. See check_invariants.")
        last = TaskEvent.objects.order_by("id").last()
        at = last.at if last else None
        if max_age is not None and (at is None or at < timezone.now() - max_age):
            raise Refusal(f"The last event is from {at or 'never'}: the backup is too old.")
        counts = {
            "tasks": Task.objects.count(),
            "suggestions": Suggestion.objects.count(),
            "events": TaskEvent.objects.count(),
        }
        if options["json"]:
            self.report({"ok": True, "last_event_at": at, **counts})
        else:
            rows = ", ".join(f"{number:,} {name}" for name, number in counts.items())
            self.report(f"The copy is whole: {rows}. Its last event is from {at or 'never'}.")
