"""Moves that the service proposes itself, from how full the stations are."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models.functions import Now

from ..exceptions import Conflict
from ..models import EventKind, TaskEvent
from ..planning import Pair, PlannedMove, Rules, plan_moves
from .feeds import database_now
from .guard import max_age
from .ingest import IngestResult, SuggestionRow, ingest_suggestions
from .stands import read_standing

SOURCE = "suggester"
# A move that a dispatcher has rejected is not proposed again for a while.
REJECTION_HOLDS = timedelta(hours=2)
# They hold the rejections of that while, also where the suggester runs each minute.
EVENTS_READ = 2000


@dataclass(frozen=True)
class Suggested:
    """`stations`: those with a fresh status, `unknown`: the others. `result` None: a dry run."""

    moves: list[PlannedMove]
    stations: int
    unknown: int
    result: IngestResult | None


def suggest_moves(
    *,
    actor: str,
    max_distance: float = 5,
    van_capacity: int = 20,
    min_qty: int = 3,
    dry_run: bool = False,
) -> Suggested:
    """Plan moves and put them in the place of the suggester's open suggestions, all or none.

    Nobody else's are touched: like open tasks, they count as promised. A suggestion expires when
    the status behind it is too old. Conflict: no station has a fresh status.
    """
    standing = read_standing(SOURCE)
    if not standing.stands:
        raise Conflict(
            f"No station has a status of the last {settings.STATUS_MAX_AGE_MINUTES} minutes:"
            " nothing was planned or changed."
        )
    rules = Rules(
        low=settings.LOW_FILL_PERCENT,
        high=settings.HIGH_FILL_PERCENT,
        max_distance=max_distance,
        van_capacity=van_capacity,
        min_qty=min_qty,
    )
    barred = standing.open | rejected_lately()
    moves = plan_moves(standing.stands, rules, barred=barred, proposed=standing.own)
    return Suggested(
        moves=moves,
        stations=len(standing.stands),
        unknown=standing.unknown,
        result=None if dry_run else replace_own(moves, database_now() + max_age(), actor),
    )


def rejected_lately() -> set[Pair]:
    newest = TaskEvent.objects.filter(source=SOURCE).order_by("-id")[:EVENTS_READ]
    rejections = TaskEvent.objects.filter(
        pk__in=newest.values("pk"), kind=EventKind.REJECTED, at__gte=Now() - REJECTION_HOLDS
    )
    return {
        (details["from_station_id"], details["to_station_id"])
        for details in rejections.values_list("details", flat=True)
    }


def replace_own(moves: list[PlannedMove], expires_at: datetime, actor: str) -> IngestResult:
    rows = (
        SuggestionRow(
            from_station_id=move.from_station_id,
            to_station_id=move.to_station_id,
            qty=move.qty,
            reason=move.reason,
            priority=move.priority,
            expires_at=expires_at,
        )
        for move in moves
    )
    return ingest_suggestions(rows, source=SOURCE, actor=actor, replace=True, allow_empty=True)
