"""Two simultaneous operations, in every order of their statements, end legally."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import F
from django.test import override_settings

from dispatch import services
from dispatch.models import Task
from dispatch.services import PhoneReport, Report, SuggestionRow
from dispatch.services.sweep import release_expired_tasks

from ..support.factories import SuggestionFactory, TaskFactory
from ..support.guards import (
    without_advisory_locks,
    without_completion_check,
    without_locks,
    without_row_locks,
)
from ..support.interleavings import Run, every_statement, explore, in_words, outcome

pytestmark = [
    pytest.mark.slow,
    pytest.mark.own_connections,
    pytest.mark.django_db(transaction=True),
]

Operation = Callable[[list[Any]], Any]
# The results of the two callers, and the state of the database afterwards.
End = tuple[str, str, str]


@dataclass(frozen=True)
class Pair:
    prepare: Callable[[], list[Any]]
    first: Operation
    second: Operation
    legal: set[End]
    stops_at: Callable[[str], bool] = every_statement
    settings: dict[str, int] = field(default_factory=dict)


# Initial rows


def suggestions(number):
    return lambda: SuggestionFactory.create_batch(number, source="ml")


def ready(number):
    def prepare():
        tasks = TaskFactory.build_batch(number)
        return [services.create_task(task, actor="maria").task for task in tasks]

    return prepare


def held():
    ready(1)()
    return [services.claim_next_task("van-1", actor="api")]


def approved():
    suggestion = SuggestionFactory(source="ml")
    return [services.approve_suggestion(suggestion.id, actor="maria").task]


def rejected():
    suggestion = SuggestionFactory(source="ml")
    services.reject_suggestion(suggestion.id, actor="maria", code="no_crew")
    return [suggestion.id]


def held_too_long():
    tasks, ago = held(), timedelta(days=2)
    Task.objects.update(
        assigned_at=F("assigned_at") - ago, lease_expires_at=F("lease_expires_at") - ago
    )
    return tasks


# Operations on them


def approve(actor, which=0):
    return lambda rows: services.approve_suggestion(rows[which].id, actor=actor)


def replace_by(start, end, qty):
    def ingest(rows):
        proposed = [SuggestionRow(start, end, qty, "Full")]
        return services.ingest_suggestions(proposed, source="ml", actor="job", replace=True)

    return ingest


def propose(rows):
    proposed = [SuggestionRow(100, 200, 7, "Full")]
    return services.propose_suggestions(proposed, source="ml", actor="job")


def claim(worker_id, key=None):
    return lambda _: services.claim_next_task(worker_id, actor="api", key=key)


def complete(rows):
    return services.complete_task(rows[0].id, actor="api", report=Report("van-1"))


def report(kind, number=1, worker_id="van-1"):
    """`number`: of the report's id."""

    def send(rows):
        report = PhoneReport(UUID(int=number), kind, rows[0].id, attempt=1, problems=["blocked"])
        answer = services.apply_crew_report(report, worker_id=worker_id, device_id=1)
        return answer["code"]

    return send


def reassign(rows):
    return services.reassign_task(rows[0].id, "van-2", actor="maria", reason="Near")


def release(rows):
    return services.release_task(rows[0].id, actor="maria", reason="Late")


def cancel(rows):
    return services.cancel_task(rows[0].id, actor="maria", reason="Closed")


def message(rows):
    return services.message_crew(rows[0].id, "Hello", actor="maria")


def see(rows):
    return services.note_seen(rows[0].id, 1, None, worker_id="van-1", actor="crew van-1")


def extend_all(rows):
    return len(services.extend_held("van-1", actor="crew van-1"))


def undo_approval(rows):
    return services.undo_approval(rows[0].id, actor="tom")


def undo_rejection(rows):
    return services.undo_rejection(rows[0], actor="tom")


def sweep(rows):
    return release_expired_tasks(actor="sweep")


