import time
from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.contrib.postgres.operations import AddIndexConcurrently
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations import RemoveIndex
from django.db.migrations.recorder import MigrationRecorder

from ...maintenance.schema_check import find_damage, is_outdated
from ..base import check_encoding

# A statement that waits for the lock would keep a snapshot, and an index that is built concurrently
# waits for all older snapshots: a deadlock.
TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('migrate', 0))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('migrate', 0))"

# All requests for a table wait behind a migration that waits for it. So it gives up soon, and tries
# again: each migration is a transaction, so its changes are rolled back.
LOCK_TIMEOUT = "SET lock_timeout = '2s'"
NO_LOCK_TIMEOUT = "SET lock_timeout = 0"
PAUSES = [min(2**number, 30) for number in range(10)]
# Of two transactions that wait for each other, PostgreSQL may end the migration instead.
LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED = "55P03", "40P01"
# Options with which Django only shows or records migrations.
CHANGE_NO_SCHEMA = ("plan", "check_unapplied", "fake")


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


def is_locked(cursor: CursorWrapper) -> bool:
    cursor.execute(TRY_LOCK)
    return bool(cursor.fetchone()[0])


def is_table_in_use(error: OperationalError) -> bool:
    return getattr(error.__cause__, "sqlstate", None) in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED)


def build_patiently(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Let a concurrent build wait for old transactions: no request waits behind it.

    A build that gives up leaves an invalid index.
    """
    if " CONCURRENTLY " not in sql:
        return execute(sql, params, many, context)
    execute(NO_LOCK_TIMEOUT, None, False, context)
    result = execute(sql, params, many, context)
    execute(LOCK_TIMEOUT, None, False, context)
    return result


def drop_unrecorded_indexes(connection: BaseDatabaseWrapper) -> None:
    """Drop what an interrupted migration built, so that it can be repeated.

    A killed `migrate` leaves an index that is invalid or whole: PostgreSQL may finish the build.
    """
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    pending = [operation for migration, _ in plan for operation in migration.operations]
    built = {each.index.name for each in pending if isinstance(each, AddIndexConcurrently)}
    # These still have their former definition.
    replaced = {each.name for each in pending if isinstance(each, RemoveIndex)}
    with connection.cursor() as cursor:
        for name in sorted(built - replaced):
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {connection.ops.quote_name(name)}")


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        """Like Django's, but one at a time, and no statement waits for a lock longer than 2 s.

        Two at once would create the same table twice.
        """
        connection = connections[options["database"]]
        check_encoding(connection)
        with connection.cursor() as cursor, connection.execute_wrapper(build_patiently):
            while not is_locked(cursor):
                time.sleep(1)
            try:
                refuse_foreign_tables(connection)
                cursor.execute(LOCK_TIMEOUT)
                if not any(options[name] for name in CHANGE_NO_SCHEMA):
                    drop_unrecorded_indexes(connection)
                self.migrate(*args, **options)
                # Objects that a migration made may have been removed since.
                if not is_outdated() and (damage := find_damage()):
                    raise CommandError(damage)
            finally:
                cursor.execute("RESET lock_timeout")
                cursor.execute(UNLOCK)

    def migrate(self, *args: Any, **options: Any) -> None:
        for pause in PAUSES:
            try:
                super().handle(*args, **options)
            except OperationalError as error:
                if not is_table_in_use(error):
                    raise
                self.stderr.write(f"A table is in use. Trying again in {pause} s.")
                time.sleep(pause)
            else:
                return
        raise CommandError(f"A table was in use at each of {len(PAUSES)} tries.")
