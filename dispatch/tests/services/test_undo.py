"""Undo of approvals and rejections."""

from datetime import UTC, datetime, timedelta

import pgtrigger
import pytest
from django.db import transaction

from dispatch import services
from dispatch.exceptions import Conflict, NotFound
from dispatch.maintenance.invariants import violations
from dispatch.models import Suggestion, Task, TaskEvent
from dispatch.services import SuggestionRow

from ..support.decisions import approve, grow_old, reject
from ..support.factories import (
    MORNING,
    StationFactory,
    StationStatusFactory,
    SuggestionFactory,
    TaskFactory,
)

pytestmark = pytest.mark.django_db

FUTURE = datetime(2800, 1, 1, tzinfo=UTC)
WRITTEN = {
    "from_station_id": 100,
    "to_station_id": 200,
    "qty": 7,
    "reason": "Full",
    "priority": 30,
    "source": "ml-v2",
    "created_at": MORNING,
    "expires_at": FUTURE,
}


@pytest.fixture(autouse=True)
def all_data_is_sound():
    yield
    assert violations() == {}


def row_of(suggestion):
    return Suggestion.objects.filter(pk=suggestion.pk).values(*WRITTEN).get()


def test_undone_approval_restores_the_suggestion_and_cancels_the_task():
    proposed = SuggestionFactory(**WRITTEN)
    task = approve(proposed)

    restored = services.undo_approval(task.id, actor="tom")

    assert row_of(restored) == WRITTEN
    assert restored.id != proposed.id
    task.refresh_from_db()
    assert task.status == "cancelled"
    assert services.claim_next_task("van-1", actor="api") is None


def test_event_of_an_undone_approval_links_task_and_both_suggestions():
    proposed = SuggestionFactory(source="ml-v2")
    task = approve(proposed)

    restored = services.undo_approval(task.id, actor="tom")

    event = TaskEvent.objects.get(kind="undone")
    assert (event.task_id, event.suggestion_id) == (task.id, proposed.id)
    assert (event.actor, event.source, event.attempt) == ("tom", "ml-v2", 0)
    assert event.details == {
        "from_station_id": 100,
        "to_station_id": 200,
        "qty": 5,
        "reason": "Station 100 is full, Station 200 needs bikes",
        "new_suggestion_id": restored.id,
    }


def test_undone_rejection_restores_the_suggestion():
    proposed = SuggestionFactory(**WRITTEN)
    reject(proposed)

    restored = services.undo_rejection(proposed.id, actor="tom")

    assert row_of(restored) == WRITTEN
    event = TaskEvent.objects.get(kind="undone")
    assert (event.task_id, event.suggestion_id, event.actor) == (None, proposed.id, "tom")
    assert event.details["new_suggestion_id"] == restored.id != proposed.id


def test_proposed_quantity_returns_after_a_partial_approval():
    for number in (100, 200):
        StationStatusFactory(
            station=StationFactory(id=number), bikes=3, docks=33, as_of=datetime.now(UTC)
        )
    proposed = SuggestionFactory(qty=5)
    task = services.approve_suggestion(proposed.id, actor="maria", fit=True).task
    assert task.qty == 3

    assert services.undo_approval(task.id, actor="maria").qty == 5


def test_restored_suggestion_can_be_approved_and_undone_again():
    task = approve(SuggestionFactory())
    restored = services.undo_approval(task.id, actor="maria")

    second = approve(restored)
    again = services.undo_approval(second.id, actor="maria")

    assert list(Suggestion.objects.all()) == [again]
    assert sorted(Task.objects.values_list("status", flat=True)) == ["cancelled", "cancelled"]


# Too late


def test_approval_of_more_than_sixty_seconds_ago_cannot_be_undone():
    task = approve(SuggestionFactory())
    grow_old(TaskEvent.objects.filter(kind="approved"))

    with pytest.raises(Conflict, match="approved more than 60 seconds ago"):
        services.undo_approval(task.id, actor="maria")
    task.refresh_from_db()
    assert task.status == "ready"
    assert not Suggestion.objects.exists()


