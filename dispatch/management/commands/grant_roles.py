import re
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from ...maintenance.database_roles import SCHEMA, Database, RoleNames, grants, project_tables
from ..base import DispatchCommand

DATABASE = "SELECT current_database(), current_user"
ROLES = """
    SELECT rolname, pg_has_role(current_user, oid, 'USAGE') FROM pg_roles WHERE rolname = ANY(%s)
"""
TABLES = """
    SELECT relname, rolname FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner
    WHERE relnamespace = %s::regnamespace AND relname = ANY(%s) ORDER BY 1
"""
FUNCTIONS = r"""
    SELECT proname, rolname FROM pg_proc JOIN pg_roles ON pg_roles.oid = proowner
    WHERE pronamespace = %s::regnamespace
        AND proname ~ '^(_?pgtrigger_|lift_|sequences_behind$)'
    ORDER BY 1
"""


def to_prefix(text: str) -> str:
    # PostgreSQL truncates longer names.
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,50}", text):
        raise ArgumentTypeError(f"{text!r} is not a prefix like baywheels: a-z, 0-9 and _")
    return text


class Command(DispatchCommand):
    help = (
        "Creates the PostgreSQL roles PREFIX_app, PREFIX_migrator and PREFIX_ml and grants them "
        "exactly their rights. Run it after each migrate."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--names", metavar="PREFIX", default="baywheels", type=to_prefix)
        parser.add_argument("--dry-run", action="store_true", help="print the SQL only")

    def handle(self, *args: Any, names: str, dry_run: bool, **options: Any) -> None:
        roles = RoleNames.starting_with(names)
        with transaction.atomic(), connection.cursor() as cursor:
            statements = list(grants(self.inspect(cursor, roles), roles))
            for statement in statements if not dry_run else []:
                cursor.execute(statement)
        if dry_run:
            lines = ["BEGIN", *(statement.as_string() for statement in statements), "COMMIT"]
            self.stdout.write("\n".join(f"{line};" for line in lines))
        else:
            self.stdout.write(f"{', '.join(roles)} have their rights.")

    def inspect(self, cursor: CursorWrapper, roles: RoleNames) -> Database:
        def rows(query: str, *parameters: Any) -> list[tuple[Any, ...]]:
            cursor.execute(query, parameters)
            return list(cursor)

        ((name, user),) = rows(DATABASE)
        tables = dict(rows(TABLES, SCHEMA, project_tables()))
        if missing := set(project_tables()) - set(tables):
            raise CommandError(
                f"There is no table {min(missing)} yet: run `python manage.py migrate` first."
            )
        return Database(
            name=name,
            user=user,
            roles=dict(rows(ROLES, list(roles))),
            tables=tables,
            functions=dict(rows(FUNCTIONS, SCHEMA)),
        )
