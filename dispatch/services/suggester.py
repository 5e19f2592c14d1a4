"""Moves that the service proposes itself, from how full the stations are."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from ..exceptions import Conflict
from ..models import EventKind, TaskEvent
from ..planning.planner import Pair, PlannedMove, Rules, plan_moves
from .guard import max_age
from .ingest import IngestResult, SuggestionRow, ingest_suggestions
from .station_snapshot import read_standing
from .stations.feeds import database_now

SOURCE = "suggester"
# A move that a dispatcher has rejected is not proposed again for a while.
REJECTION_HOLDS = timedelta(hours=2)


@dataclass
class Suggested:
    """`stations`: those with a fresh status, `unknown`: the others. `result` None: a dry run."""

    moves: list[PlannedMove] = field(default_factory=list)
    stations: int = 0
    unknown: int = 0
    result: IngestResult | None = None


def suggest_moves(
    *,
    actor: str,
    max_distance: float = 5,
    van_capacity: int = 20,
    min_qty: int = 3,
    dry_run: bool = False,
) -> Suggested:
    """Plan moves and put them in the place of the suggester's open suggestions, all or none.

    Nobody else's are touched: like open tasks, they count as promised. Where the suggester stops,
    its suggestions expire after STATUS_MAX_AGE_MINUTES. Conflict: no station has a fresh status.
    """
    suggested = Suggested()
    rules = Rules(
        low=settings.LOW_FILL_PERCENT,
        high=settings.HIGH_FILL_PERCENT,
        max_distance=max_distance,
        van_capacity=van_capacity,
        min_qty=min_qty,
    )
    if dry_run:
        plan(suggested, rules)
    else:
        suggested.result = ingest_suggestions(
            planned_rows(suggested, rules),
            source=SOURCE,
            actor=actor,
            replace=True,
            allow_empty=True,
        )
    return suggested


def planned_rows(suggested: Suggested, rules: Rules) -> Iterator[SuggestionRow]:
    """Planned when the first one is asked for: in the turn of this source's ingest, and when it
    knows what is open, so that no other plan and no rejection comes between look and entry."""
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
    standing = read_standing(SOURCE)
    if not standing.stands:
        raise Conflict(
            f"No station has a status of the last {settings.STATUS_MAX_AGE_MINUTES} minutes:"
            " nothing was planned or changed."
        )
    barred = standing.open | rejected_lately()
    suggested.stations, suggested.unknown = len(standing.stands), standing.unknown
    suggested.moves = plan_moves(standing.stands, rules, barred=barred, proposed=standing.own)


def rejected_lately() -> set[Pair]:
    rejections = TaskEvent.objects.filter(
        source=SOURCE, kind=EventKind.REJECTED, at__gte=Now() - REJECTION_HOLDS
    )
    return {
        (details["from_station_id"], details["to_station_id"])
        for details in rejections.values_list("details", flat=True)
    }