def touches_moves(sql):
    """Gates at events, advisory locks and temporary tables would only multiply the schedules."""
    return bool(re.search(r"\b(suggestions|tasks)\b", sql))


# Expected states

READY = "5 bikes ready: created"
APPROVED = "5 bikes ready: approved"
TO_1 = "5 bikes assigned to van-1: created, claimed"
TO_2 = "5 bikes assigned to van-2: created, claimed"
REASSIGNED = "5 bikes assigned to van-2: created, claimed, reassigned"
RELEASED = "5 bikes ready: created, claimed, released"
COMPLETED = "5 bikes completed by van-1: created, claimed, completed"
CANCELLED = "5 bikes cancelled: created, cancelled"
DONE_BY_2 = "5 bikes completed by van-2: created, claimed, reassigned, completed"
UNDONE = "5 bikes proposed; 5 bikes cancelled: approved, undone"
UNDONE_AND_REFRESHED = "7 bikes proposed; 5 bikes cancelled: approved, undone"
RESTORED = "5 bikes proposed; rejected; undone"
PROPOSED_TWICE = "5 bikes proposed; 7 bikes proposed; rejected; undone; ingested"
CANCELLED_WHILE_HELD = "5 bikes cancelled by van-1: created, claimed, cancelled"
ILLEGAL = "violated: task_history_is_legal"


def either_order(first, second, state):
    return {(first, second, state), (second, first, state)}


