"""The base of all commands: every failure is one line and exit 1."""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import Error, InterfaceError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from ..exceptions import DatabaseUnavailable, Refusal


def explain(error: Refusal | Error) -> str:
    if isinstance(error, OperationalError | InterfaceError):
        return str(DatabaseUnavailable(error))
    if isinstance(error, Error):
        return f"The database refuses: {' '.join(str(error).split())}"
    return str(error)


def check_encoding(connection: BaseDatabaseWrapper) -> None:
    """Raise CommandError unless the database can store every text."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        [encoding] = cursor.fetchone()
    if encoding != "UTF8":
        raise CommandError(
            f"The database's encoding is {encoding}. The service needs one made with "
            "ENCODING 'UTF8'."
        )


def to_json(value: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)


def refuse_empty(parser: CommandParser, options: Mapping[str, Any]) -> None:
    """In a crontab, an unset variable would silently turn an option off."""
    for action in parser._actions:
        value = options.get(action.dest)
        if value == "" or (isinstance(value, list) and "" in value):
            name = action.option_strings[-1] if action.option_strings else action.dest.upper()
            raise CommandError(f"{name} must not be empty: is a variable unset?")


class DispatchCommand(BaseCommand):
    """Reports refusals and database errors; with a `--json` option, also as a JSON object."""

    requires_system_checks = ()

    def execute(self, *args: Any, **options: Any) -> str | None:
        refuse_empty(self.create_parser("manage.py", ""), options)
        self.as_json = bool(options.get("json"))
        try:
            return super().execute(*args, **options)
        except CommandError:
            raise
        except (Refusal, Error) as error:
            self.fail(explain(error))

    def fail(self, error: str, returncode: int = 1) -> NoReturn:
        if self.as_json:
            first_line = error.partition("\n")[0]
            self.report({"ok": False, "error": first_line, **self.failure_details()})
        raise CommandError(error, returncode=returncode)

    def failure_details(self) -> dict[str, Any]:
        """More fields for the JSON object of a failure."""
        return {}

    def report(self, result: str | dict[str, Any]) -> None:
        """Print the result. If no one reads standard output, the work is done all the same."""
        if sys.stdout is None:
            return
        try:
            self.stdout.write(result if isinstance(result, str) else to_json(result))
            self.stdout.flush()
        except OSError as error:
            # Otherwise Python tries again when it exits, and complains.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self.stderr.write(f"Could not print the result: {error.strerror}.")
