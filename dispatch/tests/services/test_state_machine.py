"""Fifty operations in random order: results and events match those of a plain model."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import pytest
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.test import override_settings
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from dispatch import models, services
from dispatch.exceptions import Refusal
from dispatch.maintenance.invariants import violations
from dispatch.models.claim_keys import CLAIM_KEY_LIFE, ClaimKeyQuerySet
from dispatch.models.events import TaskEventQuerySet
from dispatch.models.tasks import TaskQuerySet
from dispatch.services import (
    PhoneReport,
    Report,
    SuggestionRow,
    claim_scopes,
    claims,
    ingest,
    proposals,
    undo,
)
from dispatch.services import tasks as task_services

from ..support import model_of_dispatch as model
from ..support.decisions import grow_old
from ..support.factories import MORNING, CrewFactory, StationFactory
from ..support.model_of_dispatch import FUTURE, OPEN, PAST, Crew, Event, Key, Model

# The number of examples of a nightly run, which differ each night.
NIGHTLY = os.environ.get("STATE_MACHINE_EXAMPLES")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db,
    pytest.mark.timeout(0 if NIGHTLY else 120),
]

UNKNOWN_ID = 999_999_999
MONTH = timedelta(days=30)


@dataclass(frozen=True)
class Made:
    """A row, counted back from the newest. Before the first: an id that does not exist."""

    kind: str
    ago: int


def row(move: model.Stations, *what: Any) -> SuggestionRow:
    return SuggestionRow(*move, *what)


rows = st.builds(
    row,
    st.sampled_from([(1, 2), (2, 1), (1, 3), (3, 1), (4, 5)]),
    st.integers(1, 4),
    st.sampled_from(["Full", "Empty"]),
    st.sampled_from([-100, 0, 0, 0, 95]),
    st.sampled_from([None, None, FUTURE, PAST]),
)
# Older than each other, newer, and equal.
ages = st.sampled_from([MORNING + timedelta(hours=hour) for hour in range(3)])
workers = st.sampled_from(["van-1", "van-2"])
worker_or_none = st.sampled_from([None, "van-1", "van-2"])
attempts = st.sampled_from([None, None, None, 1, 2])
# van-1 is not on the roster.
# Between two areas, the guard would warn. An area of the other system has the same name.
AREAS = {1: "East", 2: "", 3: "", 4: "East", 5: ""}
SYSTEMS = {1: "bay", 2: "bay", 3: "bay", 4: "atlantis", 5: "atlantis"}
rosters = st.sampled_from(
    [
        {},
        {},
        {"van-2": Crew(areas=("East",))},
        {"van-2": Crew(areas=("East", "West"), capacity=3)},
        {"van-2": Crew(capacity=2)},
        {"van-2": Crew(system="atlantis")},
        {"van-2": Crew(areas=("East",), system="bay")},
    ]
)
named_areas = st.sampled_from([None, None, None, None, "East", "West"])
actors = st.sampled_from(["api", "api", "gateway"])
keys = st.sampled_from(["k-1", "k-2"])
sources = st.sampled_from(["ml-a", "ml-b", ""])
suggestion = st.builds(Made, st.just("suggestion"), st.integers(0, 5))
task = st.builds(Made, st.just("task"), st.integers(0, 5))
to, by = st.none() | st.sampled_from([-100, 0, 100]), st.sampled_from([-10, 0, 10])
ingest_options = st.fixed_dictionaries(
    {
        "replace": st.booleans(),
        "allow_empty": st.booleans(),
        "include_under_way": st.booleans(),
        "dry_run": st.sampled_from([False, False, False, True]),
    }
)
# A report of a completion: the worker, the bikes, a note and the time.
FIRST_HOLDER = "the first holder"
reporter = st.sampled_from([None, "van-1", "van-2", FIRST_HOLDER])
# More than a van's load, or up to five bikes: often more than the task's.
reported_qty = st.none() | st.integers(0, 5).map(lambda bikes: bikes or 41)
reported_time = st.sampled_from(["now", "now", "at the claim", "before it", "in future"])
report_kinds = st.sampled_from(list(models.ReportKind))
notes = st.sampled_from(["", "Two docks broken"])

# The weight and the arguments of each operation. One rule for each is more usual, but Hypothesis
# leaves out half of the rules in each example: few tasks would be completed.
OPERATIONS = {
    "add_suggestion": (1, [rows, sources]),
    "ingest": (2, [st.lists(rows, max_size=4), sources, ingest_options]),
    "propose": (1, [st.lists(rows, min_size=1, max_size=4), sources]),
    "propose_again": (2, [suggestion, rows]),
    "reject": (1, [suggestion]),
    "prioritize_suggestion": (2, [suggestion, to, by]),
    "approve": (4, [suggestion, ages]),
    "create_task": (1, [rows, ages]),
    "prioritize_task": (1, [task, to, by]),
    "claim": (8, [workers, actors, st.none() | keys, named_areas]),
    "extend": (1, [task, worker_or_none]),
    "release": (3, [task, worker_or_none, attempts]),
    "reassign": (2, [task, workers]),
    "complete": (6, [task, reporter, attempts, reported_qty, notes, reported_time]),
    "report": (5, [st.integers(1, 4), report_kinds, task, reporter, st.sampled_from([1, 1, 2])]),
    "cancel": (1, [task]),
    "undo_approval": (3, [task]),
    "undo_rejection": (2, [suggestion]),
    "decisions_grow_old": (1, []),
    "lease_runs_out": (2, [task]),
    "suggestion_expires": (1, [suggestion]),
    "key_grows_old": (2, [actors, keys]),
    "sweep": (1, []),
    "prune": (1, [task]),
    "repeat": (8, []),
}
operations = st.one_of(
    *(
        st.tuples(st.just(name), *arguments)
        for name, (times, arguments) in OPERATIONS.items()
        for _ in range(times)
    )
)


def answer(call: Callable[[], Any]) -> Any:
    """The call's result, or the class of its refusal."""
    try:
        return call()
    except Refusal as refusal:
        return type(refusal)


