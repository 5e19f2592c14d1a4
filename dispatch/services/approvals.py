"""Turn moves into tasks: approved suggestions, and moves that a dispatcher wrote."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from ..exceptions import NotFound, Refusal
from ..models import OPEN_STATUSES, EventKind, Move, Task
from .approval_rules import ApprovalContext, Decision, evaluate, warnings_about
from .doubts import doubts_about
from .events import record_task
from .guard import (
    StaleLocks,
    capacities_from,
    capacities_statement,
    check_locks_cover,
    columns,
    limits,
    lock_statement,
    stations_of,
)
from .rows import TASK_COLUMNS, run, task_from
from .suggestions import decision_on, lock_suggestions

# Open tasks that make one of the moves, and all tasks of suggestions with these ids.
RELATED_TASKS = """
    SELECT id, status, from_station_id, to_station_id, suggestion_id
    FROM tasks JOIN unnest(%s::integer[], %s::integer[]) AS moves (from_station_id, to_station_id)
        USING (from_station_id, to_station_id)
    WHERE status IN ('ready', 'assigned')
    UNION
    SELECT id, status, from_station_id, to_station_id, suggestion_id
    FROM tasks WHERE suggestion_id = ANY(%s::bigint[])
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
        SELECT 'approved', task.id, task.suggestion_id, task.attempt, %s, task.source,
               details || jsonb_build_object(
                   'suggested_at', decided.created_at, 'expires_at', expires_at)
               || jsonb_strip_nulls(jsonb_build_object('area', nullif(task.area, '')))
        FROM approved AS task JOIN decided ON decided.id = task.suggestion_id
        ORDER BY task.id
    )
    SELECT {columns} FROM approved ORDER BY id
"""


@dataclass(frozen=True)
class Approval:
    """A new task, and warnings for its approver."""

    task: Task
    warnings: list[str]


def approve_suggestion(suggestion_id: int, *, actor: str, fit: bool = False) -> Approval:
    """Turn a suggestion into a ready task. NotFound names the task if it already became one.

    `fit`: only as many bikes as both stations have room for. Conflict: the suggestion has expired
    or reuses an id, or its bikes do not fit and INVENTORY_GUARD is "refuse" (with `fit`: none do).
    """
    result = approve_suggestions([suggestion_id], actor=actor, fit=fit)[suggestion_id]
    if isinstance(result, Refusal):
        raise result
    return result


def approve_suggestions(
    suggestion_ids: Iterable[int], *, actor: str, fit: bool = False
) -> dict[int, Approval | Refusal]:
    """Approve many, in id order, with as few statements as one. A refusal stops no other.

    All their suggestions and stations stay locked until it returns, so prefer several calls of some
    hundreds to one of many thousands.
    """
    ids = sorted(set(suggestion_ids))
    try:
        return approve_all(ids, actor, fit, exclusive=False)
    except StaleLocks:
        return approve_all(ids, actor, fit, exclusive=True)


@transaction.atomic(durable=True)
def approve_all(
    ids: Sequence[int], actor: str, fit: bool, *, exclusive: bool
) -> dict[int, Approval | Refusal]:
    suggestions = lock_suggestions(ids)
    missing = [each for each in ids if each not in suggestions]
    results: dict[int, Approval | Refusal] = {
        suggestion_id: NotFound(sentence)
        for suggestion_id, sentence in decision_on(missing).items()
    }
    if not suggestions:
        return results
    context = lock_and_read(suggestions.values(), ids, exclusive=exclusive)
    decisions = []
    for suggestion in suggestions.values():
        try:
            decisions.append(evaluate(context, suggestion, fit=fit))
        except Refusal as refusal:
            results[suggestion.pk] = refusal
    return {**results, **write(decisions, actor)}


def lock_and_read(
    moves: Iterable[Move], suggestion_ids: Sequence[int], *, exclusive: bool
) -> ApprovalContext:
    """Wait for other approvals of these moves and stations, then read their state."""
    pairs = sorted({(move.from_station_id, move.to_station_id) for move in moves})
    locks, capacities, related = run(
        lock_statement(pairs, exclusive=exclusive),
        capacities_statement(stations_of(pairs)),
        (RELATED_TASKS, [*columns(pairs), suggestion_ids]),
    )
    context = ApprovalContext(settings.INVENTORY_GUARD, limits(), capacities_from(capacities))
    check_locks_cover(locks, context.capacities)
    for task_id, status, source, target, suggestion_id in related:
        if status in OPEN_STATUSES:
            context.add_carrier(source, target, f"Task {task_id} ({status})")
        context.used_ids.add(suggestion_id)
    return context


def write(decisions: Collection[Decision], actor: str) -> dict[int, Approval | Refusal]:
    """Replace the suggestions by tasks, record the events, and commit."""
    if not decisions:
        return {}
    ids = [decision.suggestion_id for decision in decisions]
    quantities = [decision.qty for decision in decisions]
    details = [json.dumps(decision.details) for decision in decisions]
    statement = APPROVE.format(columns=", ".join(TASK_COLUMNS))
    [rows] = run((statement, [ids, quantities, details, actor]), last=True)
    tasks = {task.suggestion_id: task for task in map(task_from, rows)}
    return {
        each.suggestion_id: Approval(tasks[each.suggestion_id], each.warnings) for each in decisions
    }


@transaction.atomic
def create_task(task: Task, *, actor: str) -> Approval:
    """Save a ready task that a dispatcher wrote, without a suggestion.

    UnknownStations: no feed has listed one of its stations, and UNKNOWN_STATIONS is "refuse".
    Refusal: a move leads from one system to another.
    The guard warns but never refuses here: the dispatcher means it. Not durable, because the
    console's form has a transaction of its own. Its locks are exclusive from the beginning: it
    cannot start that transaction over.
    """
    doubts_about(task).refuse_unknown_stations()
    context = lock_and_read([task], [], exclusive=True)
    warnings = warnings_about(context, task)
    task.save(force_insert=True)
    details = {"warnings": warnings, "area": task.area}
    known = {name: value for name, value in details.items() if value}
    record_task(EventKind.CREATED, task, actor, **known)
    return Approval(task, warnings)
