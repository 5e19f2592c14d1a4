"""Each violation is made with PostgreSQL's constraints and triggers removed."""

import io
import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.models.functions import Now

from dispatch import services
from dispatch.exceptions import Conflict
from dispatch.maintenance import invariants
from dispatch.maintenance.invariants import INVARIANTS, Invariant, violations
from dispatch.models import EventKind, Suggestion, Task, TaskEvent
from dispatch.services.suggestion_rows import SuggestionRow

from ..support.factories import SuggestionFactory, TaskFactory

pytestmark = pytest.mark.django_db


def run(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def drop_every_guard():
    """The rollback at the end of the test restores constraints and triggers."""
    tables = ["suggestions", "tasks", "task_events", "claim_keys"]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass, conname FROM pg_constraint"
            " WHERE contype IN ('c', 'u') AND conrelid = ANY(%s::regclass[])",
            [tables],
        )
        guards = cursor.fetchall()
    run(*(f"ALTER TABLE {table} DROP CONSTRAINT {name}" for table, name in guards))
    run(*(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in tables))
    run("ALTER TABLE suggestions ALTER reason DROP NOT NULL")
    run("DROP INDEX event_undone_once")
    # Rows that the tests write have ids up to 9999, as if the sequences had given them.
    run("SELECT setval('tasks_id_seq', 9999), setval('suggestions_id_seq', 9999)")


def approved():
    return services.approve_suggestion(SuggestionFactory().id, actor="maria").task


def claimed(worker_id="van-1", key=None):
    approved()
    return services.claim_next_task(worker_id, actor="api", key=key)


def report_late(task_id, worker_id):
    with pytest.raises(Conflict):
        services.complete_task(task_id, actor="api", report=services.Report(worker_id=worker_id))


def report(task_id, attempt, kind, worker_id):
    """Send a phone's report. Returns the code of the answer."""
    report = services.PhoneReport(uuid4(), kind, task_id, attempt, age=1, problems=["blocked"])
    return services.apply_crew_report(report, worker_id=worker_id, device_id=1)["code"]


def run_every_operation():
    """Run every operation in every state that allows it; leave a task in each state."""
    run(
        "SELECT setval(pg_get_serial_sequence('tasks', 'id'), 1, false)",
        "SELECT setval(pg_get_serial_sequence('suggestions', 'id'), 1, false)",
    )
    approved()
    services.prioritize_task(1, actor="maria", by=-1)
    services.message_crew(1, "Gate code 1234", actor="maria")
    claimed("van-2", key="k-2")
    services.note_seen(2, 1, None, worker_id="van-2", actor="crew van-2")
    message = services.message_crew(2, "Use the back door", actor="maria")
    services.note_seen(2, 1, message.id, worker_id="van-2", actor="crew van-2")
    report(2, 1, "problem", "van-2")
    services.extend_lease(2, actor="api")
    services.release_task(2, actor="maria", reason="Flat tyre")
    services.reassign_task(2, "van-3", actor="maria", reason="Nearer")
    services.prioritize_task(2, actor="maria", by=1)
    report_late(2, "van-2")
    assert report(2, 1, "problem", "van-2") == "released"
    claimed("van-3")
    services.reassign_task(3, "van-4", actor="maria", reason="Nearer")
    services.complete_task(3, actor="api")
    report_late(3, "van-3")
    assert report(3, 1, "problem", "van-3") == "done_by_other"
    assert report(3, 2, "problem", "van-4") == "already_done"
    claimed("van-5")
    Task.objects.filter(pk=4).update(lease_expires_at=Now())
    services.sweep(actor="sweep")
    report_late(4, "van-5")
    assert report(4, 1, "problem", "van-5") == "released"
    services.cancel_task(4, actor="maria", reason="Road works")
    claimed("van-6")
    services.cancel_task(5, actor="maria", reason="Road works")
    report_late(5, "van-6")
    assert report(5, 1, "give_back", "van-6") == "cancelled"
    services.create_task(TaskFactory.build(), actor="maria")
    services.cancel_task(6, actor="maria", reason="Written twice")
    services.reject_suggestion(SuggestionFactory().id, actor="maria", reason="No")
    undo_one_of_each()
    services.ingest_suggestions([SuggestionRow(1, 2, 3, "Full")], source="ml", actor="ml")
    SuggestionFactory(expires_at=Now())
    SuggestionFactory(expires_at=Now() + timedelta(hours=1))
    services.sweep(actor="sweep")