def test_rejection_of_more_than_sixty_seconds_ago_cannot_be_undone():
    proposed = SuggestionFactory()
    reject(proposed)
    grow_old(TaskEvent.objects.filter(kind="rejected"))

    with pytest.raises(Conflict, match="rejected more than 60 seconds ago"):
        services.undo_rejection(proposed.id, actor="maria")
    assert not Suggestion.objects.exists()


def claim(task):
    services.claim_next_task("van-3", actor="api")


def assign(task):
    services.reassign_task(task.id, "van-3", actor="tom", reason="Nearest crew")


def claim_and_release(task):
    claim(task)
    services.release_task(task.id, actor="api", reason="Flat tyre")


def cancel(task):
    services.cancel_task(task.id, actor="tom", reason="Closed")


@pytest.mark.parametrize(
    ("meanwhile", "why"),
    [
        (claim, r"can no longer be undone: van-3 claimed it at \d\d:\d\d\."),
        (assign, r"can no longer be undone: tom assigned it to van-3 at \d\d:\d\d\."),
        (claim_and_release, r"can no longer be undone: van-3 claimed it at \d\d:\d\d\."),
        (cancel, r"is cancelled\."),
    ],
)
def test_approval_of_a_changed_task_cannot_be_undone(meanwhile, why):
    task = approve(SuggestionFactory())
    meanwhile(task)

    with pytest.raises(Conflict, match=f"Task {task.id} {why}"):
        services.undo_approval(task.id, actor="maria")
    assert not Suggestion.objects.exists()


def test_second_undo_of_an_approval_names_the_first():
    task = approve(SuggestionFactory())
    restored = services.undo_approval(task.id, actor="tom")

    with pytest.raises(Conflict, match=f"undone by tom. It is suggestion {restored.id} now"):
        services.undo_approval(task.id, actor="maria")
    assert Suggestion.objects.count() == 1


def test_second_undo_of_a_rejection_names_the_first():
    proposed = SuggestionFactory()
    reject(proposed)
    restored = services.undo_rejection(proposed.id, actor="tom")

    with pytest.raises(Conflict, match=f"undone by tom. It is suggestion {restored.id} now"):
        services.undo_rejection(proposed.id, actor="maria")
    assert Suggestion.objects.count() == 1


def test_task_without_a_suggestion_cannot_be_undone():
    task = services.create_task(TaskFactory.build(), actor="maria").task

    with pytest.raises(Conflict, match="has no approval to undo"):
        services.undo_approval(task.id, actor="maria")


def test_decisions_of_an_earlier_version_cannot_be_undone():
    approved, rejected = SuggestionFactory.create_batch(2)
    task = approve(approved)
    reject(rejected)
    with pgtrigger.ignore("dispatch.TaskEvent:event_is_append_only"), transaction.atomic():
        TaskEvent.objects.update(details={})

    with pytest.raises(Conflict, match="has no approval to undo"):
        services.undo_approval(task.id, actor="maria")
    with pytest.raises(NotFound, match="already rejected by maria"):
        services.undo_rejection(rejected.id, actor="maria")


def test_unknown_task_and_suggestion_are_not_found():
    with pytest.raises(NotFound, match="Task 999 not found"):
        services.undo_approval(999, actor="maria")
    with pytest.raises(NotFound, match="Suggestion 999 not found"):
        services.undo_rejection(999, actor="maria")


def test_open_suggestion_was_not_rejected():
    with pytest.raises(Conflict, match="was not rejected"):
        services.undo_rejection(SuggestionFactory().id, actor="maria")


def test_approved_suggestion_is_not_undone_as_a_rejection():
    proposed = SuggestionFactory()
    task = approve(proposed)

    with pytest.raises(NotFound, match=f"already approved as task {task.id}"):
        services.undo_rejection(proposed.id, actor="maria")


