from typing import Any

from django.apps import apps
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from ...maintenance.schema_check import find_damage, is_outdated
from ..base import check_encoding

LOCK = "SELECT pg_advisory_lock(hashtextextended('migrate', 0))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('migrate', 0))"


def refuse_foreign_tables(connection: BaseDatabaseWrapper) -> None:
    """Raise CommandError if tables have our names, but no migration of ours made them.

    Otherwise the first migration of another app would stay behind when ours fails.
    """
    if any(app == "dispatch" for app, _ in MigrationRecorder(connection).applied_migrations()):
        return
    ours = {model._meta.db_table for model in apps.get_app_config("dispatch").get_models()}
    if foreign := sorted(ours.intersection(connection.introspection.table_names())):
        raise CommandError(
            f"This database has tables of another program: {', '.join(foreign)}. Use an empty"
            " database; `manage.py import_original` copies the original service's rows into it."
        )


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        """Like Django's, but one at a time: two at once would create the same table twice."""
        connection = connections[options["database"]]
        check_encoding(connection)
        with connection.cursor() as cursor:
            cursor.execute(LOCK)
            try:
                refuse_foreign_tables(connection)
                super().handle(*args, **options)
                # Objects that a migration made may have been removed since.
                if not is_outdated() and (damage := find_damage()):
                    raise CommandError(damage)
            finally:
                cursor.execute(UNLOCK)
