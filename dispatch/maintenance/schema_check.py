"""The tables as the models need them: columns, keys, constraints and triggers.

A job that replaces a table instead of its rows leaves one without them.
"""

import time
from functools import cache
from pkgutil import iter_modules

from django.apps import apps
from django.db import connection, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from .. import migrations

# Seconds for which a complete schema is not read again.
TRUSTED_FOR = 30
# Triggers from plain SQL, beside those that the models declare.
SEQUENCE_TRIGGERS = {
    "suggestions": ["lift_suggestions_before", "lift_suggestions_after"],
    "tasks": ["lift_tasks_before", "lift_tasks_after"],
    "task_events": ["lift_task_events_before"],
}
PRESENT = """
    WITH tables AS (
        SELECT oid, relname FROM pg_class
        WHERE relname = ANY(%s) AND relkind IN ('r', 'p') AND pg_table_is_visible(oid)
    )
    SELECT relname, 'table', '' FROM tables
    UNION ALL
    SELECT relname, 'column', attname FROM tables JOIN pg_attribute ON attrelid = tables.oid
    WHERE attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT relname, 'primary key', '' FROM tables JOIN pg_constraint ON conrelid = tables.oid
    WHERE contype = 'p'
    UNION ALL
    SELECT relname, 'unique column', attname
    FROM tables JOIN pg_constraint ON conrelid = tables.oid
        JOIN pg_attribute ON attrelid = tables.oid AND conkey = ARRAY[attnum]
    WHERE contype = 'u'
    UNION ALL
    SELECT relname, 'constraint', conname FROM tables JOIN pg_constraint ON conrelid = tables.oid
    UNION ALL
    -- PostgreSQL keeps conditional unique constraints as indexes.
    SELECT tables.relname, 'constraint', pg_class.relname
    FROM tables JOIN pg_index ON indrelid = tables.oid JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indisunique AND indisvalid
    UNION ALL
    SELECT relname, 'trigger', tgname FROM tables JOIN pg_trigger ON tgrelid = tables.oid
    WHERE tgenabled <> 'D'
"""
Part = tuple[str, str, str]


def is_outdated() -> bool:
    """True if a migration has not been applied."""
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def is_newer() -> bool:
    """True if a later version has migrated: it may have removed columns that we still know."""
    known = {module.name for module in iter_modules(migrations.__path__)}
    applied = MigrationRecorder(connection).migration_qs.filter(app="dispatch")
    return applied.exclude(name__in=known).exists()


def find_damage() -> str | None:
    """Return one sentence about the missing parts of the schema, or None."""
    needed = needed_parts()
    with connection.cursor() as cursor:
        cursor.execute(PRESENT, [sorted({table for table, _, _ in needed})])
        present = set(cursor.fetchall())
    missing = [part for part in needed if part not in present]
    if not missing:
        return None
    table, kind, name = missing[0]
    lack = f"no table {table}" if kind == "table" else f"{table} has no {kind} {name}".rstrip()
    more = f", and {len(missing) - 1} more are missing" if missing[1:] else ""
    return f"The database schema is damaged: {lack}{more}."


@cache
def needed_parts() -> tuple[Part, ...]:
    return tuple(
        part
        for model in apps.get_app_config("dispatch").get_models(include_auto_created=True)
        for part in parts_of(model)
    )


def parts_of(model: type[models.Model]) -> list[Part]:
    meta = model._meta
    fields = meta.local_concrete_fields
    names = [
        ("table", ""),
        *(("column", field.column) for field in fields),
        ("primary key", ""),
        *(
            ("unique column", field.column)
            for field in fields
            if field.unique and field is not meta.pk
        ),
        *(("constraint", each.name) for each in meta.constraints),
        *(("trigger", each.get_pgid(model)) for each in getattr(meta, "triggers", [])),
        *(("trigger", name) for name in SEQUENCE_TRIGGERS.get(meta.db_table, [])),
    ]
    return [(meta.db_table, kind, name) for kind, name in names]


class SchemaWatch:
    """`find_damage` for a running server, and for frequent callers.

    A complete schema is trusted for a while. A later version may migrate while this one serves.
    """

    def __init__(self) -> None:
        self.complete_until = float("-inf")

    def find_damage(self) -> str | None:
        if time.monotonic() < self.complete_until:
            return None
        damage = find_damage()
        if damage is None or is_newer():
            self.complete_until = time.monotonic() + TRUSTED_FOR
            return None
        return damage
