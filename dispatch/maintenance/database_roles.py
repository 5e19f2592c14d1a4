"""Three PostgreSQL roles and their rights, as SQL.

The roles are groups without a login. Each run states every right in full, so it also revokes
rights that no longer apply.
"""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass

from django.apps import apps
from django.db.migrations.recorder import MigrationRecorder
from psycopg.sql import SQL, Composed, Identifier

SCHEMA = "public"
ALL_ROWS = "SELECT, INSERT, UPDATE, DELETE"
# Tables where the app needs fewer rights.
LESS = {
    "task_events": "SELECT, INSERT",
    # Deleting an account deletes its entries.
    "django_admin_log": "SELECT, INSERT, DELETE",
    # Only migrations write these.
    "auth_permission": "SELECT",
    "django_content_type": "SELECT",
    "django_migrations": "SELECT",
}
ML_INSERTS = [
    "from_station_id",
    "to_station_id",
    "qty",
    "reason",
    "priority",
    "source",
    "expires_at",
    "created_at",
]
ML_READS = [
    "suggestions",
    "tasks",
    "task_events",
    "stations",
    "station_aliases",
    "station_status",
    "station_outages",
]


@dataclass(frozen=True)
class RoleNames:
    app: str
    migrator: str
    ml: str

    @classmethod
    def starting_with(cls, prefix: str) -> "RoleNames":
        return cls(f"{prefix}_app", f"{prefix}_migrator", f"{prefix}_ml")

    def __iter__(self) -> Iterator[str]:
        return iter(astuple(self))


@dataclass(frozen=True)
class Database:
    """The present state of the database.

    `user`: the role that has migrated so far. `roles`: our roles that exist, and whether `user`
    has their rights. `tables` and `functions`: the project's, each with its owner.
    """

    name: str
    user: str
    roles: Mapping[str, bool]
    tables: Mapping[str, str]
    functions: Mapping[str, str]


def project_tables() -> list[str]:
    models = apps.get_models(include_auto_created=True)
    tables = {model._meta.db_table for model in models if model._meta.managed}
    return sorted(tables | {MigrationRecorder.Migration._meta.db_table})


def grants(database: Database, names: RoleNames) -> Iterator[Composed]:
    """Return the statements, to be run in one transaction."""
    yield from create_roles(database, names)
    yield from grant_access(database, names)
    yield from grant_to_migrator(database, names)
    yield from grant_to_app(database, names)
    yield from grant_to_ml(names)


def create_roles(database: Database, names: RoleNames) -> Iterator[Composed]:
    for name in names:
        if name not in database.roles:
            yield SQL("CREATE ROLE {} NOLOGIN").format(Identifier(name))
    if not database.roles.get(names.migrator):
        yield SQL("GRANT {} TO {}").format(Identifier(names.migrator), Identifier(database.user))


def grant_access(database: Database, names: RoleNames) -> Iterator[Composed]:
    name, schema = Identifier(database.name), Identifier(SCHEMA)
    app, migrator, ml = map(Identifier, names)
    yield SQL("GRANT CONNECT ON DATABASE {} TO {}, {}, {}").format(name, app, migrator, ml)
    # The bulk import stages its rows in temporary tables.
    yield SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(name, app)
    # Databases created before PostgreSQL 15 let every role create tables.
    yield SQL("REVOKE CREATE ON SCHEMA {} FROM PUBLIC").format(schema)
    yield SQL("GRANT USAGE ON SCHEMA {} TO {}, {}").format(schema, app, ml)
    yield SQL("GRANT USAGE, CREATE ON SCHEMA {} TO {}").format(schema, migrator)


def grant_to_migrator(database: Database, names: RoleNames) -> Iterator[Composed]:
    """Only an owner may change a table, and so may the members of the owner's group."""
    # ALTER waits for open transactions, and later requests queue behind it.
    yield SQL("SET LOCAL lock_timeout = '2s'").format()
    for kind, owners in (("TABLE", database.tables), ("FUNCTION", database.functions)):
        for name, owner in owners.items():
            if owner != names.migrator:
                yield SQL("ALTER {} {} OWNER TO {}").format(
                    SQL(kind), Identifier(SCHEMA, name), Identifier(names.migrator)
                )


def grant_to_app(database: Database, names: RoleNames) -> Iterator[Composed]:
    """No rights on sequences: identity columns need none, and triggers lift the sequences."""
    app, ml = Identifier(names.app), Identifier(names.ml)
    for name in database.tables:
        table, rights = Identifier(SCHEMA, name), SQL(LESS.get(name, ALL_ROWS))
        yield SQL("REVOKE ALL ON {} FROM {}, {}").format(table, app, ml)
        yield SQL("GRANT {} ON {} TO {}").format(rights, table, app)
    for name in database.functions:
        # The triggers of suggestions call one of them, so jobs need it as well.
        yield SQL("GRANT EXECUTE ON FUNCTION {} TO {}, {}").format(
            Identifier(SCHEMA, name), app, ml
        )
    # Rights on tables that a later migration creates, until the next run.
    for creator in sorted({database.user, names.migrator}):
        yield SQL(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {} GRANT {} ON TABLES TO {}"
        ).format(Identifier(creator), Identifier(SCHEMA), SQL(ALL_ROWS), app)


def grant_to_ml(names: RoleNames) -> Iterator[Composed]:
    ml, suggestions = Identifier(names.ml), Identifier(SCHEMA, "suggestions")
    columns = SQL(", ").join(map(Identifier, ML_INSERTS))
    yield SQL("GRANT INSERT ({}) ON {} TO {}").format(columns, suggestions, ml)
    for table in ML_READS:
        yield SQL("GRANT SELECT ON {} TO {}").format(Identifier(SCHEMA, table), ml)
