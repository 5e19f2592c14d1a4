"""Leases, releases, late reports, safe retries and priorities."""

from datetime import timedelta
from datetime import timezone as fixed_zone

import msgspec
import pytest
from django.db.models import F
from django.utils import timezone

from dispatch import services
from dispatch.exceptions import Conflict, IdempotencyKeyReused, NotFound
from dispatch.maintenance.invariants import violations
from dispatch.models import ClaimKey, Suggestion, Task, TaskEvent
from dispatch.services import Report

from ..support.concurrency import background, open_transaction, wait_until_blocked
from ..support.decisions import remarks_on_approval
from ..support.factories import MORNING, SuggestionFactory, TaskFactory, claimed

pytestmark = pytest.mark.django_db

# PostgreSQL has no such offset.
FARTHEST_EAST = fixed_zone(timedelta(hours=23, minutes=59))


def kinds():
    return list(TaskEvent.objects.order_by("id").values_list("kind", flat=True))


# Extend, release, reassign


def test_extending_renews_the_lease_from_now(settings):
    settings.TASK_LEASE_MINUTES = 480
    task = claimed()
    Task.objects.update(lease_expires_at=F("assigned_at") + timedelta(minutes=1))

    extended = services.extend_lease(task.id, actor="api", worker_id="van-1")

    stored = Task.objects.get()
    assert stored.lease_expires_at == extended.lease_expires_at
    assert stored.lease_expires_at >= stored.assigned_at + timedelta(minutes=480)
    assert kinds() == ["claimed", "extended"]


def test_released_task_returns_to_its_place_in_the_queue():
    older = claimed(created_at=MORNING)
    TaskFactory(created_at=MORNING + timedelta(hours=1))

    services.release_task(older.id, actor="maria", reason="The van broke down")

    stored = Task.objects.get(id=older.id)
    assert (stored.status, stored.worker_id, stored.lease_expires_at) == ("ready", None, None)
    assert services.claim_next_task("van-2", actor="api") == older
    event = TaskEvent.objects.get(kind="released")
    assert (event.worker_id, event.actor, event.attempt) == ("van-1", "maria", 1)
    assert event.details == {"reason": "The van broke down"}


@pytest.mark.parametrize(
    "operation",
    [
        lambda pk: services.extend_lease(pk, actor="api", worker_id="van-2"),
        lambda pk: services.release_task(pk, actor="api", worker_id="van-2", reason="No"),
        lambda pk: services.complete_task(pk, actor="api", report=Report(worker_id="van-2")),
    ],
    ids=["extend", "release", "complete"],
)
def test_only_the_holder_can_extend_release_or_complete(operation):
    task = claimed("van-1")
    before = Task.objects.values().get()

    with pytest.raises(Conflict, match="van-2"):
        operation(task.id)

    assert Task.objects.values().get() == before
    assert kinds() == ["claimed"]


@pytest.mark.parametrize("state", ["ready", "completed", "cancelled"])
@pytest.mark.parametrize(
    "operation",
    [
        lambda pk: services.extend_lease(pk, actor="api"),
        lambda pk: services.release_task(pk, actor="api", reason="No"),
    ],
    ids=["extend", "release"],
)
def test_only_an_assigned_task_can_be_extended_or_released(operation, state):
    task = TaskFactory(**{state: True} if state != "ready" else {})

    with pytest.raises(Conflict, match=f"is {state}, not assigned"):
        operation(task.id)
    assert kinds() == []


@pytest.mark.parametrize("held", [True, False])
def test_reassignment_is_a_claim_with_its_own_attempt_and_lease(held):
    task = claimed("van-1") if held else TaskFactory()

    services.reassign_task(task.id, "van-2", actor="maria", reason="Closer")

    stored = Task.objects.get()
    assert (stored.status, stored.worker_id, stored.attempt) == ("assigned", "van-2", 1 + held)
    assert stored.lease_expires_at > stored.assigned_at
    event = TaskEvent.objects.get(kind="reassigned")
    former = "van-1" if held else None
    assert event.details == {"former_worker_id": former, "reason": "Closer"}


def test_reassigning_to_the_holder_changes_nothing():
    task = claimed("van-1")
    before = Task.objects.values().get()

    services.reassign_task(task.id, "van-1", actor="maria", reason="Again")

    assert Task.objects.values().get() == before
    assert kinds() == ["claimed"]