PAIRS = {
    "approve and approve": Pair(
        suggestions(1),
        approve("maria"),
        approve("tom"),
        either_order("approved", "NotFound", APPROVED),
    ),
    "approve and reject": Pair(
        suggestions(1),
        approve("maria"),
        lambda rows: services.reject_suggestion(rows[0].id, actor="tom", reason="Closed"),
        {("approved", "NotFound", APPROVED), ("NotFound", "rejected", "rejected")},
    ),
    "approve and approve the same move": Pair(
        suggestions(2),
        approve("maria", 0),
        approve("tom", 1),
        either_order("approved", "approved, warned", f"{APPROVED}; {APPROVED}"),
        stops_at=touches_moves,
    ),
    "approve and ingest the move again": Pair(
        suggestions(1),
        approve("maria"),
        replace_by(100, 200, qty=7),
        {
            ("approved", "1 under_way", f"{APPROVED}; ingested"),
            ("approved", "1 decided", f"{APPROVED}; ingested"),
            ("approved", "1 refreshed", "7 bikes ready: approved; ingested"),
        },
        stops_at=touches_moves,
    ),
    "approve and ingest without the move": Pair(
        suggestions(1),
        approve("maria"),
        replace_by(300, 400, qty=3),
        {
            ("approved", "1 inserted", f"3 bikes proposed; {APPROVED}; ingested"),
            ("NotFound", "1 inserted, 1 removed", "3 bikes proposed; ingested"),
        },
        stops_at=touches_moves,
    ),
    "approve and propose the move again": Pair(
        suggestions(1),
        approve("maria"),
        propose,
        {
            ("approved", "under_way", f"{APPROVED}; ingested"),
            ("approved", "refreshed", "7 bikes ready: approved; ingested"),
        },
    ),
    "propose and propose one move": Pair(
        suggestions(0),
        propose,
        propose,
        either_order("created", "refreshed", "7 bikes proposed; ingested; ingested"),
    ),
    "claim and claim two tasks": Pair(
        ready(2),
        claim("van-1"),
        claim("van-2"),
        {("task 1", "task 2", f"{TO_1}; {TO_2}"), ("task 2", "task 1", f"{TO_2}; {TO_1}")},
    ),
    "claim and claim one task": Pair(
        ready(1),
        claim("van-1"),
        claim("van-2"),
        {("task 1", "nothing", TO_1), ("nothing", "task 1", TO_2)},
    ),
    "claim and claim with the same key": Pair(
        ready(2),
        claim("van-1", key="k-1"),
        claim("van-1", key="k-1"),
        {("task 1", "task 1", f"{TO_1}; {READY}")},
    ),
    "claim and claim at a limit of one": Pair(
        ready(2),
        claim("van-1"),
        claim("van-1"),
        {("task 1", "task 1", f"{TO_1}; {READY}")},
        settings={"TASKS_PER_WORKER": 1},
    ),
    "complete and complete": Pair(
        held,
        complete,
        complete,
        either_order("task 1", "task 1 unchanged", COMPLETED),
    ),
    "complete and release": Pair(
        held,
        complete,
        release,
        {("task 1", "Conflict", COMPLETED), ("Conflict", "task 1", f"{RELEASED}, late_report")},
    ),
    "complete and reassign": Pair(
        held,
        complete,
        reassign,
        {("task 1", "Conflict", COMPLETED), ("Conflict", "task 1", f"{REASSIGNED}, late_report")},
    ),
    "complete and sweep": Pair(
        held_too_long,
        complete,
        sweep,
        {("task 1", "0", COMPLETED), ("Conflict", "1", f"{RELEASED}, late_report")},
    ),
    "extend and sweep": Pair(
        held_too_long,
        lambda rows: services.extend_lease(rows[0].id, actor="api", worker_id="van-1"),
        sweep,
        {("task 1", "0", f"{TO_1}, extended"), ("Conflict", "1", RELEASED)},
    ),
    "cancel and claim": Pair(
        ready(1),
        cancel,
        claim("van-1"),
        {
            ("task 1", "nothing", CANCELLED),
            ("task 1", "task 1", "5 bikes cancelled by van-1: created, claimed, cancelled"),
        },
    ),
    "report and the same report": Pair(
        held,
        report("done"),
        report("done"),
        {("done", "done", COMPLETED)},
    ),
    "problem and the same problem": Pair(
        held,
        report("problem"),
        report("problem"),
        {("problem_noted", "problem_noted", f"{TO_1}, problem")},
    ),
    "two reports of two phones": Pair(
        held,
        report("done"),
        report("give_back", number=2),
        {
            ("done", "already_done", COMPLETED),
            ("released", "given_back", f"{RELEASED}, late_report"),
        },
    ),
    "report and reassign": Pair(
        held,
        report("done"),
        reassign,
        {
            ("done", "Conflict", COMPLETED),
            ("reassigned", "task 1", f"{REASSIGNED}, late_report"),
        },
    ),
    "report and cancel": Pair(
        held,
        report("done"),
        cancel,
        {
            ("done", "Conflict", COMPLETED),
            ("cancelled", "task 1", f"{CANCELLED_WHILE_HELD}, late_report"),
        },
    ),
    "give back and release": Pair(
        held,
        report("give_back"),
        release,
        {("given_back", "Conflict", RELEASED), ("released", "task 1", RELEASED)},
    ),
    "give back and cancel": Pair(
        held,
        report("give_back"),
        cancel,
        {
            ("given_back", "task 1", "5 bikes cancelled: created, claimed, released, cancelled"),
            ("cancelled", "task 1", f"{CANCELLED_WHILE_HELD}, problem"),
        },
    ),
    "problem and reassign": Pair(
        held,
        report("problem"),
        reassign,
        {
            (
                "problem_noted",
                "task 1",
                "5 bikes assigned to van-2: created, claimed, problem, reassigned",
            ),
            ("reassigned", "task 1", f"{REASSIGNED}, problem"),
        },
    ),
    "report and sweep": Pair(
        held_too_long,
        report("done"),
        sweep,
        {("done", "0", COMPLETED), ("released", "1", f"{RELEASED}, late_report")},
    ),
    "report of a stranger and undo": Pair(
        approved,
        report("done"),
        undo_approval,
        {("unknown_task", "restored", UNDONE)},
    ),
    "sign of life and sweep": Pair(
        held_too_long,
        extend_all,
        sweep,
        {("1", "0", f"{TO_1}, extended"), ("0", "1", RELEASED)},
    ),
    "sign of life and reassign": Pair(
        held_too_long,
        extend_all,
        reassign,
        {
            ("1", "task 1", "5 bikes assigned to van-2: created, claimed, extended, reassigned"),
            ("0", "task 1", REASSIGNED),
        },
    ),
    "message and undo": Pair(
        approved,
        message,
        undo_approval,
        {
            ("message", "restored", UNDONE.replace("approved", "approved, message")),
            ("Conflict", "restored", UNDONE),
        },
    ),
    "message and report": Pair(
        held,
        message,
        report("done"),
        {
            ("message", "done", COMPLETED.replace(", completed", ", message, completed")),
            ("Conflict", "done", COMPLETED),
        },
    ),
    "seen and seen": Pair(
        held,
        see,
        see,
        {("nothing", "nothing", f"{TO_1}, seen")},
    ),
    "seen and report": Pair(
        held,
        see,
        report("done"),
        {
            ("nothing", "done", COMPLETED.replace(", completed", ", seen, completed")),
            ("nothing", "done", COMPLETED),
        },
    ),
    "undo and claim": Pair(
        approved,
        undo_approval,
        claim("van-1"),
        {
            ("restored", "nothing", UNDONE),
            ("Conflict", "task 1", "5 bikes assigned to van-1: approved, claimed"),
        },
    ),
    "undo and undo": Pair(
        approved,
        undo_approval,
        undo_approval,
        either_order("restored", "Conflict", UNDONE),
    ),
    "undo and cancel": Pair(
        approved,
        undo_approval,
        cancel,
        {
            ("restored", "Conflict", UNDONE),
            ("Conflict", "task 1", "5 bikes cancelled: approved, cancelled"),
        },
    ),
    "undo and ingest the move again": Pair(
        approved,
        undo_approval,
        replace_by(100, 200, qty=7),
        {
            ("restored", "1 under_way", f"{UNDONE}; ingested"),
            ("restored", "1 refreshed", f"{UNDONE_AND_REFRESHED}; ingested"),
        },
    ),
    "undo and propose the move again": Pair(
        approved,
        undo_approval,
        propose,
        {
            ("restored", "under_way", f"{UNDONE}; ingested"),
            ("restored", "refreshed", f"{UNDONE_AND_REFRESHED}; ingested"),
        },
    ),
    "undo and undo of a rejection": Pair(
        rejected,
        undo_rejection,
        undo_rejection,
        either_order("restored", "Conflict", RESTORED),
    ),
    "undo of a rejection and ingest the move again": Pair(
        rejected,
        undo_rejection,
        replace_by(100, 200, qty=7),
        {
            ("restored", "1 refreshed", "7 bikes proposed; rejected; undone; ingested"),
            ("restored", "1 inserted", "7 bikes proposed; rejected; ingested; undone"),
        },
    ),
    "undo of a rejection and propose the move again": Pair(
        rejected,
        undo_rejection,
        propose,
        {
            ("restored", "refreshed", "7 bikes proposed; rejected; undone; ingested"),
            ("restored", "created", "7 bikes proposed; rejected; ingested; undone"),
        },
    ),
}


