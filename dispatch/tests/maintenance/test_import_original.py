"""Moving from the original service: its tables, read from a database of their own."""

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from dispatch import services
from dispatch.maintenance import original as original_module
from dispatch.maintenance.invariants import violations
from dispatch.models import Suggestion, Task, TaskEvent

from ..support.concurrency import background, wait_until_blocked
from ..support.factories import SuggestionFactory, TaskFactory
from ..support.server import ROOT, database_url, running_command

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

SCHEMA = """
    CREATE TYPE taskstatusenum AS ENUM ('READY', 'ASSIGNED', 'COMPLETED');
    CREATE TABLE suggestions (
        id serial PRIMARY KEY, from_station_id int, to_station_id int, qty int, reason varchar,
        created_at timestamp
    );
    CREATE TABLE tasks (
        id serial PRIMARY KEY, from_station_id int, to_station_id int, qty int, reason varchar,
        status taskstatusenum, worker_id varchar, created_at timestamp
    );
    INSERT INTO suggestions VALUES
        (1, 100, 200, 5, 'Station 100 is full', '2024-01-15 10:30'),
        (9, 101, 201, 3, NULL, NULL);
    INSERT INTO tasks VALUES
        (2, 100, 200, 5, NULL, 'READY', NULL, '2024-01-15 10:31'),
        (3, 102, 202, 4, 'Empty', 'ASSIGNED', 'user_456', '2024-01-15 10:32'),
        (5, 103, 203, 6, 'Full', 'COMPLETED', 'user_456', '2024-01-15 10:33'),
        (40, 104, 204, 7, 'Full', 'COMPLETED', NULL, '2024-01-15 10:34');
"""