@pytest.mark.parametrize("state", ["completed", "cancelled"])
@pytest.mark.parametrize(
    "operation",
    [
        lambda pk: services.reassign_task(pk, "van-2", actor="maria", reason="No"),
        lambda pk: services.cancel_task(pk, actor="maria", reason="No"),
        lambda pk: services.prioritize_task(pk, actor="maria", by=10),
    ],
    ids=["reassign", "cancel", "prioritize"],
)
def test_ended_task_cannot_be_reassigned_cancelled_or_prioritized(operation, state):
    task = TaskFactory(**{state: True})

    with pytest.raises(Conflict, match=f"Task {task.id} is {state}"):
        operation(task.id)
    assert kinds() == []


@pytest.mark.parametrize("held", [True, False])
def test_cancelled_task_keeps_its_last_holder(held):
    task = claimed("van-1") if held else TaskFactory()

    services.cancel_task(task.id, actor="maria", reason="Road works")

    stored = Task.objects.get()
    assert (stored.status, stored.lease_expires_at) == ("cancelled", None)
    assert stored.cancelled_at is not None
    assert stored.worker_id == ("van-1" if held else None)
    assert TaskEvent.objects.get(kind="cancelled").details == {"reason": "Road works"}
    assert services.claim_next_task("van-2", actor="api") is None


# Reports of completions


def test_partial_completion_keeps_the_report():
    task = claimed(qty=5)
    reported = task.assigned_at + timedelta(microseconds=1)
    report = Report("van-1", moved_qty=3, note="Two docks broken", completed_at=reported)

    services.complete_task(task.id, actor="api", report=report)

    stored = Task.objects.get()
    assert (stored.status, stored.moved_qty, stored.note) == ("completed", 3, "Two docks broken")
    assert stored.reported_completed_at == reported
    assert stored.completed_at >= reported
    assert TaskEvent.objects.get(kind="completed").details == {
        "moved_qty": 3,
        "note": "Two docks broken",
        "completed_at": reported.isoformat(),
    }


def test_repeated_completion_returns_the_first_count():
    task = claimed(qty=5)
    services.complete_task(task.id, actor="api", report=Report("van-1", moved_qty=3))

    again = services.complete_task(task.id, actor="api", report=Report("van-1", moved_qty=4))

    assert again.moved_qty == Task.objects.get().moved_qty == 3
    assert kinds() == ["claimed", "completed"]


def test_reported_time_may_have_any_offset():
    task = claimed()
    reported = task.assigned_at.astimezone(FARTHEST_EAST)

    services.complete_task(task.id, actor="api", report=Report(completed_at=reported))

    assert Task.objects.get().reported_completed_at == reported


@pytest.mark.parametrize("minutes", [-4, 4])
def test_time_slightly_off_is_corrected_and_kept(minutes):
    task = claimed()
    now = timezone.now()
    said = (task.assigned_at if minutes < 0 else now) + timedelta(minutes=minutes)

    done = services.complete_task(task.id, actor="api", report=Report(completed_at=said))

    assert done.warnings == []
    stored = Task.objects.get()
    end = task.assigned_at if minutes < 0 else stored.completed_at
    assert stored.reported_completed_at == end
    details = TaskEvent.objects.get(kind="completed").details
    assert details["crew_clock"] == said.isoformat()
    assert details["completed_at"] == end.isoformat()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (lambda task: task.assigned_at + timedelta(minutes=6), "is in the future"),
        (lambda task: task.assigned_at - timedelta(minutes=6), "is before the claim"),
        (lambda task: task.assigned_at.replace(tzinfo=None), "has no time zone"),
    ],
)
def test_time_far_off_is_kept_but_not_believed(said, why):
    task = claimed()
    time = said(task)

    done = services.complete_task(task.id, actor="api", report=Report(completed_at=time))

    [warning] = done.warnings
    assert why in warning
    assert (done.status, done.reported_completed_at) == ("completed", None)
    details = TaskEvent.objects.get(kind="completed").details
    assert details == {"moved_qty": 5, "crew_clock": time.isoformat()}