def test_approving_the_former_id_names_the_restored_suggestion():
    proposed = SuggestionFactory()
    restored = services.undo_approval(approve(proposed).id, actor="tom")

    with pytest.raises(NotFound, match=f"It is suggestion {restored.id} now"):
        services.approve_suggestion(proposed.id, actor="maria")


# Undo and proposals of jobs


def refresh(qty=9, priority=0, **options):
    rows = [SuggestionRow(100, 200, qty, "Fuller", priority)]
    return services.ingest_suggestions(rows, source="ml-v2", actor="ml", replace=True, **options)


@pytest.mark.parametrize("decision", ["approval", "rejection"])
def test_refresh_finds_the_restored_suggestion(decision):
    proposed = SuggestionFactory(**WRITTEN)
    restored = decide_and_undo(decision, proposed)

    result = refresh()

    assert (result.inserted, result.refreshed) == (0, 1)
    kept = Suggestion.objects.get()
    assert (kept.id, kept.qty, kept.created_at) == (restored.id, 9, MORNING)


def decide_and_undo(decision, suggestion):
    if decision == "approval":
        return services.undo_approval(approve(suggestion).id, actor="tom")
    reject(suggestion)
    return services.undo_rejection(suggestion.id, actor="tom")


@pytest.mark.parametrize("decision", ["approval", "rejection"])
def test_priority_set_by_hand_survives_an_undo_and_a_refresh(decision):
    proposed = SuggestionFactory(source="ml-v2")
    services.prioritize_suggestion(proposed.id, actor="maria", priority=50)
    decide_and_undo(decision, proposed)

    refresh(priority=-10)

    assert Suggestion.objects.get().priority == 50
    event = TaskEvent.objects.filter(kind="prioritized").last()
    assert (event.details["former_priority"], event.details["priority"]) == (0, 50)
    assert event.details["former_suggestion_id"] == proposed.id


def test_priority_that_a_job_set_is_refreshed_after_an_undo():
    services.undo_approval(approve(SuggestionFactory(**WRITTEN)).id, actor="tom")

    refresh(priority=-10)

    assert Suggestion.objects.get().priority == -10


@pytest.mark.parametrize("decision", ["approval", "rejection"])
def test_move_that_its_job_proposed_again_is_not_restored_twice(decision):
    proposed = SuggestionFactory(**WRITTEN)
    task = approve(proposed) if decision == "approval" else reject(proposed)
    refresh(include_under_way=True)
    again = Suggestion.objects.get()

    if decision == "approval":
        restored = services.undo_approval(task.id, actor="maria")
    else:
        restored = services.undo_rejection(proposed.id, actor="maria")

    assert restored == again == Suggestion.objects.get()
    assert TaskEvent.objects.get(kind="undone").details["new_suggestion_id"] == again.id


def test_another_suggestion_is_not_mistaken_for_the_undone_one():
    first, second = SuggestionFactory.create_batch(2)

    services.undo_approval(approve(first).id, actor="maria")

    assert Suggestion.objects.count() == 2
    assert Suggestion.objects.filter(pk=second.id).exists()


@pytest.mark.parametrize("other", [{"source": "ml-v3"}, {"to_station_id": 201}])
def test_other_proposals_are_not_mistaken_for_the_undone_one(other):
    task = approve(SuggestionFactory(**WRITTEN))
    SuggestionFactory(**{"source": "ml-v2", **other})

    restored = services.undo_approval(task.id, actor="maria")

    assert Suggestion.objects.count() == 2
    assert row_of(restored) == WRITTEN


def test_bulk_approvals_are_undone_one_by_one():
    some = SuggestionFactory.create_batch(3)
    approvals = services.approve_suggestions([each.id for each in some], actor="maria")

    services.undo_approval(approvals[some[1].id].task.id, actor="maria")

    assert Task.objects.ready().count() == 2
    assert Suggestion.objects.count() == 1


def test_restored_suggestion_keeps_its_expiry():
    soon = datetime.now(UTC) + timedelta(minutes=5)
    proposed = SuggestionFactory(expires_at=soon)

    assert services.undo_approval(approve(proposed).id, actor="tom").expires_at == soon
