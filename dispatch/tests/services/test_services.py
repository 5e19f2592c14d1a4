from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from dispatch import services
from dispatch.exceptions import Conflict, NotFound
from dispatch.models import Suggestion, Task, TaskEvent
from dispatch.services.events import record_task

from ..support.concurrency import background, wait_until_blocked
from ..support.factories import MORNING, SuggestionFactory, TaskFactory

pytestmark = pytest.mark.django_db


def events():
    return list(TaskEvent.objects.order_by("id").values("kind", "task_id", "actor", "details"))


def test_approving_makes_a_ready_task_of_the_suggestion():
    suggestion = SuggestionFactory(qty=7, priority=30, source="ml-v2", reason="Full")

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
            "details": {},
        }
    ]
    assert TaskEvent.objects.get().source == task.source == "ml-v2"


def test_approving_again_names_the_task_it_became():
    suggestion = SuggestionFactory()
    task = services.approve_suggestion(suggestion.id, actor="maria").task

    with pytest.raises(NotFound, match=f"already approved as task {task.id}"):
        services.approve_suggestion(suggestion.id, actor="tom")
    assert len(events()) == 1


def test_rejecting_keeps_the_proposal_and_the_reason_in_its_event():
    suggestion = SuggestionFactory(source="ml-v2")

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
        "rejection": "Road works",
    }


def test_a_rejected_suggestion_cannot_be_approved_and_says_who_rejected_it():
    suggestion = SuggestionFactory()
    services.reject_suggestion(suggestion.id, actor="maria", reason="Road works")

    with pytest.raises(NotFound, match="already rejected by maria"):
        services.approve_suggestion(suggestion.id, actor="tom")
    assert not Task.objects.exists()


def test_claims_go_by_priority_then_age_then_id():
    late = TaskFactory(created_at=MORNING + timedelta(hours=1))
    first_of_two, second_of_two = TaskFactory.create_batch(2, created_at=MORNING)
    urgent = TaskFactory(created_at=MORNING + timedelta(hours=2), priority=1)
    lowered = TaskFactory(created_at=MORNING - timedelta(hours=1), priority=-1)

    claimed = [services.claim_next_task("van-1", actor="api") for _ in range(6)]

    assert claimed == [urgent, first_of_two, second_of_two, late, lowered, None]


def test_a_claim_is_dated_counted_and_leased_by_the_databases_clock(settings):
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


def test_a_lease_of_zero_minutes_means_none(settings):
    settings.TASK_LEASE_MINUTES = 0
    TaskFactory()

    services.claim_next_task("van-1", actor="api")

    assert Task.objects.get().lease_expires_at is None


def test_completing_twice_records_it_once():
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


def test_what_does_not_exist_is_not_found():
    for refused in (
        lambda: services.approve_suggestion(1, actor="api"),
        lambda: services.reject_suggestion(1, actor="api", reason="No"),
        lambda: services.complete_task(1, actor="api"),
    ):
        with pytest.raises(NotFound, match=r"(Suggestion|Task) 1 not found\."):
            refused()


def test_each_operation_needs_only_these_statements():
    suggestion = SuggestionFactory()
    expected = {
        # SAVEPOINT and RELEASE stand for the BEGIN and COMMIT of a request.
        lambda: services.approve_suggestion(suggestion.id, actor="a"): [
            "SAVEPOINT",
            "SELECT",
            "SELECT",
            "SELECT",
            "WITH",
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


@pytest.mark.django_db(transaction=True)
def test_a_claim_skips_a_task_that_another_request_holds():
    held, free = TaskFactory.create_batch(2)

    with background() as run, transaction.atomic():
        Task.objects.select_for_update().get(pk=held.pk)
        assert run(services.claim_next_task, "van-2", actor="api").result(timeout=10) == free


@pytest.mark.django_db(transaction=True)
def test_a_claim_does_not_skip_a_task_that_is_only_referred_to():
    task = TaskFactory()

    with background() as run, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT FROM tasks WHERE id = %s FOR KEY SHARE", [task.id])
        assert run(services.claim_next_task, "van-1", actor="api").result(timeout=10) == task


@pytest.mark.django_db(transaction=True)
def test_of_two_approvals_at_once_the_second_waits_and_is_told():
    suggestion = SuggestionFactory()

    with background() as run:
        with transaction.atomic():
            # As approve_suggestion, stopped before its commit.
            Suggestion.objects.select_for_update().get(pk=suggestion.id)
            second = run(services.approve_suggestion, suggestion.id, actor="tom")
            wait_until_blocked(second)
            task = TaskFactory(suggestion_id=suggestion.id)
            record_task("approved", task, "maria")
            suggestion.delete()
        with pytest.raises(NotFound, match=f"already approved as task {task.id}"):
            second.result(timeout=10)
    assert Task.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_an_approval_and_a_rejection_at_once_only_one_happens():
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
def test_of_two_completions_at_once_one_is_recorded_and_both_answer():
    task = TaskFactory(assigned=True)

    with background() as run:
        with transaction.atomic():
            Task.objects.select_for_update(no_key=True).get(pk=task.id)
            calls = [run(services.complete_task, task.id, actor="api") for _ in range(2)]
            for call in calls:
                wait_until_blocked(call, count=2)
        assert [call.result(timeout=10).status for call in calls] == ["completed"] * 2
    assert TaskEvent.objects.count() == 1
