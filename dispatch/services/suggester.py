"""Moves that the service itself suggests, from how full the stations are."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from ..exceptions import Conflict
from ..models import EventKind, TaskEvent
from ..planning.planner import Pair, PlannedMove, Rules, plan_moves
from .guard import max_age
from .ingest import IngestResult, ingest_suggestions
from .station_snapshot import read_snapshot
from .stations.feeds import database_now
from .suggestion_rows import SuggestionRow

SOURCE = "suggester"
# A rejected move is not suggested again for this long.
REJECTION_HOLDS = timedelta(hours=2)


@dataclass
class Suggested:
    """`stations`: the number with a recent status. `unknown`: the number without.

    `result`: None after a dry run.
    """

    moves: list[PlannedMove] = field(default_factory=list)
    stations: int = 0
    unknown: int = 0
    result: IngestResult | None = None


def suggest_moves(
    *,
    actor: str,
    max_distance: float | None = None,
    van_capacity: int = 20,
    min_qty: int | None = None,
    dry_run: bool = False,
) -> Suggested:
    """Plan moves and replace the suggester's open suggestions with them, all or none.

    Other sources' suggestions are left alone and, like open tasks, count as promised. The new ones
    expire after STATUS_MAX_AGE_MINUTES, in case the suggester stops running.
    `max_distance`: kilometres, by default MOVE_MAX_KM. `min_qty`: by default MOVE_MIN_BIKES.
    Conflict: no station has a recent status.
    """
    suggested = Suggested()
    rules = rules_for(max_distance, van_capacity, min_qty)
    if dry_run:
        plan(suggested, rules)
    else:
        rows = planned_rows(suggested, rules)
        suggested.result = ingest_suggestions(
            rows, source=SOURCE, actor=actor, replace=True, allow_empty=True
        )
    return suggested


def rules_for(max_distance: float | None, van_capacity: int, min_qty: int | None) -> Rules:
    return Rules(
        low=settings.LOW_FILL_PERCENT,
        high=settings.HIGH_FILL_PERCENT,
        max_distance=max_distance or settings.MOVE_MAX_KM,
        van_capacity=van_capacity,
        min_qty=min_qty or settings.MOVE_MIN_BIKES,
    )


def planned_rows(suggested: Suggested, rules: Rules) -> Iterator[SuggestionRow]:
    """Rows for the ingest, planned when it asks for the first one.

    By then it holds this source's lock and has noted the open suggestions, so no other plan and
    no rejection can come between the snapshot and the entry.
    """
    plan(suggested, rules)
    expires_at = database_now() + max_age()
    for move in suggested.moves:
        yield SuggestionRow(
            from_station_id=move.from_station_id,
            to_station_id=move.to_station_id,
            qty=move.qty,
            reason=move.reason,
            priority=move.priority,
            expires_at=expires_at,
        )


def plan(suggested: Suggested, rules: Rules) -> None:
    snapshot = read_snapshot(SOURCE)
    if not snapshot.stations:
        raise Conflict(
            f"No station has a status from the last {settings.STATUS_MAX_AGE_MINUTES} minutes."
            " Nothing was planned or changed."
        )
    excluded = snapshot.open | recently_rejected()
    suggested.stations, suggested.unknown = len(snapshot.stations), snapshot.unknown
    suggested.moves = plan_moves(snapshot.stations, rules, excluded=excluded, proposed=snapshot.own)


def recently_rejected() -> set[Pair]:
    rejections = TaskEvent.objects.filter(
        source=SOURCE, kind=EventKind.REJECTED, at__gte=Now() - REJECTION_HOLDS
    ).not_undone()
    return {
        (details["from_station_id"], details["to_station_id"])
        for details in rejections.values_list("details", flat=True)
    }