def ends(pair: Pair) -> Iterator[tuple[End, Run]]:
    with override_settings(**pair.settings):
        for run in explore(pair.prepare, pair.first, pair.second, stops_at=pair.stops_at):
            first, second = map(in_words, run.results)
            yield (first, second, outcome()), run


@pytest.fixture(autouse=True)
def quick_commits(transactional_db):
    # Nothing crashes in this test, so commits need not reach the disk.
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        yield
        cursor.execute("RESET synchronous_commit")


@pytest.mark.parametrize("name", PAIRS)
def test_every_order_ends_legally_and_each_legal_end_occurs(name):
    pair = PAIRS[name]
    seen = Counter()

    with closing(ends(pair)) as runs:
        for end, run in runs:
            assert end in pair.legal, f"{end}\n{run}"
            seen[end] += 1

    print(f"{name}: {seen.total()} schedules, {sorted(seen.values())}")
    assert seen.keys() == pair.legal
    assert seen.total() > 1


# The same search without one of the guards. If another guard still protects the rows, the caller
# gets an unexpected error.

ILLEGAL_ENDS = {
    without_row_locks: {
        "approve and approve": ("approved", "Conflict", APPROVED),
        "approve and reject": ("approved", "rejected", f"{APPROVED}; rejected"),
        "approve and ingest the move again": ("approved", "1 refreshed", f"{APPROVED}; ingested"),
        "approve and ingest without the move": (
            "KeyError",
            "1 inserted, 1 removed",
            "3 bikes proposed; ingested",
        ),
        "approve and propose the move again": ("approved", "refreshed", f"{APPROVED}; ingested"),
        "claim and claim two tasks": ("task 1", "task 1", ILLEGAL),
        "claim and claim one task": ("task 1", "task 1", ILLEGAL),
        "complete and complete": ("task 1", "ProgrammingError", COMPLETED),
        "complete and release": ("task 1", "ProgrammingError", COMPLETED),
        "complete and sweep": ("task 1", "ProgrammingError", COMPLETED),
        "extend and sweep": (
            "task 1",
            "1",
            "5 bikes ready: created, claimed, extended, released",
        ),
        "cancel and claim": ("task 1", "ProgrammingError", CANCELLED),
        "report and reassign": ("done", "ProgrammingError", COMPLETED),
        "give back and release": ("given_back", "task 1", ILLEGAL),
        "sign of life and sweep": (
            "1",
            "1",
            "5 bikes ready: created, claimed, extended, released",
        ),
        "message and undo": ("message", "restored", ILLEGAL),
        "seen and seen": ("nothing", "nothing", f"{TO_1}, seen, seen"),
        "undo and claim": ("restored", "ProgrammingError", UNDONE),
        "undo and cancel": ("restored", "ProgrammingError", UNDONE),
    },
    without_advisory_locks: {
        "approve and approve the same move": ("approved", "approved", f"{APPROVED}; {APPROVED}"),
        "propose and propose one move": (
            "created",
            "created",
            "7 bikes proposed; 7 bikes proposed; ingested; ingested",
        ),
        "claim and claim with the same key": ("task 1", "IntegrityError", f"{TO_1}; {READY}"),
        "claim and claim at a limit of one": ("task 1", "task 2", f"{TO_1}; {TO_1}"),
        "report and the same report": ("done", "IntegrityError", COMPLETED),
        "problem and the same problem": ("problem_noted", "IntegrityError", f"{TO_1}, problem"),
        "undo and ingest the move again": (
            "restored",
            "1 inserted",
            f"5 bikes proposed; {UNDONE_AND_REFRESHED}; ingested",
        ),
        "undo and propose the move again": (
            "restored",
            "created",
            f"5 bikes proposed; {UNDONE_AND_REFRESHED}; ingested",
        ),
        "undo and undo of a rejection": ("restored", "IntegrityError", RESTORED),
        "undo of a rejection and ingest the move again": (
            "restored",
            "1 inserted",
            PROPOSED_TWICE,
        ),
        "undo of a rejection and propose the move again": ("restored", "created", PROPOSED_TWICE),
    },
    without_locks: {"undo and undo": ("restored", "IntegrityError", UNDONE)},
    without_completion_check: {"complete and reassign": ("task 1", "task 1", DONE_BY_2)},
}


@pytest.mark.parametrize(
    ("guard", "name"), [(guard, name) for guard, ends in ILLEGAL_ENDS.items() for name in ends]
)
def test_without_its_guard_the_search_finds_an_illegal_end(guard, name):
    pair = PAIRS[name]

    with guard(), closing(ends(pair)) as runs:
        assert next(end for end, _ in runs if end not in pair.legal) == ILLEGAL_ENDS[guard][name]
