"""How a move becomes a task: of a suggestion, or written by hand."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import transaction

from baywheels.database.pipeline import Row, Statement

from ..exceptions import Conflict, NotFound, Refusal
from ..models import EventKind, Move, Suggestion, Task
from ..models.tasks import OPEN_STATUSES
from ..planning import inventory
from ..planning.inventory import StationCapacity
from .events import record_task
from .guard import capacities_from, capacities_statement
from .rows import TASK_COLUMNS, run, task_from
from .suggestions import lock_statement, locked_suggestions, what_became_of

MOST_NAMED = 3

OF_SUGGESTIONS = """
    SELECT id, from_station_id, to_station_id FROM suggestions WHERE id = ANY(%s::bigint[])
"""
BY_HAND = "SELECT NULL::bigint AS id, %s::integer AS from_station_id, %s::integer AS to_station_id"
ENDS = """
    WITH moves AS ({moves}) SELECT from_station_id FROM moves UNION SELECT to_station_id FROM moves
"""
# Of two approvals of one move, or for the last docks, the second must see the first's task.
TURNS = """
    SELECT pg_advisory_xact_lock(hashtextextended('station ' || id, 0))
    FROM ({ends} ORDER BY 1) AS ends (id)
"""
# What open tasks do, and what became of suggestions that had the same ids.
RELATED = """
    WITH moves AS ({moves})
    SELECT tasks.id, status, from_station_id, to_station_id, suggestion_id
    FROM tasks JOIN moves USING (from_station_id, to_station_id)
    WHERE status IN ('ready', 'assigned')
    UNION
    SELECT tasks.id, status, tasks.from_station_id, tasks.to_station_id, suggestion_id
    FROM tasks JOIN moves ON suggestion_id = moves.id
    ORDER BY id
"""
APPROVE = """
    WITH decisions AS (
        SELECT * FROM unnest(%s::bigint[], %s::integer[], %s::jsonb[]) AS d (id, qty, details)
    ),
    decided AS (
        DELETE FROM suggestions USING decisions AS d WHERE suggestions.id = d.id
        RETURNING suggestions.*, d.qty AS approved_qty, d.details
    ),
    approved AS (
        INSERT INTO tasks
            (from_station_id, to_station_id, qty, reason, priority, suggestion_id, source)
        SELECT from_station_id, to_station_id, approved_qty, reason, priority, id, source
        FROM decided ORDER BY id
        RETURNING *
    ),
    recorded AS (
        INSERT INTO task_events (kind, task_id, suggestion_id, attempt, actor, source, details)
        SELECT 'approved', task.id, task.suggestion_id, task.attempt, %s, task.source, details
        FROM approved AS task JOIN decided ON decided.id = task.suggestion_id
        ORDER BY task.id
    )
    SELECT {columns} FROM approved ORDER BY id
