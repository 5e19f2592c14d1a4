"""How a move becomes a task: of a suggestion, or written by hand."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import transaction

from ..exceptions import Conflict, NotFound, Refusal
from ..models import EventKind, Move, Suggestion, Task
from ..models.tasks import OPEN_STATUSES
from ..planning import inventory
from ..planning.inventory import Room
from .events import record_task
from .guard import rooms_from, rooms_statement
from .rows import TASK_COLUMNS, Row, Statement, run, task_from
from .suggestions import decision_on, lock_statement, locked_suggestions

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
    locked, *seen = run((lock_statement(), [ids]), *look(OF_SUGGESTIONS, [ids]))
    suggestions = locked_suggestions(locked)
    decisions: dict[int, Approval | Refusal] = {}
    if len(suggestions) < len(ids):
        gone = decision_on([each for each in ids if each not in suggestions])
        decisions = {suggestion_id: NotFound(sentence) for suggestion_id, sentence in gone.items()}
    if not suggestions:
        return decisions
    situation = situation_from(seen, fit)
    approvable = []
    for suggestion in suggestions.values():
        try:
            approvable.append(situation.judge(suggestion, fit))
        except Refusal as refusal:
            decisions[suggestion.pk] = refusal
    return {**decisions, **write(approvable, actor)}


@dataclass(frozen=True)
class Verdict:
    suggestion_id: int
    qty: int
    warnings: list[str]
    details: dict[str, Any]


@dataclass
class Situation:
    """What bears upon moves that are to become tasks, and what those do that came before.

    `rooms`: of all their ends. They are only looked at if `guarded`.
    """

    rooms: dict[int, Room]
    guarded: bool
    same: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    used_ids: set[int] = field(default_factory=set)

    def judge(self, suggestion: Suggestion, fit: bool) -> Verdict:
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
        objections = self.objections(suggestion)
        details: dict[str, Any] = {}
        if objections and fit:
            qty = inventory.fitting(qty, *self.ends(suggestion))
            details["proposed_qty"] = suggestion.qty
        if objections and (qty == 0 or (not fit and settings.INVENTORY_GUARD == "refuse")):
            raise Conflict(" ".join(objections))
        warnings = [*self.warnings(suggestion), *objections]
        if warnings:
            details["warnings"] = warnings
        self.promise(suggestion, qty)
        return Verdict(number, qty, warnings, details)

    def ends(self, move: Move) -> tuple[Room, Room]:
        return self.rooms[move.from_station_id], self.rooms[move.to_station_id]

    def objections(self, move: Move) -> list[str]:
        return inventory.objections(move.qty, *self.ends(move)) if self.guarded else []

    def warnings(self, move: Move) -> list[str]:
        source, target = self.ends(move)
        others = self.same.get((move.from_station_id, move.to_station_id), [])
        return [
            *(f"{who} already moves bikes from {source.name} to {target.name}." for who in others),
            *(inventory.doubts(source, target) if self.guarded else []),
        ]

    def note(self, source: int, target: int, who: str) -> None:
        others = self.same.setdefault((source, target), [])
        if len(others) < MOST_NAMED:
            others.append(who)

    def promise(self, suggestion: Suggestion, qty: int) -> None:
        source, target = suggestion.from_station_id, suggestion.to_station_id
        self.note(source, target, f"Suggestion {suggestion.pk}, approved with it,")
        self.rooms[source] = self.rooms[source].giving(qty)
        self.rooms[target] = self.rooms[target].taking(qty)


def look(moves: str, parameters: Sequence[Any]) -> list[Statement]:
    """Wait for whoever else makes tasks of the ends of these moves, then see what is there.

    `moves`: a query of them.
    """
    ends = ENDS.format(moves=moves)
    return [
        (TURNS.format(ends=ends), parameters),
        (rooms_statement(ends), parameters),
        (RELATED.format(moves=moves), parameters),
    ]


def situation_from(seen: Sequence[list[Row]], fit: bool) -> Situation:
    """Of what `look` saw. `fit` looks at the rooms also where nobody guards them."""
    _, rooms, related = seen
    situation = Situation(rooms_from(rooms), guarded=fit or settings.INVENTORY_GUARD != "off")
    for task_id, status, source, target, suggestion_id in related:
        if status in OPEN_STATUSES:
            situation.note(source, target, f"Task {task_id}, {status},")
        situation.used_ids.add(suggestion_id)
    return situation


def write(verdicts: Sequence[Verdict], actor: str) -> dict[int, Approval | Refusal]:
    if not verdicts:
        return {}
    [rows] = run(
        (
            APPROVE.format(columns=", ".join(TASK_COLUMNS)),
            [
                [verdict.suggestion_id for verdict in verdicts],
                [verdict.qty for verdict in verdicts],
                [json.dumps(verdict.details) for verdict in verdicts],
                actor,
            ],
        )
    )
    tasks = [task_from(row) for row in rows]
    warnings = {verdict.suggestion_id: verdict.warnings for verdict in verdicts}
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
    seen = run(*look(BY_HAND, [task.from_station_id, task.to_station_id]))
    situation = situation_from(seen, fit=False)
    warnings = [*situation.warnings(task), *situation.objections(task)]
    task.save(force_insert=True)
    details = {"warnings": warnings} if warnings else {}
    record_task(EventKind.CREATED, task, actor, **details)
    return Approval(task, warnings)