def test_late_report_with_a_wrong_clock_is_recorded():
    task = claimed("van-1")
    release(task)
    said = task.assigned_at - timedelta(days=1)

    with pytest.raises(Conflict):
        services.complete_task(task.id, actor="api", report=Report("van-1", completed_at=said))
    details = TaskEvent.objects.get(kind="late_report").details
    assert details == {"crew_clock": said.isoformat()}


@pytest.mark.parametrize(
    ("capacity", "said", "recorded", "details", "warning"),
    [
        (8, 5, 5, {"moved_qty": 5}, None),
        (8, 8, 8, {"moved_qty": 8}, "8 were reported."),
        (8, 9, 8, {"moved_qty": 8, "crew_count": 9}, "9 were reported: 8 were recorded"),
        (8, 5000, 8, {"moved_qty": 8, "crew_count": 5000}, "5000 were reported: 8 were recorded"),
        # A task that was approved for more bikes than a van takes.
        (4, None, 5, {"moved_qty": 5}, None),
        (4, 6, 5, {"moved_qty": 5, "crew_count": 6}, "6 were reported: 5 were recorded"),
    ],
)
def test_count_above_a_vans_load_is_recorded_as_that_load(
    settings, capacity, said, recorded, details, warning
):
    settings.VAN_CAPACITY = capacity
    task = claimed(qty=5)

    done = services.complete_task(task.id, actor="api", report=Report(moved_qty=said))

    assert (done.status, Task.objects.get().moved_qty) == ("completed", recorded)
    assert TaskEvent.objects.get(kind="completed").details == details
    assert len(done.warnings) == (warning is not None)
    assert warning is None or f"Task {task.id} was about 5 bikes, and {warning}" in done.warnings[0]
    assert "task_is_well_formed" not in violations()


@pytest.mark.parametrize(
    "operation",
    [
        lambda pk: services.complete_task(pk, actor="api"),
        lambda pk: services.cancel_task(pk, actor="maria", reason="Road works"),
        lambda pk: services.extend_lease(pk, actor="api"),
        lambda pk: services.reassign_task(pk, "van-2", actor="maria", reason="Nearer"),
    ],
    ids=["complete", "cancel", "extend", "reassign"],
)
def test_no_event_precedes_the_claim_after_the_clock_was_set_back(operation, settings):
    settings.TASK_LEASE_MINUTES = 30
    task = claimed()
    # The clock of this claim was an hour ahead of the present one.
    Task.objects.update(assigned_at=F("assigned_at") + timedelta(hours=1))
    claimed_at = Task.objects.get().assigned_at

    operation(task.id)

    stored = Task.objects.get()
    times = [
        stored.assigned_at,
        stored.completed_at or claimed_at,
        stored.cancelled_at or claimed_at,
        stored.lease_expires_at or claimed_at,
    ]
    assert min(times) >= claimed_at
    assert "task_is_well_formed" not in violations()


def release(task):
    services.release_task(task.id, actor="maria", reason="Too slow")


def reassign(task):
    services.reassign_task(task.id, "van-2", actor="maria", reason="Closer")


def reassign_and_complete(task):
    reassign(task)
    services.complete_task(task.id, actor="api", report=Report("van-2"))


def cancel(task):
    services.cancel_task(task.id, actor="maria", reason="Road works")


@pytest.mark.parametrize("lose", [release, reassign, reassign_and_complete, cancel])
def test_former_holders_completion_is_refused_and_recorded_once(lose):
    task = claimed("van-1")
    lose(task)
    before = Task.objects.values().get()

    for _ in range(2):
        with pytest.raises(Conflict):
            services.complete_task(
                task.id, actor="api", report=Report("van-1", moved_qty=4, note="Done at noon")
            )

    assert Task.objects.values().get() == before
    event = TaskEvent.objects.get(kind="late_report")
    assert (event.worker_id, event.actor) == ("van-1", "api")
    assert event.details == {"moved_qty": 4, "note": "Done at noon"}


def test_stranger_to_the_task_makes_no_late_report():
    task = claimed("van-1")
    release(task)

    with pytest.raises(Conflict):
        services.complete_task(task.id, actor="api", report=Report("van-9"))
    assert "late_report" not in kinds()


# Safe retry


