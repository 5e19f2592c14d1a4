"""Proposals over HTTP: a few suggestions at once, with an outcome for each."""

from collections import defaultdict
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import reduce
from operator import or_

from django.db import transaction
from django.db.models import Q

from ..models import EventKind, Suggestion, TaskEvent
from .doubts import Doubts, doubts_from, doubts_statement
from .ingest import check_source
from .locks import lock_source
from .rows import run
from .suggestion_rows import SuggestionRow

REFRESHED_FIELDS = ["qty", "reason", "priority", "expires_at"]
# For a thousand rows, Django's bulk_update takes a second longer.
REFRESH = """
    UPDATE suggestions SET qty = fresh.qty, reason = fresh.reason, priority = fresh.priority,
                           expires_at = fresh.expires_at
    FROM unnest(%s::bigint[], %s::integer[], %s::text[], %s::integer[], %s::timestamptz[])
         AS fresh (id, qty, reason, priority, expires_at)
    WHERE suggestions.id = fresh.id
"""
FIND_UNDER_WAY = """
    SELECT from_station_id, to_station_id
    FROM tasks JOIN unnest(%s::integer[], %s::integer[]) AS named (from_station_id, to_station_id)
        USING (from_station_id, to_station_id)
    WHERE status IN ('ready', 'assigned')
"""
# The moves that will be entered.
NOT_UNDER_WAY = """
    SELECT * FROM unnest(%s::integer[], %s::integer[], %s::timestamptz[])
        AS named (from_station_id, to_station_id, expires_at)
    WHERE NOT EXISTS (
        SELECT FROM tasks
        WHERE status IN ('ready', 'assigned') AND tasks.from_station_id = named.from_station_id
          AND tasks.to_station_id = named.to_station_id
    )
"""
Pair = tuple[int, int]


class Outcome(StrEnum):
    CREATED = "created"
    REFRESHED = "refreshed"
    UNDER_WAY = "under_way"


@dataclass(frozen=True)
class Proposal:
    """`suggestion`: None if a task already makes this move."""

    outcome: Outcome
    suggestion: Suggestion | None


@dataclass(frozen=True)
class ProposalResult:
    """`proposals`: one for each row, in order."""

    proposals: list[Proposal]
    doubts: Doubts


@transaction.atomic(durable=True)
def propose_suggestions(rows: list[SuggestionRow], *, source: str, actor: str) -> ProposalResult:
    """Insert suggestions, all or none, and return the outcome of each row.

    As in `ingest_suggestions`, a move that the source already has open is refreshed, the last row
    of a repeated move wins, and moves that an open task already makes are skipped.
    UnknownStations: no feed has listed one of the stations, and UNKNOWN_STATIONS is "refuse".
    Refusal: a move leads from one system to another.
    """
    check_source(source, replace=False)
    lock_source(source)
    known = open_suggestions(rows, source)
    by_hand = prioritized_by_hand(known)
    # After the locks: a suggestion may have become a task during the wait.
    under_way, doubts = find_obstacles(rows)
    doubts.refuse_unknown_stations()
    proposals = [propose(row, source, known, under_way, by_hand) for row in rows]
    new = [each for each in known.values() if each.pk is None]
    kept = [each for each in known.values() if each.pk is not None]
    Suggestion.objects.bulk_create(new)
    if kept:
        refresh(kept)
    result = ProposalResult(proposals, doubts)
    record_proposals(result, source, actor)
    return result


def record_proposals(result: ProposalResult, source: str, actor: str) -> None:
    outcomes = [proposal.outcome for proposal in result.proposals]
    TaskEvent.objects.create(
        kind=EventKind.INGESTED,
        actor=actor,
        source=source,
        details={
            "rows": len(outcomes),
            **{outcome.value: outcomes.count(outcome) for outcome in Outcome},
            **asdict(result.doubts),
        },
    )


def refresh(suggestions: list[Suggestion]) -> None:
    names = ("id", *REFRESHED_FIELDS)
    run((REFRESH, [[getattr(each, name) for each in suggestions] for name in names]))


def pair(row: SuggestionRow | Suggestion) -> Pair:
    return row.from_station_id, row.to_station_id


def named_by(rows: list[SuggestionRow]) -> Q:
    """Matches exactly the rows' moves, not every combination of their stations."""
    targets: dict[int, set[int]] = defaultdict(set)
    for row in rows:
        targets[row.from_station_id].add(row.to_station_id)
    moves = (
        Q(from_station_id=station, to_station_id__in=stations)
        for station, stations in targets.items()
    )
    return reduce(or_, moves, Q())


def find_obstacles(rows: list[SuggestionRow]) -> tuple[set[Pair], Doubts]:
    """Return the moves that open tasks already make, and the doubts about the others."""
    last = {pair(row): row.expires_at for row in rows}
    starts, ends = map(list, zip(*last, strict=True))
    under_way, doubts = run(
        (FIND_UNDER_WAY, [starts, ends]),
        (doubts_statement(NOT_UNDER_WAY), [starts, ends, list(last.values())]),
    )
    return set(under_way), doubts_from(doubts)


def open_suggestions(rows: list[SuggestionRow], source: str) -> dict[Pair, Suggestion]:
    """Lock the source's suggestions of these moves, in id order. Of duplicates, keep the oldest."""
    suggestions = Suggestion.objects.select_for_update().filter(named_by(rows), source=source)
    return {pair(each): each for each in reversed(suggestions.order_by("id"))}


def prioritized_by_hand(known: dict[Pair, Suggestion]) -> set[Pair]:
    """The moves that keep the priority set by a dispatcher."""
    ids = {suggestion.pk for suggestion in known.values()}
    events = TaskEvent.objects.filter(kind=EventKind.PRIORITIZED, suggestion_id__in=ids)
    chosen = set(events.values_list("suggestion_id", flat=True))
    return {move for move, suggestion in known.items() if suggestion.pk in chosen}


def propose(
    row: SuggestionRow,
    source: str,
    known: dict[Pair, Suggestion],
    under_way: set[Pair],
    by_hand: set[Pair],
) -> Proposal:
    if pair(row) in under_way:
        return Proposal(Outcome.UNDER_WAY, None)
    suggestion = known.get(pair(row))
    outcome = Outcome.REFRESHED
    if suggestion is None:
        outcome = Outcome.CREATED
        suggestion = known[pair(row)] = Suggestion(
            from_station_id=row.from_station_id, to_station_id=row.to_station_id, source=source
        )
    for field in REFRESHED_FIELDS:
        if field != "priority" or pair(row) not in by_hand:
            setattr(suggestion, field, getattr(row, field))
    return Proposal(outcome, suggestion)