"""


@dataclass(frozen=True)
class Approval:
    """A new task, and what its approver should know about it: a sentence each."""

    task: Task
    warnings: list[str]


@transaction.atomic(durable=True)
def approve_suggestion(suggestion_id: int, *, actor: str, fit: bool = False) -> Approval:
    """Turn a suggestion into a ready task. NotFound names the task if it already became one.

    Conflict: it has expired, its row was given the id of an earlier one, or its bikes do not fit
    and INVENTORY_GUARD refuses that. `fit`: only as many bikes as do; Conflict if none does.
    """
    decision = decide([suggestion_id], actor, fit)[suggestion_id]
    if isinstance(decision, Refusal):
        raise decision
    return decision


@transaction.atomic(durable=True)
def approve_suggestions(
    suggestion_ids: Iterable[int], *, actor: str, fit: bool = False
) -> dict[int, Approval | Refusal]:
    """Many at once, in id order, with a few statements: what approve_suggestion would say of each.

    A refusal leaves the others alone. Its stations and suggestions are locked until it returns:
    better several calls of some hundreds than one of many thousands.
    """
    return decide(sorted(set(suggestion_ids)), actor, fit)


def decide(ids: Sequence[int], actor: str, fit: bool) -> dict[int, Approval | Refusal]:
    locked, *seen = run((lock_statement(), [ids]), *lock_and_read(OF_SUGGESTIONS, [ids]))
    suggestions = locked_suggestions(locked)
    decisions: dict[int, Approval | Refusal] = {}
    if len(suggestions) < len(ids):
        gone = what_became_of([each for each in ids if each not in suggestions])
        decisions = {suggestion_id: NotFound(sentence) for suggestion_id, sentence in gone.items()}
    if not suggestions:
        return decisions
    context = context_from(seen, fit)
    approvable = []
    for suggestion in suggestions.values():
        try:
            approvable.append(context.evaluate(suggestion, fit))
        except Refusal as refusal:
            decisions[suggestion.pk] = refusal
    return {**decisions, **write(approvable, actor)}


@dataclass(frozen=True)
class Decision:
    suggestion_id: int
    qty: int
    warnings: list[str]
    details: dict[str, Any]


@dataclass
class ApprovalContext:
    """What bears upon moves that are to become tasks, and what those do that came before.

    `capacities`: of all their ends. They are only looked at if `guarded`.
    """

    capacities: dict[int, StationCapacity]
    guarded: bool
    same: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    used_ids: set[int] = field(default_factory=set)

    def evaluate(self, suggestion: Suggestion, fit: bool) -> Decision:
        """Refusal: it cannot become a task."""
        number, qty = suggestion.pk, suggestion.qty
        if suggestion.expires_at is not None and suggestion.expires_at <= suggestion.now:
            raise Conflict(
                f"Suggestion {number} expired at {suggestion.expires_at:%Y-%m-%d %H:%M:%S %Z}."
            )
        if number in self.used_ids:
            raise Conflict(
                f"Suggestion {number} has the id of one that became a task: enter it anew."
            )
        shortfalls = self.shortfalls(suggestion)
        details: dict[str, Any] = {}
        if shortfalls and fit:
            qty = inventory.feasible_qty(qty, *self.ends(suggestion))
            details["proposed_qty"] = suggestion.qty
        if shortfalls and (qty == 0 or (not fit and settings.INVENTORY_GUARD == "refuse")):
            raise Conflict(" ".join(shortfalls))
        warnings = [*self.warnings(suggestion), *shortfalls]
        if warnings:
            details["warnings"] = warnings
        self.commit_bikes(suggestion, qty)
        return Decision(number, qty, warnings, details)

    def ends(self, move: Move) -> tuple[StationCapacity, StationCapacity]:
        return self.capacities[move.from_station_id], self.capacities[move.to_station_id]

    def shortfalls(self, move: Move) -> list[str]:
        return inventory.shortfalls(move.qty, *self.ends(move)) if self.guarded else []

    def warnings(self, move: Move) -> list[str]:
        source, target = self.ends(move)
        others = self.same.get((move.from_station_id, move.to_station_id), [])
        return [
            *(f"{who} already moves bikes from {source.name} to {target.name}." for who in others),
            *(inventory.caveats(source, target) if self.guarded else []),
        ]

    def note(self, source: int, target: int, who: str) -> None:
        others = self.same.setdefault((source, target), [])
        if len(others) < MOST_NAMED:
            others.append(who)

    def commit_bikes(self, suggestion: Suggestion, qty: int) -> None:
        source, target = suggestion.from_station_id, suggestion.to_station_id
        self.note(source, target, f"Suggestion {suggestion.pk}, approved with it,")
        self.capacities[source] = self.capacities[source].after_pickup(qty)
        self.capacities[target] = self.capacities[target].after_dropoff(qty)


def lock_and_read(moves: str, parameters: Sequence[Any]) -> list[Statement]:
    """Wait for whoever else makes tasks of the ends of these moves, then see what is there.

    `moves`: a query of them.
    """
    ends = ENDS.format(moves=moves)
    return [
        (TURNS.format(ends=ends), parameters),
        (capacities_statement(ends), parameters),
        (RELATED.format(moves=moves), parameters),
    ]


def context_from(seen: Sequence[list[Row]], fit: bool) -> ApprovalContext:
    """Of what `lock_and_read` saw. `fit` looks at the capacities also where nobody guards them."""
    _, capacities, related = seen
    context = ApprovalContext(capacities_from(capacities), guarded=fit or settings.INVENTORY_GUARD != "off")
    for task_id, status, source, target, suggestion_id in related:
        if status in OPEN_STATUSES:
            context.note(source, target, f"Task {task_id}, {status},")
        context.used_ids.add(suggestion_id)
    return context


def write(decisions: Sequence[Decision], actor: str) -> dict[int, Approval | Refusal]:
    if not decisions:
        return {}
    [rows] = run(
        (
            APPROVE.format(columns=", ".join(TASK_COLUMNS)),
            [
                [decision.suggestion_id for decision in decisions],
                [decision.qty for decision in decisions],
                [json.dumps(decision.details) for decision in decisions],
                actor,
            ],
        )
    )
    tasks = [task_from(row) for row in rows]
    warnings = {decision.suggestion_id: decision.warnings for decision in decisions}
    return {
        task.suggestion_id: Approval(task, warnings[task.suggestion_id])
        for task in tasks
        if task.suggestion_id is not None
    }


@transaction.atomic
def create_task(task: Task, *, actor: str) -> Approval:
    """Save a ready task that a dispatcher wrote by hand, with no suggestion behind it.

    The guard warns but does not refuse: who writes a task means it. Not durable: the console's
    form has a transaction.
    """
    seen = run(*lock_and_read(BY_HAND, [task.from_station_id, task.to_station_id]))
    context = context_from(seen, fit=False)
    warnings = [*context.warnings(task), *context.shortfalls(task)]
    task.save(force_insert=True)
    details = {"warnings": warnings} if warnings else {}
    record_task(EventKind.CREATED, task, actor, **details)
    return Approval(task, warnings)
