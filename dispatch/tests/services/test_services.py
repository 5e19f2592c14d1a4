"""The life of a task: approve, reject, claim and complete, alone and at the same time."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from dispatch import services
from dispatch.exceptions import Conflict, NotFound
from dispatch.models import Suggestion, Task, TaskEvent

from ..support.concurrency import background, open_transaction, wait_until_blocked
from ..support.factories import MORNING, SuggestionFactory, TaskFactory

pytestmark = pytest.mark.django_db


def events():
    return list(TaskEvent.objects.order_by("id").values("kind", "task_id", "actor", "details"))


def test_approval_turns_a_suggestion_into_a_ready_task():
    suggestion = SuggestionFactory(
        qty=7, priority=30, source="ml-v2", reason="Full", created_at=MORNING
    )

    task = services.approve_suggestion(suggestion.id, actor="maria").task

    task.refresh_from_db()
    assert (task.status, task.qty, task.priority, task.reason) == ("ready", 7, 30, "Full")
    assert (task.suggestion_id, task.attempt, task.worker_id) == (suggestion.id, 0, None)
    assert not Suggestion.objects.exists()
    assert events() == [
        {
            "kind": "approved",
            "task_id": task.id,
            "actor": "maria",
            "details": {"suggested_at": MORNING.isoformat(), "expires_at": None},
        }
    ]
    assert TaskEvent.objects.get().source == task.source == "ml-v2"


def test_second_approval_names_the_task():
    suggestion = SuggestionFactory()
    task = services.approve_suggestion(suggestion.id, actor="maria").task

    with pytest.raises(NotFound, match=f"already approved as task {task.id}"):
        services.approve_suggestion(suggestion.id, actor="tom")
    assert len(events()) == 1


def test_rejection_event_keeps_the_suggestion_and_the_reason():
    suggestion = SuggestionFactory(source="ml-v2", priority=30, created_at=MORNING)

    services.reject_suggestion(suggestion.id, actor="maria", reason="Road works")

    assert not Suggestion.objects.exists()
    assert not Task.objects.exists()
    event = TaskEvent.objects.get()
    assert (event.kind, event.suggestion_id, event.actor) == ("rejected", suggestion.id, "maria")
    assert event.source == "ml-v2"
    assert event.details == {
        "from_station_id": 100,
        "to_station_id": 200,
        "qty": 5,
        "reason": "Station 100 is full, Station 200 needs bikes",
        "code": "other",
        "rejection": "Road works",
        "priority": 30,
        "suggested_at": MORNING.isoformat(),
        "expires_at": None,
    }


def test_approving_a_rejected_suggestion_names_who_rejected_it():
    suggestion = SuggestionFactory()
    services.reject_suggestion(suggestion.id, actor="maria", reason="Road works")

    with pytest.raises(NotFound, match="already rejected by maria"):
        services.approve_suggestion(suggestion.id, actor="tom")
    assert not Task.objects.exists()


def test_claims_are_ordered_by_priority_then_age_then_id():
    late = TaskFactory(created_at=MORNING + timedelta(hours=1))
    first_of_two, second_of_two = TaskFactory.create_batch(2, created_at=MORNING)
    urgent = TaskFactory(created_at=MORNING + timedelta(hours=2), priority=1)
    lowered = TaskFactory(created_at=MORNING - timedelta(hours=1), priority=-1)

    claimed = [services.claim_next_task("van-1", actor="api") for _ in range(6)]

    assert claimed == [urgent, first_of_two, second_of_two, late, lowered, None]


def test_claim_sets_attempt_and_lease_by_the_databases_clock(settings):
    settings.TASK_LEASE_MINUTES = 480
    TaskFactory()

    task = services.claim_next_task("van-1", actor="api")

    stored = Task.objects.get()
    assert (stored.status, stored.worker_id, stored.attempt) == ("assigned", "van-1", 1)
    assert stored.lease_expires_at - stored.assigned_at == timedelta(minutes=480)
    assert (task.assigned_at, task.lease_expires_at) == (
        stored.assigned_at,
        stored.lease_expires_at,
    )
    assert [event["kind"] for event in events()] == ["claimed"]


def test_lease_of_zero_minutes_means_no_lease(settings):
    settings.TASK_LEASE_MINUTES = 0
    TaskFactory()

    services.claim_next_task("van-1", actor="api")

    assert Task.objects.get().lease_expires_at is None


def test_repeated_completion_is_recorded_once():
    task = TaskFactory(assigned=True)

    first = services.complete_task(task.id, actor="api")
    again = services.complete_task(task.id, actor="api")

    assert first == again
    stored = Task.objects.get()
    assert (stored.status, stored.moved_qty) == ("completed", 5)
    assert stored.completed_at == first.completed_at
    assert [event["kind"] for event in events()] == ["completed"]


@pytest.mark.parametrize("state", ["ready", "cancelled"])
def test_only_an_assigned_task_can_be_completed(state):
    task = TaskFactory(cancelled=state == "cancelled")

    with pytest.raises(Conflict, match=f"is {state}, not assigned"):
        services.complete_task(task.id, actor="api")
    assert Task.objects.get().status == state
    assert not events()


def test_unknown_suggestions_and_tasks_are_not_found():
    for refused in (
        lambda: services.approve_suggestion(1, actor="api"),
        lambda: services.reject_suggestion(1, actor="api", reason="No"),
        lambda: services.complete_task(1, actor="api"),
    ):
        with pytest.raises(NotFound, match=r"(Suggestion|Task) 1 not found\."):
            refused()


def test_each_operation_sends_only_these_statements():
    suggestion = SuggestionFactory()
    expected = {
        # In this test's transaction, SAVEPOINT and RELEASE replace BEGIN and COMMIT.
        lambda: services.approve_suggestion(suggestion.id, actor="a"): [
            "SAVEPOINT",
            "SELECT",
            "SELECT",
            "SELECT",
            "SELECT",
            "WITH",
            "RELEASE",
        ],
        lambda: services.claim_next_task("van-1", actor="a"): [
            "SAVEPOINT",
            "WITH",
            "RELEASE",
        ],
        lambda: services.complete_task(Task.objects.get().id, actor="a"): [
            "SELECT",
            "SAVEPOINT",
            "SELECT",
            "WITH",
            "RELEASE",
        ],
    }
    for operation, statements in expected.items():
        with CaptureQueriesContext(connection) as captured:
            operation()
        assert [query["sql"].split()[0] for query in captured] == statements


def life_of_two_tasks():
    """Every operation that sends batches, and its rows in the database."""
    first, second, third = (
        SuggestionFactory(to_station_id=n, source="ml-v2", created_at=MORNING) for n in (7, 8, 9)
    )
    approvals = services.approve_suggestions([first.id, second.id], actor="maria")
    services.reject_suggestion(third.id, actor="maria", reason="Road works")
    task = services.claim_next_task("van-1", actor="api", key="k-1")
    services.extend_lease(task.id, actor="api", worker_id="van-1")
    services.release_task(task.id, actor="maria", reason="Flat tyre")
    services.reassign_task(task.id, "van-2", actor="maria", reason="Closer")
    services.complete_task(task.id, actor="api", report=services.Report(note="Done"))
    with pytest.raises(Conflict):
        services.complete_task(task.id, actor="api", report=services.Report("van-1"))
    services.prioritize_task(approvals[second.id].task.id, actor="maria", by=10)
    services.cancel_task(approvals[second.id].task.id, actor="maria", reason="Road works")
    row = services.SuggestionRow(from_station_id=1, to_station_id=2, qty=5, reason="Full")
    services.propose_suggestions([row], source="ml-v2", actor="job")
    services.propose_suggestions([row], source="ml-v2", actor="job")
    tables = [
        Task.objects.order_by("id").values_list("qty", "status", "worker_id", "attempt", "note"),
        Suggestion.objects.order_by("id").values_list("qty", "reason", "source"),
        TaskEvent.objects.order_by("id").values_list("kind", "worker_id", "attempt", "details"),
    ]
    return [list(table) for table in tables]


def test_services_do_the_same_with_batching_switched_off(settings):
    with open_transaction():
        settings.BATCH_STATEMENTS = True
        batched = life_of_two_tasks()
        transaction.set_rollback(True)
    settings.BATCH_STATEMENTS = False

    assert life_of_two_tasks() == batched
    assert len(batched[0]) == 2
    assert len(batched[2]) == 13


@pytest.mark.django_db(transaction=True)
def test_claim_skips_a_task_that_another_request_has_locked():
    held, free = TaskFactory.create_batch(2)

    with background() as run, transaction.atomic():
        Task.objects.select_for_update().get(pk=held.pk)
        assert run(services.claim_next_task, "van-2", actor="api").result(timeout=10) == free


@pytest.mark.django_db(transaction=True)
def test_claim_does_not_skip_a_task_that_is_only_referred_to():
    task = TaskFactory()

    with background() as run, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT FROM tasks WHERE id = %s FOR KEY SHARE", [task.id])
        assert run(services.claim_next_task, "van-1", actor="api").result(timeout=10) == task


@pytest.mark.django_db(transaction=True)
def test_second_of_two_simultaneous_approvals_waits_and_names_the_task():
    suggestion = SuggestionFactory()

    with background() as run:
        with open_transaction():
            task = services.approve_suggestion(suggestion.id, actor="maria").task
            second = run(services.approve_suggestion, suggestion.id, actor="tom")
            wait_until_blocked(second)
        with pytest.raises(NotFound, match=f"already approved as task {task.id}"):
            second.result(timeout=10)
    assert Task.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_only_one_of_simultaneous_approval_and_rejection_succeeds():
    suggestion = SuggestionFactory()

    with background() as run:
        with transaction.atomic():
            Suggestion.objects.select_for_update().get(pk=suggestion.id)
            approval = run(services.approve_suggestion, suggestion.id, actor="tom")
            wait_until_blocked(approval)
            rejection = run(
                services.reject_suggestion, suggestion.id, actor="maria", reason="Road works"
            )
            wait_until_blocked(rejection, count=2)
        refused = [call.exception(timeout=10) for call in (approval, rejection)]
    assert [type(each) for each in refused].count(NotFound) == 1
    assert TaskEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_simultaneous_completions_both_succeed_and_one_is_recorded():
    task = TaskFactory(assigned=True)

    with background() as run:
        with transaction.atomic():
            Task.objects.select_for_update(no_key=True).get(pk=task.id)
            calls = [run(services.complete_task, task.id, actor="api") for _ in range(2)]
            for call in calls:
                wait_until_blocked(call, count=2)
        assert [call.result(timeout=10).status for call in calls] == ["completed"] * 2
    assert TaskEvent.objects.count() == 1
