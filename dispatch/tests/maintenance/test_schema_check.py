"""A table that a job replaced, or a part of one that is gone, is named in one line."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from dispatch.api.views.pages import ReadinessView
from dispatch.maintenance.schema_check import SchemaWatch, find_damage
from dispatch.management.base import NOT_MIGRATED

from ..support.factories import TaskFactory

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

# Pandas does this with if_exists="replace"; without CASCADE, PostgreSQL refuses it.
REPLACE = """
    DROP TABLE suggestions CASCADE;
    CREATE TABLE suggestions
        (from_station_id bigint, to_station_id bigint, qty bigint, reason text)
"""
DAMAGE = {
    "a dropped table": ("DROP TABLE tasks CASCADE", "no table tasks"),
    "a replaced table": (REPLACE, "suggestions has no column id"),
    "a dropped column": (
        "ALTER TABLE suggestions DROP COLUMN priority CASCADE",
        "suggestions has no column priority",
    ),
    "a dropped primary key": (
        "ALTER TABLE tasks DROP CONSTRAINT tasks_pkey",
        "tasks has no primary key",
    ),
    "a dropped unique column": (
        "ALTER TABLE tasks DROP CONSTRAINT tasks_suggestion_id_key",
        "tasks has no unique column suggestion_id",
    ),
    "a dropped constraint": (
        "ALTER TABLE suggestions DROP CONSTRAINT suggestion_qty_is_positive",
        "suggestions has no constraint suggestion_qty_is_positive",
    ),
    "a dropped trigger": (
        "DROP TRIGGER pgtrigger_event_is_append_only_9c5b0 ON task_events",
        "task_events has no trigger pgtrigger_event_is_append_only_9c5b0",
    ),
    "a disabled trigger": (
        "ALTER TABLE task_events DISABLE TRIGGER USER",
        "task_events has no trigger pgtrigger_event_is_append_only_9c5b0",
    ),
    "a sequence's trigger": (
        "DROP TRIGGER lift_tasks_before ON tasks",
        "tasks has no trigger lift_tasks_before",
    ),
}


@pytest.fixture(autouse=True)
def new_watch(monkeypatch):
    monkeypatch.setattr(ReadinessView, "schema_watch", SchemaWatch())


def run(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


def error_of(command, **options):
    with pytest.raises(CommandError) as raised:
        call_command(command, stdout=StringIO(), stderr=StringIO(), **options)
    return str(raised.value)


def test_a_migrated_schema_is_whole():
    assert find_damage() is None
    call_command("preflight")


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named_in_one_line_at_every_place(damage, client):
    statements, lack = DAMAGE[damage]
    run(statements)

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer["Retry-After"]
    said = answer.json()["detail"]
    assert said.startswith(f"The database schema is damaged: {lack}")
    assert "\n" not in said
    assert error_of("preflight") == said
    assert error_of("check_invariants") == said
    assert error_of("migrate", verbosity=0) == said


UNREADABLE_PAGE = """
    CREATE FUNCTION pg_temp.unreadable() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE 'invalid page in block 0 of relation tasks' USING ERRCODE = 'XX001'; END $$;
    CREATE TRIGGER unreadable BEFORE UPDATE ON tasks EXECUTE FUNCTION pg_temp.unreadable()
"""


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        ("ALTER TABLE tasks RENAME TO old_tasks", 'relation "tasks" does not exist'),
        ("ALTER TABLE tasks RENAME worker_id TO worker", "column"),
        (UNREADABLE_PAGE, "invalid page in block 0"),
    ],
    ids=["table", "column", "page"],
)
def test_requests_that_meet_damage_are_503_and_logged_as_errors(client, caplog, damage, cause):
    TaskFactory()
    run(damage)

    answer = client.post("/dispatch/next", {"worker_id": "van-1"}, "application/json")

    assert answer.status_code == 503
    assert answer["Retry-After"] == "30"
    assert answer.json()["detail"].startswith("The database is damaged")
    [logged] = [each for each in caplog.records if each.name == "baywheels.database"]
    assert logged.levelname == "ERROR"
    assert cause in logged.getMessage()


def test_console_page_that_meets_damage_is_503(dispatcher):
    # Rolled back, because the test's transaction ends with a check of the constraints.
    with transaction.atomic():
        run("ALTER TABLE suggestions RENAME TO old_suggestions")
        answer = dispatcher.get("/admin/dispatch/suggestion/")
        transaction.set_rollback(True)

    assert answer.status_code == 503
    assert b"The database is damaged" in answer.content


def test_check_invariants_reports_damage_as_json():
    run("DROP TABLE tasks CASCADE")
    printed = StringIO()

    with pytest.raises(CommandError):
        call_command("check_invariants", json=True, stdout=printed)

    assert json.loads(printed.getvalue())["error"].startswith("The database schema is damaged")


def test_a_sweep_on_a_replaced_table_fails_in_one_line():
    run(REPLACE)

    said = error_of("sweep")

    assert said == NOT_MIGRATED


@pytest.mark.parametrize("table", ["suggestions", "tasks", "task_events"])
def test_replacing_a_table_of_moves_is_refused(table):
    with pytest.raises(DatabaseError, match="other objects depend on it"), transaction.atomic():
        run(f"DROP TABLE {table}")


def test_readiness_trusts_a_whole_schema_for_a_while(client, django_assert_num_queries):
    with django_assert_num_queries(2):
        assert client.get("/readyz").status_code == 200
    with django_assert_num_queries(1):
        assert client.get("/readyz").status_code == 200


def test_readiness_returns_as_soon_as_the_schema_is_repaired(client):
    run("ALTER TABLE tasks RENAME TO old_tasks")
    assert client.get("/readyz").status_code == 503
    run("ALTER TABLE old_tasks RENAME TO tasks")

    assert client.get("/readyz").status_code == 200


def test_a_server_stays_ready_when_a_later_version_removes_a_rule(client):
    run("ALTER TABLE suggestions DROP CONSTRAINT suggestion_qty_is_positive")
    run("INSERT INTO django_migrations (app, name, applied) VALUES ('dispatch', '9999_x', now())")

    assert client.get("/readyz").status_code == 200
