"""The base of all commands: every failure is one line and exit 1."""

import json
import os
import signal
import sys
from collections.abc import Mapping
from io import TextIOWrapper
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import Error, InterfaceError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.errors import UndefinedColumn, UndefinedTable

from ..exceptions import DatabaseUnavailable, Refusal

# The status of a program that SIGPIPE ended, as other programs end here.
READER_IS_GONE = 128 + signal.SIGPIPE
NOT_MIGRATED = "The database lacks tables or columns of the service. Run manage.py migrate."


def explain(error: Refusal | Error) -> str:
    if isinstance(error, OperationalError | InterfaceError):
        return str(DatabaseUnavailable(error))
    if isinstance(error.__cause__, UndefinedTable | UndefinedColumn):
        return NOT_MIGRATED
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
    """Refuse an empty value: an unset variable in a crontab would silently drop the option."""
    for action in parser._actions:
        value = options.get(action.dest)
        values = value if isinstance(value, list) else [value]
        if any(isinstance(each, str) and not each.strip() for each in values):
            name = action.option_strings[-1] if action.option_strings else action.dest.upper()
            raise Refusal(f"{name} must not be empty: is a variable unset?")


def print_all_characters(encoding: str | None = None) -> None:
    """Escape characters that the encoding lacks. None: the terminal's encoding."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")


def discard_output() -> None:
    """Redirect a closed output to nowhere: Python would complain about it at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class DispatchCommand(BaseCommand):
    """Reports refusals and database errors; with a `--json` option, also as a JSON object."""

    requires_system_checks = ()

    def execute(self, *args: Any, **options: Any) -> str | None:
        self.as_json = bool(options.get("json"))
        print_all_characters("utf-8" if self.as_json else None)
        try:
            refuse_empty(self.create_parser("manage.py", ""), options)
            output = super().execute(*args, **options)
            self.stdout.flush()
        except CommandError:
            raise
        except BrokenPipeError:
            # The reader has seen enough, as in `export_stations | head`.
            discard_output()
            raise SystemExit(READER_IS_GONE) from None
        except (Refusal, Error) as error:
            self.fail(explain(error))
        return output

    def fail(self, error: str, returncode: int = 1) -> NoReturn:
        if self.as_json:
            first_line = error.partition("\n")[0]
            self.report({"ok": False, "error": first_line, **self.failure_details()})
        raise CommandError(error, returncode=returncode)

    def failure_details(self) -> dict[str, Any]:
        """More fields for the JSON object of a failure."""
        return {}

    def report(self, result: str | dict[str, Any]) -> None:
        """Print the result. The command succeeds even if no one reads standard output."""
        if sys.stdout is None:
            return
        try:
            self.stdout.write(result if isinstance(result, str) else to_json(result))
            self.stdout.flush()
        except OSError as error:
            discard_output()
            self.stderr.write(f"Could not print the result: {error.strerror}.")
