"""Ageing: the sweep raises tasks that have waited too long."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F

from dispatch import services
from dispatch.models import Task, TaskEvent
from dispatch.services.sweep import AGEING_BATCH, raise_waiting_tasks

from ..support.concurrency import background, open_transaction, wait_until_blocked
from ..support.factories import MORNING, TaskFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def ageing(settings):
    settings.TASK_AGEING_MINUTES = 30


def sweep():
    return services.sweep(actor="sweep").raised


def wait(minutes):
    """Make everything older, instead of waiting."""
    earlier = timedelta(minutes=minutes)
    Task.objects.update(created_at=F("created_at") - earlier)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE task_events DISABLE TRIGGER USER")
        TaskEvent.objects.update(at=F("at") - earlier)
        cursor.execute("ALTER TABLE task_events ENABLE TRIGGER USER")


def test_low_priority_is_claimed_in_bounded_time_despite_higher_ones():
    low = TaskFactory(priority=0)

    for _ in range(3):
        TaskFactory.create_batch(2, priority=10)
        if services.claim_next_task("van-1", actor="api") == low:
            break
        wait(minutes=30)
        sweep()
    else:
        pytest.fail("The task still waits.")


def test_without_ageing_the_highest_priority_always_goes_first(settings):
    settings.TASK_AGEING_MINUTES = 0
    TaskFactory(created_at=MORNING)
    high = TaskFactory(priority=10)

    assert sweep() == 0
    assert services.claim_next_task("van-1", actor="api") == high


def test_waiting_task_rises_one_step_with_an_event_for_each_period():
    TaskFactory(created_at=MORNING)

    assert [sweep(), sweep()] == [1, 0]
    wait(minutes=29)
    assert sweep() == 0
    wait(minutes=1)
    assert sweep() == 1

    events = TaskEvent.objects.order_by("id").values_list("kind", "actor", "details")
    reason = "The task has waited too long."
    assert list(events) == [
        (
            "prioritized",
            "sweep",
            {"former_priority": before, "priority": before + 10, "reason": reason},
        )
        for before in (0, 10)
    ]
    assert Task.objects.get().priority == 20


def test_priority_of_a_dispatcher_holds_for_one_period():
    task = TaskFactory(created_at=MORNING)
    services.prioritize_task(task.id, actor="maria", priority=-50)

    assert sweep() == 0
    assert Task.objects.get().priority == -50


def test_only_ready_tasks_below_the_highest_priority_rise():
    TaskFactory(created_at=MORNING, assigned=True)
    TaskFactory(created_at=MORNING, completed=True)
    TaskFactory(created_at=MORNING, priority=100)
    near = TaskFactory(created_at=MORNING, priority=95)

    assert sweep() == 1
    near.refresh_from_db()
    assert near.priority == 100


def test_one_sweep_raises_more_than_one_batch():
    TaskFactory.insert_batch(AGEING_BATCH + 1, created_at=MORNING)

    assert sweep() == AGEING_BATCH + 1


@pytest.mark.django_db(transaction=True)
def test_simultaneous_sweeps_raise_a_task_once():
    TaskFactory(created_at=MORNING)

    with background() as run:
        with open_transaction():
            raise_waiting_tasks.__wrapped__(actor="sweep")
            second = run(raise_waiting_tasks, actor="sweep")
            wait_until_blocked(second)
        assert second.result(timeout=10) == 0
    assert Task.objects.get().priority == 10
    assert TaskEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_task_that_a_request_holds_is_left_to_the_next_sweep():
    held, free = TaskFactory.create_batch(2, created_at=MORNING)

    with background() as run, open_transaction(), transaction.atomic():
        Task.objects.select_for_update(no_key=True).get(pk=held.pk)
        assert run(raise_waiting_tasks, actor="sweep").result(timeout=10) == 1
    free.refresh_from_db()
    assert free.priority == 10
