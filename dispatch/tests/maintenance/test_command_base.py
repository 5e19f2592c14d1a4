"""Behaviour shared by all commands."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import (
    BaseCommand,
    CommandError,
    call_command,
    find_commands,
    load_command_class,
)
from django.db import OperationalError, connection, transaction

from dispatch import management
from dispatch.exceptions import Refusal
from dispatch.management.base import NOT_MIGRATED, DispatchCommand
from dispatch.services import create_token

from ..support.factories import StationFactory, UserFactory
from ..support.server import ROOT, database_url

VALUES = {"older_than": "90d"}


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

    assert str(refused.value).startswith(f"{name} must not be empty: is a variable unset?")


def arguments_of_commands():
    """Every argument with a value of every command, and the command's required arguments."""
    for name in find_commands(str(Path(management.__file__).parent)):
        command = load_command_class("dispatch", name)
        if not isinstance(command, DispatchCommand):
            continue
        parser = command.create_parser("manage.py", name)
        common = {action.dest for action in BaseCommand().create_parser("", "")._actions}
        own = [action for action in parser._actions if action.dest not in common]
        for action in own:
            if action.nargs != 0:
                yield pytest.param(name, action, own, id=f"{name} {action.dest}")


@pytest.mark.parametrize("empty", ["", " "])
@pytest.mark.parametrize(("command", "argument", "others"), list(arguments_of_commands()))
def test_every_command_refuses_an_empty_argument_at_once(command, argument, others, empty):
    given = []
    for each in others:
        if each is argument or each.required:
            value = empty if each is argument else VALUES.get(each.dest, "x")
            given += [each.option_strings[-1], value] if each.option_strings else [value]

    with pytest.raises(CommandError, match=r"must not be empty|invalid|is not "):
        call_command(command, *given)


def test_an_empty_argument_is_reported_as_json_too(capsys):
    with pytest.raises(CommandError):
        call_command("ingest_suggestions", "-", "--source=", "--json")

    assert json.loads(capsys.readouterr().out)["error"] == (
        "--source must not be empty: is a variable unset?"
    )


def run_alone(*arguments, stdout, **environment):
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": database_url(),
            "SECRET_KEY": "k" * 50,
            "ALLOWED_HOSTS": "127.0.0.1",
            **environment,
        },
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("command", "status"), [("export_stations", 141), ("list_tokens", 141), ("kpi", 0)]
)
def test_a_reader_that_leaves_early_causes_no_traceback(command, status):
    StationFactory.create_batch(500)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        ended = run_alone(command, stdout=pipe)

    said = ended.stderr.decode().removesuffix("Could not print the result: Broken pipe.\n")
    assert (ended.returncode, said) == (status, "")


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_terminal_of_few_characters_gets_escapes_and_csv_is_utf_8():
    StationFactory(name="次は")
    create_token(UserFactory(), actor="test", label="次は")

    listed = run_alone("list_tokens", stdout=subprocess.PIPE, PYTHONIOENCODING="latin-1")
    exported = run_alone("export_stations", stdout=subprocess.PIPE, PYTHONIOENCODING="latin-1")

    assert (listed.returncode, exported.returncode) == (0, 0)
    assert b"\\u6b21\\u306f" in listed.stdout
    assert "次は" in exported.stdout.decode("utf-8-sig")


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


@pytest.mark.django_db
@pytest.mark.parametrize(
    "arguments",
    [
        ["check_invariants"],
        ["create_token", "web-job", "--role", "ml"],
        ["export_stations"],
        ["ingest_suggestions", __file__, "--format", "csv"],
        ["kpi"],
        ["list_tokens"],
        ["poll_status", "status.json", "--system", "bay"],
        ["prune", "--older-than", "90d"],
        ["suggest_moves"],
        ["sweep"],
        ["sync_stations", "information.json", "--system", "bay"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_missing_tables_are_one_line_with_the_remedy(arguments):
    savepoint = transaction.savepoint()
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA without_tables; SET LOCAL search_path TO without_tables")

    with pytest.raises(CommandError) as failed:
        call_command(*arguments, stdout=io.StringIO())

    transaction.savepoint_rollback(savepoint)
    assert str(failed.value).startswith(NOT_MIGRATED)


@pytest.mark.django_db
def test_missing_column_is_one_line_with_the_remedy():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE stations RENAME short_name TO of_a_later_version")

    with pytest.raises(CommandError) as failed, transaction.atomic():
        call_command("export_stations", stdout=io.StringIO())

    assert str(failed.value) == NOT_MIGRATED