def undo_one_of_each():
    services.undo_approval(approved().id, actor="maria")
    restored = Suggestion.objects.get()
    services.reject_suggestion(restored.id, actor="maria", reason="No")
    services.undo_rejection(restored.id, actor="maria")


def test_no_operation_violates_an_invariant():
    run_every_operation()

    assert {event.kind for event in TaskEvent.objects.all()} == set(EventKind) - {
        EventKind.SUGGESTED
    }
    assert violations() == {}


EVENT = "INSERT INTO task_events (kind, task_id, worker_id, attempt, actor)"
VIOLATIONS = {
    "suggestion_is_well_formed": {
        "no bikes": "UPDATE suggestions SET qty = 0",
        "to itself": "UPDATE suggestions SET to_station_id = from_station_id",
        "negative station": "UPDATE suggestions SET to_station_id = -1",
        "priority": "UPDATE suggestions SET priority = 101",
        "no reason": "UPDATE suggestions SET reason = NULL",
        "created": "UPDATE suggestions SET created_at = 'infinity'",
        "expires": "UPDATE suggestions SET expires_at = '-infinity'",
    },
    "suggestion_has_no_task": {
        "restored": (
            "INSERT INTO suggestions (id, from_station_id, to_station_id, qty, reason)"
            " SELECT 9999, 1, 2, 3, 'Full';"
            " UPDATE tasks SET suggestion_id = 9999 WHERE id = 6"
        ),
    },
    "suggestion_is_undecided": {
        "approved": (
            "INSERT INTO suggestions (id, from_station_id, to_station_id, qty, reason)"
            " VALUES (9999, 1, 2, 3, 'Full');"
            " INSERT INTO task_events (kind, suggestion_id, actor)"
            " VALUES ('approved', 9999, 'maria')"
        ),
        "rejected": (
            "INSERT INTO suggestions (id, from_station_id, to_station_id, qty, reason)"
            " SELECT suggestion_id, 1, 2, 3, 'Full' FROM task_events WHERE kind = 'rejected'"
        ),
        "expired": (
            "INSERT INTO suggestions (id, from_station_id, to_station_id, qty, reason)"
            " SELECT suggestion_id, 1, 2, 3, 'Full' FROM task_events WHERE kind = 'expired'"
        ),
    },
    "suggestion_became_one_task": {
        "two": "UPDATE tasks SET suggestion_id = 1 WHERE id = 6",
    },
    "suggestion_was_approved_once": {
        "twice": (
            "INSERT INTO task_events (kind, suggestion_id, actor) VALUES ('approved', 1, 'tom')"
        ),
    },
    "undo_follows_its_decision": {
        "of nothing": (
            "INSERT INTO task_events (kind, suggestion_id, actor) VALUES ('undone', 1, 'eve')"
        ),
        "before the decision": (
            "UPDATE task_events SET id = id - 10000 WHERE kind = 'undone' AND task_id IS NULL"
        ),
        "of another task's approval": (
            "UPDATE task_events SET suggestion_id = 1 WHERE kind = 'undone' AND task_id = 7"
        ),
        "after a claim": "UPDATE task_events SET attempt = 1 WHERE kind = 'undone' AND task_id = 7",
    },
    "decision_was_undone_once": {
        "twice": (
            "INSERT INTO task_events (kind, suggestion_id, actor) SELECT 'undone', suggestion_id,"
            " 'eve' FROM task_events WHERE kind = 'undone' AND task_id IS NULL"
        ),
    },
    "task_is_well_formed": {
        "no bikes": "UPDATE tasks SET qty = 0 WHERE id = 1",
        "to itself": "UPDATE tasks SET to_station_id = from_station_id WHERE id = 1",
        "negative station": "UPDATE tasks SET to_station_id = -1 WHERE id = 1",
        "priority": "UPDATE tasks SET priority = -101 WHERE id = 1",
        "created": "UPDATE tasks SET created_at = 'infinity' WHERE id = 1",
        "ready with a time": "UPDATE tasks SET assigned_at = now() WHERE id = 1",
        "ready with a lease": "UPDATE tasks SET lease_expires_at = now() WHERE id = 1",
        "ready with a completion": "UPDATE tasks SET completed_at = now() WHERE id = 1",
        "ready with a count": "UPDATE tasks SET moved_qty = 1 WHERE id = 1",
        "ready with a cancelling": "UPDATE tasks SET cancelled_at = now() WHERE id = 1",
        "assigned without a worker": "UPDATE tasks SET worker_id = NULL WHERE id = 2",
        "assigned at no time": "UPDATE tasks SET assigned_at = NULL WHERE id = 2",
        "assigned to an empty name": (
            "UPDATE tasks SET worker_id = '' WHERE id = 2; UPDATE task_events SET worker_id = ''"
            " WHERE task_id = 2 AND kind = 'reassigned'"
        ),
        "lease before the claim": (
            "UPDATE tasks SET lease_expires_at = assigned_at - interval '1 s' WHERE id = 2"
        ),
        "completed at no time": "UPDATE tasks SET completed_at = NULL WHERE id = 3",
        "completed without a count": "UPDATE tasks SET moved_qty = NULL WHERE id = 3",
        "completed without a worker": "UPDATE tasks SET worker_id = NULL WHERE id = 3",
        "completed before the claim": (
            "UPDATE tasks SET completed_at = assigned_at - interval '1 s' WHERE id = 3"
        ),
        "reported before the claim": (
            "UPDATE tasks SET reported_completed_at = assigned_at - interval '1 s' WHERE id = 3"
        ),
        "reported after the completion": (
            "UPDATE tasks SET reported_completed_at = completed_at + interval '1 s' WHERE id = 3"
        ),
        "reported without a completion": (
            "UPDATE tasks SET reported_completed_at = assigned_at WHERE id = 2"
        ),
        "fewer than none moved": "UPDATE tasks SET moved_qty = -1 WHERE id = 3",
        "cancelled at no time": "UPDATE tasks SET cancelled_at = NULL WHERE id = 4",
        "cancelled with half a claim": "UPDATE tasks SET worker_id = NULL WHERE id = 5",
        "cancelled before the claim": (
            "UPDATE tasks SET cancelled_at = assigned_at - interval '1 s' WHERE id = 5"
        ),
    },
    "task_has_an_origin": {
        "no events": ("INSERT INTO tasks (from_station_id, to_station_id, qty) VALUES (1, 2, 3)"),
    },
    "task_is_kept_while_open": {
        "ready": "DELETE FROM tasks WHERE id = 1",
        "assigned": "DELETE FROM tasks WHERE id = 2; DELETE FROM claim_keys",
    },
    "task_history_is_legal": {
        "approved twice": f"{EVENT} VALUES ('created', 1, NULL, 0, 'maria')",
        "released while ready": f"{EVENT} VALUES ('released', 1, 'van-1', 0, 'maria')",
        "extended after its end": f"{EVENT} VALUES ('extended', 3, 'van-4', 2, 'api')",
        "prioritized after its end": f"{EVENT} VALUES ('prioritized', 4, NULL, 1, 'api')",
        "cancelled twice": f"{EVENT} VALUES ('cancelled', 5, 'van-6', 1, 'maria')",
        "claimed while assigned": (
            f"{EVENT} VALUES ('claimed', 2, 'van-9', 3, 'api');"
            " UPDATE tasks SET worker_id = 'van-9', attempt = 3 WHERE id = 2"
        ),
        "completed while ready": (
            "UPDATE task_events SET task_id = NULL WHERE task_id = 5 AND kind = 'claimed';"
            " UPDATE tasks SET worker_id = NULL, assigned_at = NULL, attempt = 0 WHERE id = 5;"
            f" {EVENT} VALUES ('released', 5, NULL, 0, 'api'), ('cancelled', 5, NULL, 0, 'api')"
        ),
        "an unknown kind": f"{EVENT} VALUES ('teleported', 1, NULL, 0, 'maria')",
        "of a task that is gone": f"{EVENT} VALUES ('completed', 9999, NULL, 0, 'maria')",
        "late report of a task without a past": (
            f"{EVENT} VALUES ('late_report', 9999, NULL, 0, 'maria')"
        ),
    },
    "task_status_fits_its_history": {
        "cancelled in psql": (
            "UPDATE tasks SET status = 'cancelled', cancelled_at = now() WHERE id = 1"
        ),
        "an unknown one": (
            "UPDATE tasks SET status = 'lost', lease_expires_at = NULL WHERE id = 2"
        ),
    },
    "task_holder_fits_its_history": {
        "another worker": "UPDATE tasks SET worker_id = 'van-9' WHERE id = 2",
        "another attempt": "UPDATE tasks SET attempt = 7 WHERE id = 3",
        "an attempt without a claim": "UPDATE tasks SET attempt = 1 WHERE id = 1",
        "a holder without an attempt": "UPDATE tasks SET attempt = 0 WHERE id = 2",
        "fewer attempts than none": "UPDATE tasks SET attempt = -1 WHERE id = 1",
    },
    "task_attempts_count_up": {
        "twice the same": "UPDATE task_events SET attempt = 2 WHERE task_id = 2 AND attempt = 1",
        "one left out": (
            "UPDATE task_events SET attempt = 3 WHERE task_id = 2 AND kind = 'reassigned';"
            " UPDATE tasks SET attempt = 3 WHERE id = 2"
        ),
        "none": (
            "DELETE FROM tasks WHERE id = 3; UPDATE task_events SET attempt = NULL"
            " WHERE task_id = 3 AND kind = 'reassigned'"
        ),
    },
    "event_names_its_actor": {
        "empty": "UPDATE task_events SET actor = '' WHERE task_id = 1 AND kind = 'approved'",
        "blank": "UPDATE task_events SET actor = ' ' WHERE task_id = 2 AND kind = 'claimed'",
    },
    "claim_key_is_one_claim": {
        "two": (
            "INSERT INTO claim_keys (actor, key, worker_id, task_id)"
            " SELECT actor, key, worker_id, task_id FROM claim_keys"
        ),
    },
    "claim_key_fits_its_history": {
        "another worker": "UPDATE claim_keys SET worker_id = 'van-9'",
        "another task": "UPDATE claim_keys SET task_id = 1",
    },
    "report_was_applied_once": {
        "two": (
            "INSERT INTO task_events (kind, task_id, worker_id, attempt, actor, details)"
            " SELECT kind, task_id, worker_id, attempt, actor, details FROM task_events"
            " WHERE kind = 'problem' AND task_id = 2 LIMIT 1"
        ),
    },
    "sequence_is_not_behind": {
        "suggestions": (
            "INSERT INTO suggestions (id, from_station_id, to_station_id, qty, reason)"
            " VALUES (20000, 1, 2, 3, 'Full')"
        ),
        "events of a rejected suggestion": (
            "INSERT INTO task_events (kind, suggestion_id, actor) VALUES ('rejected', 20000, 'eve')"
        ),
    },
    "index_is_valid": {
        "failed build": (
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'task_queue'::regclass"
        ),
    },
}