def seen(row: Any) -> Any:
    """A row, or a service's result, in the model's form."""
    match row:
        case models.Suggestion():
            return model.Suggestion(**moved(row), expires_at=row.expires_at)
        case models.Task():
            return model.Task(
                **moved(row),
                suggestion_id=row.suggestion_id,
                status=row.status,
                worker_id=row.worker_id,
                attempt=row.attempt,
                lease=lease_of(row),
                moved_qty=row.moved_qty,
                note=row.note,
                reported_completed_at=row.reported_completed_at,
            )
    return row


def moved(row: models.Suggestion | models.Task) -> dict[str, Any]:
    fields = ["id", "qty", "reason", "priority", "source", "created_at"]
    move = (row.from_station_id, row.to_station_id)
    return {"move": move, **{name: getattr(row, name) for name in fields}}


def lease_of(task: models.Task) -> str | None:
    if task.lease_expires_at is None:
        return None
    return "runs" if task.lease_expires_at > datetime.now(UTC) else "out"


def with_change(row: Any) -> tuple[Any, bool]:
    return seen(row), row.changed


def by_subject(events: list[Event]) -> list[Event]:
    """Events in order for each task and suggestion. Rows of one statement have no order."""
    return sorted(events, key=lambda event: (event.task_id or 0, event.suggestion_id or 0))


