"""What every command has in common."""

import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from dispatch.exceptions import Refusal
from dispatch.management.base import DispatchCommand


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["ingest_suggestions", ""], "FILE"),
        (["ingest_suggestions", "-", "--source", ""], "--source"),
        (["ingest_suggestions", "-", "--skip-bad", "--rejects="], "--rejects"),
        (["prune", "--older-than=90d", "--archive", ""], "--archive"),
        (["sync_stations", "a.json", ""], "SOURCES"),
        (["export_stations", "--out="], "--out"),
        (["create_token", "job", "--label", ""], "--label"),
        (["revoke_token", "--user="], "--user"),
        (["simulate_city", ""], "URL"),
        (["import_original", ""], "DATABASE_URL"),
    ],
)
def test_an_empty_argument_is_refused(arguments, name):
    with pytest.raises(CommandError) as refused:
        call_command(*arguments)

    assert str(refused.value) == f"{name} must not be empty: is a variable unset?"


class Failing(DispatchCommand):
    def add_arguments(self, parser):
        parser.add_argument("--json", action="store_true")

    def handle(self, *args, **options):
        raise self.error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Refusal("Not now."), "Not now."),
        (OperationalError("gone\n  away"), "The database is not available: gone away"),
    ],
)
def test_a_failure_is_one_line_and_one_json_object(error, message):
    command, output = Failing(), io.StringIO()
    command.error = error

    with pytest.raises(CommandError) as failed:
        call_command(command, "--json", stdout=output)

    assert str(failed.value) == message
    assert json.loads(output.getvalue()) == {"ok": False, "error": message}