@pytest.fixture
def original(request):
    """The address of a database with the original's tables."""
    name = f"original_{os.getpid()}"
    here = database_url()
    with psycopg.connect(here, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    base = connection.settings_dict["NAME"]
    address = here.replace(f"/{quote(base)}?", f"/{name}?")
    try:
        change(address, SCHEMA)
        yield address
    finally:
        with psycopg.connect(here, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def change(address, statements):
    with psycopg.connect(address) as there:
        there.execute(statements)


def imported(address, *options):
    out = io.StringIO()
    call_command("import_original", address, "--json", *options, stdout=out)
    return json.loads(out.getvalue())


def test_migrate_refuses_tables_of_another_program():
    MigrationRecorder.Migration.objects.filter(app="dispatch").delete()

    with pytest.raises(CommandError, match=r"tables of another program: .*suggestions, .*tasks"):
        call_command("migrate", verbosity=0)


def test_migrate_leaves_the_originals_database_as_it_was(original):
    environment = {"DATABASE_URL": original, "SECRET_KEY": "k" * 50, "ALLOWED_HOSTS": "x"}

    refused = subprocess.run(
        [sys.executable, "manage.py", "migrate"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    with psycopg.connect(original) as there:
        tables = there.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert sorted(tables) == [("suggestions",), ("tasks",)]


def test_import_keeps_ids_times_and_statuses(original):
    result = imported(original)

    assert (result["suggestions"], result["tasks"], result["left_out"]) == (2, 4, 0)
    assert list(Suggestion.objects.order_by("id").values_list("id", "reason")) == [
        (1, "Station 100 is full"),
        (9, ""),
    ]
    assert Suggestion.objects.get(id=1).created_at == datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
    assert list(Task.objects.order_by("id").values_list("id", "status", "worker_id")) == [
        (2, "ready", None),
        (3, "assigned", "user_456"),
        (5, "completed", "user_456"),
        (40, "completed", "unknown"),
    ]
    assert Task.objects.get(id=5).moved_qty == 6
    assert Task.objects.get(id=3).lease_expires_at > timezone.now()


def test_imported_rows_have_a_legal_history_by_a_recorded_actor(original):
    imported(original)

    assert violations() == {}
    assert set(TaskEvent.objects.values_list("actor", flat=True)) == {"import"}
    kinds = TaskEvent.objects.filter(task_id=5).order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["created", "claimed", "completed"]


def test_work_goes_on_after_the_import(original):
    imported(original)

    assert services.claim_next_task("van-1", actor="api").id == 2
    services.complete_task(3, actor="api", report=services.Report("user_456"))
    assert services.approve_suggestion(1, actor="maria").task.id > 40
    assert SuggestionFactory().id > 9
    assert violations() == {}


def test_second_import_enters_only_new_rows(original):
    imported(original)
    services.approve_suggestion(1, actor="maria")
    services.claim_next_task("van-1", actor="api")
    change(original, "INSERT INTO tasks VALUES (41, 1, 2, 3, '', 'READY', NULL, now())")
    before = list(Task.objects.exclude(id=41).order_by("id").values())

    result = imported(original)

    assert (result["suggestions"], result["tasks"]) == (0, 1)
    assert (result["suggestions_present"], result["tasks_present"]) == (2, 4)
    assert list(Task.objects.exclude(id=41).order_by("id").values()) == before
    assert not Suggestion.objects.filter(id=1).exists()
    assert violations() == {}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_killed_import_enters_nothing_and_the_next_one_everything(original):
    with background() as run, running_command("import_original", original) as process:
        with transaction.atomic(), connection.cursor() as cursor:
            # It enters the suggestions with their events, and then waits.
            cursor.execute("LOCK TABLE tasks IN SHARE MODE")
            ended = run(process.communicate)
            wait_until_blocked(ended)
            process.kill()
            ended.result(timeout=20)
        again = run(imported, original).result(timeout=60)

    assert (again["suggestions"], again["tasks"]) == (2, 4)
    assert (again["suggestions_present"], again["tasks_present"]) == (0, 0)
    assert violations() == {}


def test_tasks_of_the_later_table_and_lower_case_statuses_are_read(original):
    change(
        original,
        "ALTER TABLE tasks RENAME TO backend_tasks;"
        "ALTER TABLE backend_tasks ALTER status TYPE text USING lower(status::text);"
        "CREATE TABLE tasks (id int, title text)",
    )

    result = imported(original)

    assert (result["tasks"], result["task_table"]) == (4, "backend_tasks")
    assert violations() == {}


def test_import_reads_more_than_one_batch(original, monkeypatch):
    monkeypatch.setattr(original_module, "BATCH", 3)

    assert imported(original)["tasks"] == 4


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("UPDATE tasks SET qty = 0 WHERE id = 5", "Task 5: its qty"),
        ("UPDATE tasks SET qty = NULL WHERE id = 5", "Task 5: its qty"),
        ("UPDATE tasks SET status = NULL WHERE id = 5", "Task 5: its status"),
        ("UPDATE tasks SET from_station_id = to_station_id WHERE id = 5", "Task 5: its stations"),
        ("UPDATE tasks SET to_station_id = -1 WHERE id = 5", "Task 5: a station"),
        ("UPDATE tasks SET worker_id = repeat('x', 201) WHERE id = 5", "Task 5: its worker_id"),
        ("UPDATE suggestions SET reason = repeat('x', 2001) WHERE id = 9", "Suggestion 9: its rea"),
        ("UPDATE suggestions SET created_at = '1969-01-01' WHERE id = 9", "Suggestion 9: its crea"),
        (
            "ALTER TABLE tasks ALTER id TYPE bigint;"
            "UPDATE tasks SET id = 1::bigint << 62 WHERE id = 5",
            "Task 4611686018427387904: its id",
        ),
    ],
)
def test_row_that_breaks_a_rule_is_named_and_nothing_is_entered(original, bad, fault):
    change(original, bad)

    with pytest.raises(CommandError, match=fault):
        imported(original)
    assert not Task.objects.exists()
    assert not Suggestion.objects.exists()

    assert imported(original, "--skip-bad")["left_out"] == 1
    assert violations() == {}
    assert TaskFactory().id <= 2**53


def test_creation_in_the_future_becomes_the_time_of_the_import(original):
    change(original, "UPDATE tasks SET created_at = now() + interval '1 day' WHERE id = 2")

    imported(original)

    assert Task.objects.get(id=2).created_at <= timezone.now() + timedelta(seconds=5)


def test_id_of_a_row_of_our_own_is_never_overwritten(original):
    TaskFactory(id=5)

    with pytest.raises(CommandError, match="has a task 5 of its own"):
        imported(original)
    assert Task.objects.count() == 1


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("mysql://x/y", "must be of the form"),
        ("postgresql://u:secret@[/x", "its address is malformed"),
        ("postgresql+psycopg2://u:secret@127.0.0.1:1/x", "cannot be read"),
    ],
)
def test_unusable_address_is_refused_in_one_line_without_the_password(address, reason):
    with pytest.raises(CommandError, match=reason) as refused:
        call_command("import_original", address)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_database_of_this_service_is_not_taken_for_the_original():
    with pytest.raises(CommandError, match="of this service"):
        call_command("import_original", database_url())


def test_database_without_the_originals_tables_is_refused(original):
    change(original, "DROP TABLE tasks")

    with pytest.raises(CommandError, match="has no tables suggestions and tasks"):
        call_command("import_original", original)