def test_same_key_returns_the_same_task():
    TaskFactory.create_batch(2)

    first = services.claim_next_task("van-1", actor="api", key="k-1")
    again = services.claim_next_task("van-1", actor="api", key="k-1")
    other = services.claim_next_task("van-1", actor="api", key="k-2")

    assert first == again != other
    assert kinds() == ["claimed", "claimed"]


def test_repeated_claim_returns_the_task_in_its_present_state():
    TaskFactory()
    task = services.claim_next_task("van-1", actor="api", key="k-1")
    reassign(task)

    again = services.claim_next_task("van-1", actor="api", key="k-1")

    assert (again.id, again.worker_id) == (task.id, "van-2")


def test_key_is_bound_to_its_worker_and_separate_for_each_actor():
    TaskFactory.create_batch(2)
    first = services.claim_next_task("van-1", actor="api", key="k-1")

    with pytest.raises(IdempotencyKeyReused):
        services.claim_next_task("van-2", actor="api", key="k-1")
    assert services.claim_next_task("van-1", actor="maria", key="k-1") != first


def test_claim_that_finds_no_task_does_not_use_up_its_key():
    assert services.claim_next_task("van-1", actor="api", key="k-1") is None
    task = TaskFactory()

    assert services.claim_next_task("van-1", actor="api", key="k-1") == task


def test_key_can_be_used_again_after_24_hours_without_a_sweep():
    TaskFactory.create_batch(2)
    first = services.claim_next_task("van-1", actor="api", key="k-1")
    ClaimKey.objects.update(created_at=F("created_at") - timedelta(hours=24))

    assert services.claim_next_task("van-1", actor="api", key="k-1") != first
    assert ClaimKey.objects.count() == 1


def test_key_of_a_pruned_task_is_not_found():
    TaskFactory()
    task = services.claim_next_task("van-1", actor="api", key="k-1")
    task.delete()

    with pytest.raises(NotFound, match="no longer kept"):
        services.claim_next_task("van-1", actor="api", key="k-1")


def test_worker_at_its_limit_gets_its_oldest_task_again(settings):
    settings.TASKS_PER_WORKER = 2
    first, second, third = TaskFactory.create_batch(3)
    claim = [services.claim_next_task("van-1", actor="api") for _ in range(3)]

    assert claim == [first, second, first]
    assert services.claim_next_task("van-2", actor="api") == third
    services.complete_task(first.id, actor="api")
    assert services.claim_next_task("van-1", actor="api") is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", ["k-1", None])
def test_simultaneous_claims_of_one_worker_return_one_task(settings, key):
    settings.TASKS_PER_WORKER = 0 if key else 1
    TaskFactory.create_batch(2)

    with background() as run:
        with open_transaction():
            first = services.claim_next_task("van-1", actor="api", key=key)
            second = run(services.claim_next_task, "van-1", actor="api", key=key)
            wait_until_blocked(second)
        assert second.result(timeout=10) == first
    assert Task.objects.assigned().count() == 1


# Priorities, expiry, duplicates


def test_priorities_stay_in_range_and_changes_are_recorded():
    task, suggestion = TaskFactory(priority=95), SuggestionFactory(priority=-95, source="ml-v2")

    services.prioritize_task(task.id, actor="maria", by=10)
    services.prioritize_task(task.id, actor="maria", by=10)
    services.prioritize_suggestion(suggestion.id, actor="maria", by=-10)
    services.prioritize_suggestion(suggestion.id, actor="maria", priority=7)

    assert Task.objects.get().priority == 100
    assert Suggestion.objects.get().priority == 7
    changes = [
        (event.source, event.details["former_priority"], event.details["priority"])
        for event in TaskEvent.objects.order_by("id")
    ]
    assert changes == [("", 95, 100), ("ml-v2", -95, -100), ("ml-v2", -100, 7)]


def test_expired_suggestion_cannot_be_approved():
    suggestion = SuggestionFactory(expires_at=MORNING)

    with pytest.raises(Conflict, match=rf"expired at {MORNING:%Y-%m-%d}"):
        services.approve_suggestion(suggestion.id, actor="maria")
    assert Suggestion.objects.exists()
    assert not Task.objects.exists()


