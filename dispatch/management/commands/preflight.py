from typing import Any

from django.core.management.base import CommandError
from django.db import connection

from ...maintenance.invariants import invalid_indexes, sequences_behind
from ...maintenance.schema_check import find_damage, is_outdated
from ..base import DispatchCommand, check_encoding


class Command(DispatchCommand):
    help = (
        "Checks that the service can start: the database answers, its schema is current and whole."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        check_encoding(connection)
        if is_outdated():
            raise CommandError("The database schema is old: run `python manage.py migrate`.")
        if damage := find_damage():
            raise CommandError(damage)
        # Only warnings: the next insert lifts the sequence, and queries work without the index.
        for behind in sequences_behind():
            self.stderr.write(
                f"The sequence {behind['sequence']} is behind its table: {behind['fix']};"
            )
        for index in invalid_indexes():
            self.stderr.write(f"The index {index['index']} is invalid: {index['fix']};")
