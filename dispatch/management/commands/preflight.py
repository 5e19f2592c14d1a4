from typing import Any

from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from ...maintenance.invariants import sequences_behind
from ..base import DispatchCommand, check_encoding


class Command(DispatchCommand):
    help = "Checks that the service can start: the database is available and its schema current."

    def handle(self, *args: Any, **options: Any) -> None:
        check_encoding(connection)
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise CommandError("The database schema is old: run `python manage.py migrate`.")
        # Only a warning: the next insert lifts the sequence.
        for behind in sequences_behind():
            self.stderr.write(
                f"The sequence {behind['sequence']} is behind its table: {behind['fix']};"
            )