class Dispatch(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.model = Model(AREAS, SYSTEMS)
        self.made = {"suggestion": [UNKNOWN_ID], "task": [UNKNOWN_ID]}
        self.last: Callable[[], None] = lambda: None
        # Otherwise a claim's guess would depend on earlier examples.
        claim_scopes.served.clear()
        self.undo = ExitStack()
        self.undo.callback(transaction.savepoint_rollback, transaction.savepoint())
        for number, area in AREAS.items():
            StationFactory(id=number, name=f"Station {number}", area=area, system=SYSTEMS[number])

    @initialize(limit=st.sampled_from([0, 0, 1]), leases=st.booleans(), roster=rosters)
    def begin(self, limit, leases, roster):
        for worker_id, crew in roster.items():
            CrewFactory(
                worker_id=worker_id,
                areas=list(crew.areas),
                capacity=crew.capacity,
                system=crew.system,
            )
        self.model.roster = roster
        minutes = 480 if leases else 0
        self.undo.enter_context(
            override_settings(TASKS_PER_WORKER=limit, TASK_LEASE_MINUTES=minutes)
        )
        self.model.limit, self.model.leases = limit, leases

    @initialize(some=st.lists(st.tuples(rows, sources, ages), min_size=2, max_size=2))
    def begin_with_some_of_each(self, some):
        for row, source, age in some:
            self.add_suggestion(row, source)
            self.create_task(row, age)

    @rule(operation=operations)
    def do(self, operation):
        name, *arguments = operation
        if name != "repeat":
            self.last = partial(getattr(self, name), *map(self.id_of, arguments))
        self.last()

    def id_of(self, argument: Any) -> Any:
        if not isinstance(argument, Made):
            return argument
        made = self.made[argument.kind]
        return made[-1 - argument.ago % len(made)]

    def teardown(self) -> None:
        with self.undo:
            assert violations() == {}

    def same(self, real: Callable[[], Any], predicted: Callable[[], Any]) -> None:
        assert answer(real) == answer(predicted)

    def new_suggestions(self) -> model.New:
        there = models.Suggestion.objects.exclude(pk__in=self.model.suggestions).order_by("id")
        new = list(there.values_list("id", "created_at"))
        self.made["suggestion"] += [id for id, _ in new]
        return new

    def new_task(self, result: Any, age: datetime) -> model.New:
        """Set the creation time, so that its order differs from the order of ids."""
        if not isinstance(result, services.Approval):
            return []
        models.Task.objects.filter(pk=result.task.pk).update(created_at=age)
        self.made["task"].append(result.task.pk)
        return [(result.task.pk, age)]

    # Suggestions

    def add_suggestion(self, row, source):
        suggestion = models.Suggestion(
            from_station_id=row.from_station_id,
            to_station_id=row.to_station_id,
            qty=row.qty,
            reason=row.reason,
            priority=row.priority,
            source=source,
            expires_at=row.expires_at,
        )
        services.create_suggestion(suggestion, actor="maria")
        self.model.add(row, source, self.new_suggestions())

    def ingest(self, proposed, source, options):
        result = answer(
            lambda: services.ingest_suggestions(proposed, source=source, actor="job", **options)
        )
        new = self.new_suggestions()
        assert result == answer(lambda: self.model.ingest(proposed, source, new, **options))

    def propose(self, proposed, source):
        result = services.propose_suggestions(proposed, source=source, actor="job")
        new = self.new_suggestions()
        outcomes = [each.outcome for each in result.proposals]
        assert outcomes == self.model.propose(proposed, source, new)

    def propose_again(self, suggestion, row):
        known = self.model.suggestions.get(suggestion)
        if known:
            start, end = known.move
            again = msgspec.structs.replace(row, from_station_id=start, to_station_id=end)
            self.propose([again], known.source)

    def reject(self, suggestion):
        result = answer(
            lambda: services.reject_suggestion(suggestion, actor="maria", reason="Closed")
        )
        expected = answer(lambda: self.model.reject(suggestion, getattr(result, "at", None)))
        assert expected == getattr(result, "kind", result)

    def undo_rejection(self, suggestion):
        result = answer(lambda: seen(services.undo_rejection(suggestion, actor="tom")))
        new = self.new_suggestions()
        assert result == answer(lambda: self.model.undo_rejection(suggestion, new))

    def prioritize_suggestion(self, suggestion, to, by):
        self.same(
            lambda: with_change(
                services.prioritize_suggestion(suggestion, actor="maria", priority=to, by=by)
            ),
            lambda: self.model.prioritize_suggestion(suggestion, to, by),
        )

    # Tasks

    def approve(self, suggestion, age):
        result = answer(lambda: services.approve_suggestion(suggestion, actor="maria"))
        new = self.new_task(result, age)
        event = models.TaskEvent.objects.filter(kind="approved", task_id__in=[id for id, _ in new])
        at = event.values_list("at", flat=True).first()
        expected = answer(lambda: self.model.approve(suggestion, new, at))
        assert expected == (result.warnings if new else result)

    def undo_approval(self, task):
        result = answer(lambda: seen(services.undo_approval(task, actor="tom")))
        new = self.new_suggestions()
        assert result == answer(lambda: self.model.undo_approval(task, new))

    def create_task(self, row, age):
        what = {"qty": row.qty, "reason": row.reason, "priority": row.priority}
        start, end = model.stations(row)
        task = models.Task(from_station_id=start, to_station_id=end, **what)
        result = services.create_task(task, actor="maria")
        [(id, _)] = self.new_task(result, age)
        expected = model.Task(id=id, move=(start, end), source="", created_at=age, **what)
        assert result.warnings == self.model.create("created", expected)

    def prioritize_task(self, task, to, by):
        self.same(
            lambda: with_change(services.prioritize_task(task, actor="maria", priority=to, by=by)),
            lambda: self.model.prioritize_task(task, to, by),
        )

    def claim(self, worker, actor, key, area):
        self.same(
            lambda: seen(services.claim_next_task(worker, actor=actor, key=key, area=area)),
            lambda: self.model.claim(worker, actor, key, area),
        )

    def extend(self, task, worker):
        self.same(
            lambda: seen(services.extend_lease(task, actor="api", worker_id=worker)),
            lambda: self.model.extend(task, worker),
        )

    def release(self, task, worker, attempt):
        holder = {"worker_id": worker, "attempt": attempt}
        self.same(
            lambda: seen(services.release_task(task, actor="api", reason="Late", **holder)),
            lambda: self.model.release(task, **holder),
        )

    def reassign(self, task, worker):
        self.same(
            lambda: with_change(services.reassign_task(task, worker, actor="maria", reason="Near")),
            lambda: self.model.reassign(task, worker),
        )

    def complete(self, task, worker, attempt, moved_qty, note, when):
        claimed = models.TaskEvent.objects.filter(task_id=task, kind__in=model.CLAIMS)
        if worker == FIRST_HOLDER:
            worker = claimed.order_by("id").values_list("worker_id", flat=True).first()
        of_worker = claimed if worker is None else claimed.filter(worker_id=worker)
        claimed_at = of_worker.order_by("id").values_list("at", flat=True).last()
        times = {"before it": PAST, "in future": FUTURE, "at the claim": claimed_at}
        report = Report(worker, moved_qty, note, times.get(when))
        possible = report.completed_at not in (PAST, FUTURE)
        self.same(
            lambda: with_change(
                services.complete_task(task, actor="api", report=report, attempt=attempt)
            ),
            lambda: self.model.complete(task, report, attempt, possible),
        )

    def report(self, number, kind, task, worker, attempt):
        if worker in (None, FIRST_HOLDER):
            claims = models.TaskEvent.objects.claims().filter(task_id=task).order_by("id")
            worker = claims.values_list("worker_id", flat=True).first() or "van-1"
        report = PhoneReport(UUID(int=number), kind, task, attempt, problems=["blocked"])
        self.same(
            lambda: services.apply_crew_report(report, worker_id=worker, device_id=1)["code"],
            lambda: self.model.report(number, kind, task, worker, attempt),
        )

    def cancel(self, task):
        self.same(
            lambda: seen(services.cancel_task(task, actor="maria", reason="Closed")),
            lambda: self.model.cancel(task),
        )

    # Time passes

    def decisions_grow_old(self):
        grow_old(models.TaskEvent.objects.filter(kind__in=["approved", "rejected"]))
        self.model.decisions_grow_old()

    def lease_runs_out(self, task):
        models.Task.objects.filter(pk=task, lease_expires_at__isnull=False).update(
            assigned_at=F("assigned_at") - MONTH,
            lease_expires_at=Now() - MONTH + timedelta(hours=8),
        )
        self.model.lease_runs_out(task)

    def suggestion_expires(self, suggestion):
        models.Suggestion.objects.filter(pk=suggestion).update(expires_at=PAST)
        self.model.suggestion_expires(suggestion)

    def key_grows_old(self, actor, key):
        models.ClaimKey.objects.filter(actor=actor, key=key).update(
            created_at=F("created_at") - CLAIM_KEY_LIFE
        )
        self.model.key_grows_old(actor, key)

    def sweep(self):
        self.same(lambda: astuple(services.sweep(actor="sweep")), self.model.sweep)

    def prune(self, task):
        models.Task.objects.filter(pk=task).exclude(status__in=OPEN).delete()
        self.model.prune(task)

    # Checked after each operation, even a refused one

    @invariant()
    def rows_match_the_model(self):
        suggestions = {row.id: seen(row) for row in models.Suggestion.objects.all()}
        assert suggestions == self.model.suggestions
        assert {row.id: seen(row) for row in models.Task.objects.all()} == self.model.tasks

    @invariant()
    def events_match_the_model(self):
        columns = ["kind", "task_id", "suggestion_id", "worker_id", "attempt", "source"]
        stored = models.TaskEvent.objects.order_by("id").values_list(*columns)
        assert by_subject([Event(*row) for row in stored]) == by_subject(self.model.events)

    @invariant()
    def keys_match_the_model(self):
        day_ago = datetime.now(UTC) - CLAIM_KEY_LIFE
        stored = {
            (row.actor, row.key): Key(
                row.worker_id, row.task_id, row.created_at <= day_ago, row.area
            )
            for row in models.ClaimKey.objects.all()
        }
        assert stored == self.model.keys


# After ten examples, Hypothesis also varies earlier ones: several short runs cover more.
SEEDS = [2, 3, 5]
WALKS = settings(
    max_examples=9,
    stateful_step_count=50,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def walk(start: int | None, **options: Any) -> None:
    run_state_machine_as_test(seed(start)(partial(Dispatch)), settings=settings(WALKS, **options))


@pytest.mark.parametrize("start", [None] if NIGHTLY else SEEDS)
def test_services_match_the_model(start):
    walk(start, max_examples=int(NIGHTLY or 9))


# The same machine finds each of these bugs


def release_loses_the_place_in_the_queue(patch):
    def release_and_queue_last(task_id, **options):
        task = release_task(task_id, **options)
        models.Task.objects.filter(pk=task_id).update(created_at=Now())
        return task

    release_task = services.release_task
    patch(services, "release_task", release_and_queue_last)


def complete_ignores_the_worker(patch):
    refusal = task_services.completion_refusal
    patch(task_services, "completion_refusal", lambda task, *_: refusal(task, Report(), None))


def complete_ignores_the_attempt(patch):
    refusal = task_services.completion_refusal
    patch(task_services, "completion_refusal", lambda task, report, _: refusal(task, report, None))


def proposing_again_resets_a_priority(patch):
    patch(proposals, "prioritized_by_hand", lambda _: set())


def claims_are_ordered_by_id(patch):
    patch(TaskQuerySet, "dispatch_order", lambda tasks: tasks.order_by("id"))
    # The statement was compiled with the right order.
    patch(claims, "claim_statement", claims.claim_statement.__wrapped__)


def sweep_releases_running_leases(patch):
    patch(TaskQuerySet, "lease_expired", lambda tasks: tasks.assigned())


def keys_ignore_the_worker(patch):
    def for_any_worker(key, claim):
        earlier = models.ClaimKey.objects.live().filter(actor=claim.actor, key=key).first()
        return earlier and models.Task.objects.filter(pk=earlier.task_id).first()

    patch(claims, "find_earlier_claim", for_any_worker)


def claims_ignore_the_van(patch):
    patch(claim_scopes, "ROOM", "{worker} IS NOT NULL")
    patch(claims, "claim_statement", claims.claim_statement.__wrapped__)


def claims_ignore_the_system(patch):
    patch(claim_scopes, "OWN_SYSTEM", "{worker} IS NOT NULL")
    patch(claims, "claim_statement", claims.claim_statement.__wrapped__)


def claims_of_crews_with_areas_find_nothing(patch):
    patch(claims, "scope_of", lambda *_: claim_scopes.Scope.EVERYTHING)


def keys_never_expire(patch):
    patch(ClaimKeyQuerySet, "live", lambda keys: keys)


def the_limit_is_ignored(patch):
    patch(claims, "oldest_task_at_limit", lambda _: None)


def late_reports_are_repeated(patch):
    patch(TaskEventQuerySet, "late_reports", lambda events: events.none())


def replacing_removes_other_sources(patch):
    patch(ingest, "REMOVE", ingest.REMOVE.replace("suggestions.id = opened.id AND", ""))


def assigned_tasks_do_not_count_as_under_way(patch):
    found = proposals.FIND_UNDER_WAY
    patch(proposals, "FIND_UNDER_WAY", found.replace("IN ('ready', 'assigned')", "= 'ready'"))


def undoing_forgets_a_priority_set_by_hand(patch):
    patch(undo, "keep_priority", lambda *_: None)


def undoing_ignores_a_new_proposal(patch):
    def insert(suggestion, *_):
        suggestion.save(force_insert=True)
        return suggestion

    patch(undo, "restore", insert)


def undoing_ignores_a_claim(patch):
    refusal = undo.approval_refusal
    patch(undo, "approval_refusal", lambda task, event: task.worker_id and refusal(task, event))


def undoing_is_possible_for_ever(patch):
    patch(undo, "is_too_old", lambda *_: False)


RARE = pytest.mark.skipif(not NIGHTLY, reason="Found only in longer runs.")


@pytest.mark.parametrize(
    "bug",
    [
        release_loses_the_place_in_the_queue,
        complete_ignores_the_worker,
        complete_ignores_the_attempt,
        claims_are_ordered_by_id,
        sweep_releases_running_leases,
        keys_ignore_the_worker,
        claims_ignore_the_van,
        claims_ignore_the_system,
        claims_of_crews_with_areas_find_nothing,
        replacing_removes_other_sources,
        assigned_tasks_do_not_count_as_under_way,
        pytest.param(undoing_is_possible_for_ever, marks=RARE),
        pytest.param(undoing_ignores_a_claim, marks=RARE),
        pytest.param(undoing_ignores_a_new_proposal, marks=RARE),
        pytest.param(undoing_forgets_a_priority_set_by_hand, marks=RARE),
        pytest.param(keys_never_expire, marks=RARE),
        pytest.param(the_limit_is_ignored, marks=RARE),
        pytest.param(late_reports_are_repeated, marks=RARE),
        pytest.param(proposing_again_resets_a_priority, marks=RARE),
    ],
)
def test_bug_is_found(bug, monkeypatch):
    def walk_all():
        for start in SEEDS:
            walk(start, phases=[Phase.generate], report_multiple_bugs=False)

    bug(monkeypatch.setattr)
    with pytest.raises(AssertionError):
        walk_all()