@pytest.mark.parametrize("state", ["ready", "assigned"])
def test_approval_warns_of_an_open_task_with_the_same_move(state):
    same = TaskFactory(assigned=state == "assigned")
    TaskFactory(completed=True)
    TaskFactory(to_station_id=201)
    suggestion = SuggestionFactory()

    approval = services.approve_suggestion(suggestion.id, actor="maria")

    sentence = f"Task {same.id} ({state}) already moves bikes from Station 100 to Station 200."
    assert approval.warnings == [sentence]
    assert remarks_on_approval() == {"warnings": [sentence]}
    assert approval.task.status == "ready"


@pytest.mark.django_db(transaction=True)
def test_second_of_two_simultaneous_approvals_of_a_move_is_warned():
    first, second = SuggestionFactory.create_batch(2)

    with background() as run:
        with open_transaction():
            task = services.approve_suggestion(first.id, actor="maria").task
            waiting = run(services.approve_suggestion, second.id, actor="tom")
            wait_until_blocked(waiting)
        assert waiting.result(timeout=10).warnings == [
            f"Task {task.id} (ready) already moves bikes from Station 100 to Station 200."
        ]


@pytest.mark.django_db(transaction=True)
def test_completion_that_waited_is_dated_after_the_wait():
    task = claimed("van-1")

    with background() as run:
        with open_transaction():
            Task.objects.select_for_update(no_key=True).get(pk=task.pk)
            completion = run(services.complete_task, task.id, actor="api")
            wait_until_blocked(completion)
            services.reassign_task(task.id, "van-2", actor="maria", reason="Closer")
        completion.result(timeout=10)
    stored = Task.objects.get()
    assert stored.completed_at >= stored.assigned_at


def test_each_claim_of_a_worker_may_have_one_late_report():
    task = claimed("van-1")
    for moved in (1, 2):
        release(task)
        with pytest.raises(Conflict):
            services.complete_task(task.id, actor="api", report=Report("van-1", moved_qty=moved))
        services.reassign_task(task.id, "van-1", actor="maria", reason="Back")

    late = TaskEvent.objects.filter(kind="late_report").order_by("id")
    assert list(late.values_list("attempt", "details__moved_qty")) == [(1, 1), (2, 2)]


def test_late_report_of_more_bikes_than_a_van_takes_keeps_both_counts():
    task = claimed("van-1")
    release(task)

    with pytest.raises(Conflict):
        services.complete_task(task.id, actor="api", report=Report("van-1", moved_qty=41))
    details = TaskEvent.objects.get(kind="late_report").details
    assert details == {"moved_qty": 40, "crew_count": 41}


@pytest.mark.parametrize(
    "operation",
    [
        lambda pk: services.release_task(pk, actor="maria", reason="No", attempt=1),
        lambda pk: services.complete_task(pk, actor="maria", attempt=1),
    ],
    ids=["release", "complete"],
)
def test_decision_about_one_claim_does_not_affect_the_next(operation):
    task = claimed("van-1")
    reassign(task)

    with pytest.raises(Conflict, match="claimed again, by van-2"):
        operation(task.id)
    assert Task.objects.get().worker_id == "van-2"


def test_suggestion_with_a_reused_id_is_refused():
    TaskFactory(suggestion_id=7)
    SuggestionFactory(id=7)

    with pytest.raises(Conflict, match="reuses the id of one that became a task"):
        services.approve_suggestion(7, actor="maria")


def test_refreshing_a_suggestion_keeps_a_dispatchers_priority():
    rows = [
        services.SuggestionRow(from_station_id=n, to_station_id=9, qty=5, reason="Full")
        for n in (1, 2)
    ]
    services.ingest_suggestions(rows, source="ml-v2", actor="test")
    first, second = Suggestion.objects.order_by("id")
    services.prioritize_suggestion(first.id, actor="maria", priority=50)

    services.ingest_suggestions(
        [msgspec.structs.replace(row, priority=3) for row in rows], source="ml-v2", actor="test"
    )
    services.propose_suggestions(
        [msgspec.structs.replace(row, priority=4) for row in rows], source="ml-v2", actor="test"
    )

    assert list(Suggestion.objects.order_by("id").values_list("id", "priority")) == [
        (first.id, 50),
        (second.id, 4),
    ]