@pytest.mark.slow
def test_each_violation_is_found_by_its_own_invariant_only(subtests):
    run_every_operation()
    drop_every_guard()

    for name, cases in VIOLATIONS.items():
        for what, statements in cases.items():
            with subtests.test(f"{name}, {what}"), transaction.atomic():
                run(statements)
                assert list(violations()) == [name]
                transaction.set_rollback(True)


def test_every_invariant_has_a_violation():
    assert VIOLATIONS.keys() == {invariant.name for invariant in INVARIANTS}


def test_twenty_violations_are_shown_and_all_are_counted():
    first, *_ = TaskFactory.create_batch(25)

    rows = violations()["task_has_an_origin"]

    assert len(rows) == 20
    assert {row["found"] for row in rows} == {25}
    assert rows[0]["task_id"] == first.id


@pytest.mark.django_db(transaction=True)
def test_all_queries_share_one_read_only_snapshot(monkeypatch):
    sql = "SELECT 1, current_setting('transaction_isolation') AS isolation"
    probes = [
        Invariant("isolation", "", sql),
        Invariant("read_only", "", "SELECT 1, current_setting('transaction_read_only') AS value"),
    ]
    monkeypatch.setattr(invariants, "INVARIANTS", probes)

    found = violations()

    assert found["isolation"][0]["isolation"] == "repeatable read"
    assert found["read_only"][0]["value"] == "on"


def check(*options):
    output = io.StringIO()
    try:
        call_command("check_invariants", *options, stdout=output)
    except CommandError as error:
        return output.getvalue(), str(error)
    return output.getvalue(), None


def test_the_command_reports_success():
    run_every_operation()

    assert check() == (f"No violations: {len(INVARIANTS)} invariants hold.\n", None)
    assert json.loads(check("--json")[0]) == {
        "ok": True,
        "invariants": len(INVARIANTS),
        "violations": {},
    }


def test_the_command_fails_with_each_violation_and_its_meaning():
    run_every_operation()
    run("UPDATE tasks SET worker_id = E'van\\n9' WHERE id = 2")
    claims = 'task_id=2 status="assigned" worker_id="van\\n9" attempt=2 claimed_by="van-3"'

    output, error = check()

    assert output == (
        "task_holder_fits_its_history: 1 found. A task's worker or attempt differs from its"
        f" last claim.\n  {claims} attempt_by_history=2\n"
    )
    assert error == f"1 of {len(INVARIANTS)} invariants do not hold."
    answer = json.loads(check("--json")[0])
    assert answer["ok"] is False
    assert answer["violations"]["task_holder_fits_its_history"][0]["claimed_by"] == "van-3"
