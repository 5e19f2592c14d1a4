"""Claims and signs of life of phones."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from dispatch import services
from dispatch.models import ClaimKey, Task, TaskEvent

from ..support.concurrency import background, open_transaction, wait_until_blocked
from ..support.crew_phone import Phone
from ..support.factories import MORNING, StationStatusFactory, TaskFactory, claimed
from ..support.round_trips import round_trips_counted

pytestmark = pytest.mark.django_db


def test_claim_gets_the_task_as_the_state_shows_it():
    StationStatusFactory(station__id=1)
    ready = TaskFactory(from_station_id=1)
    services.message_crew(ready.id, "Gate code 1234", actor="maria")
    phone = Phone()

    answer = phone.claim()

    assert answer.status_code == 200
    assert [answer.json()] == phone.state()["tasks"]
    assert answer.json()["messages"][0]["text"] == "Gate code 1234"
    event = TaskEvent.objects.get(kind="claimed")
    assert (event.actor, event.worker_id) == ("crew van-1", "van-1")
    assert event.details == {"device": phone.device.pk}


def test_phone_gets_only_what_its_crew_may_take():
    TaskFactory(qty=8)
    fitting = TaskFactory(qty=3)
    phone = Phone(capacity=5)

    assert phone.claim().json()["id"] == fitting.id
    assert phone.claim().json()["code"] == "no_task"


def test_empty_queue_says_when_to_ask_again():
    answer = Phone().claim()

    assert (answer.status_code, answer["Retry-After"]) == (404, "15")
    assert answer.json() == {"detail": "No available tasks", "code": "no_task", "retry_after": 15}


def test_claim_whose_answer_was_lost_gets_the_same_task():
    TaskFactory.create_batch(2)
    phone = Phone()

    first, again = phone.claim("k-1").json(), phone.claim("k-1").json()
    other = phone.claim("k-2").json()

    assert (first, other["id"] == first["id"]) == (again, False)


def test_another_phone_of_the_crew_may_repeat_the_claim():
    TaskFactory.create_batch(2)

    first, second = (Phone("van-1").claim("k-1").json()["id"] for _ in range(2))

    assert first == second
    assert Phone("van-2").claim("k-1").json()["id"] != first


@pytest.mark.parametrize(
    "lose",
    [
        lambda pk: services.reassign_task(pk, "van-2", actor="maria", reason="Nearer"),
        lambda pk: services.release_task(pk, actor="maria", reason="Late"),
        lambda pk: services.complete_task(pk, actor="maria"),
    ],
    ids=["reassigned", "released", "completed"],
)
def test_repeated_claim_of_a_task_that_the_crew_no_longer_holds_shows_nothing_of_it(lose):
    TaskFactory()
    phone = Phone()
    task = phone.claim("k-1").json()["id"]
    lose(task)

    answer = phone.claim("k-1")

    assert answer.status_code == 409
    assert answer.json() == {
        "detail": "This claim has ended.",
        "code": "claim_ended",
        "task_id": task,
    }


@pytest.mark.parametrize("key", [None, "", "a b", "x" * 256, "é"])
def test_claim_needs_a_key(key):
    TaskFactory()
    headers = {} if key is None else {"Idempotency-Key": key}

    answer = Phone().post("next", **headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert not ClaimKey.objects.exists()


def test_crew_that_becomes_inactive_gets_no_task(monkeypatch):
    TaskFactory()
    phone = Phone()
    # Between the check of the cookie and the claim.
    monkeypatch.setattr(services, "find_device", lambda _: phone.device)
    phone.device.crew = phone.crew
    type(phone.crew).objects.update(active=False)

    answer = phone.claim()

    assert (answer.status_code, answer.json()["code"]) == (409, "inactive")
    assert Task.objects.get().status == "ready"


# Signs of life


def test_here_renews_all_leases_of_the_crew_and_answers_with_the_state(settings):
    settings.TASK_LEASE_MINUTES = 480
    tasks = [claimed("van-1"), claimed("van-1")]
    foreign = claimed("van-2")
    soon = F("assigned_at") + timedelta(minutes=1)
    Task.objects.update(lease_expires_at=soon)
    phone = Phone("van-1")

    state = phone.post(f"here?tasks={foreign.id}").json()

    for task, shown in zip(tasks, state["tasks"], strict=True):
        renewed = Task.objects.get(id=task.id).lease_expires_at
        assert renewed >= task.assigned_at + timedelta(minutes=480)
        assert datetime.fromisoformat(shown["lease_expires_at"]) == renewed
    kept = Task.objects.get(id=foreign.id)
    assert kept.lease_expires_at == kept.assigned_at + timedelta(minutes=1)
    events = TaskEvent.objects.filter(kind="extended")
    assert [(event.task_id, event.actor) for event in events.order_by("task_id")] == [
        (task.id, "crew van-1") for task in tasks
    ]
    assert [end["code"] for end in state["ended"]] == ["unknown"]


@pytest.mark.parametrize(("minutes_left", "renewed"), [(91, False), (89, True), (-1, True)])
def test_here_renews_a_lease_only_after_a_tenth_of_it(settings, minutes_left, renewed):
    settings.TASK_LEASE_MINUTES = 100
    task = claimed()
    left = F("assigned_at") + timedelta(minutes=minutes_left)
    Task.objects.update(lease_expires_at=left)

    Phone().post("here")

    stored = Task.objects.get()
    full = task.assigned_at + timedelta(minutes=100)
    assert (stored.lease_expires_at >= full) is renewed
    assert TaskEvent.objects.filter(kind="extended").exists() is renewed


def test_here_of_a_crew_without_tasks_changes_nothing():
    assert Phone().post("here").json()["tasks"] == []
    assert not TaskEvent.objects.exists()


def test_refused_here_renews_no_lease(settings):
    settings.TASK_LEASE_MINUTES = 480
    task = claimed()
    Task.objects.update(lease_expires_at=task.assigned_at + timedelta(minutes=1))

    assert Phone().post("here?tasks=twelve").status_code == 400

    assert not TaskEvent.objects.filter(kind="extended").exists()


def test_unlimited_lease_stays_unlimited(settings):
    settings.TASK_LEASE_MINUTES = 0
    claimed()

    [task] = Phone().post("here").json()["tasks"]

    assert task["lease_expires_at"] is None
    assert not TaskEvent.objects.filter(kind="extended").exists()


def test_here_takes_the_same_queries_for_any_number_of_tasks():
    phone, counts = Phone(), set()
    for _ in range(3):
        claimed()
        Task.objects.update(lease_expires_at=MORNING)
        with CaptureQueriesContext(connection) as captured:
            phone.post("here")
        counts.add(len(captured))

    assert len(counts) == 1


@pytest.mark.django_db(transaction=True)
def test_here_locks_tasks_in_order_of_their_ids():
    first, second = claimed(), claimed()
    # The crew got the older task later.
    Task.objects.update(lease_expires_at=MORNING + timedelta(days=1))
    Task.objects.filter(id=second.id).update(assigned_at=MORNING)

    with background() as run:
        with open_transaction():
            Task.objects.select_for_update().get(id=first.id)
            here = run(services.extend_held, "van-1", actor="crew van-1")
            wait_until_blocked(here)
            # It does not hold the second one yet.
            Task.objects.select_for_update(nowait=True).get(id=second.id)
        assert [task.id for task in here.result(20)] == [first.id, second.id]


# Cost


@pytest.mark.django_db(transaction=True)
def test_claim_of_a_phone_costs_three_queries_more_than_one_over_the_api(client, settings):
    settings.BATCH_STATEMENTS = True
    StationStatusFactory(station__id=1)
    TaskFactory.create_batch(2, from_station_id=1)
    phone = Phone()

    def cost(request):
        with round_trips_counted() as counted:
            assert request().status_code == 200
        return counted()

    over_the_api = cost(
        lambda: client.post(
            "/dispatch/next",
            {"worker_id": "van-1"},
            "application/json",
            headers={"Idempotency-Key": "k"},
        )
    )

    # The phone, the stations, and the events with the messages.
    assert cost(phone.claim) == over_the_api + 3
