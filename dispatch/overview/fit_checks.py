"""The inventory guard's verdict on suggestions before anyone approves them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.conf import settings

from ..models import Move
from ..planning.inventory import feasible_qty, shortfalls
from ..services.guard import capacities_of


@dataclass(frozen=True)
class FitCheck:
    """`shortfalls` are sentences; `feasible_qty` is how many of the bikes fit.

    Where a station's status is unknown, there is no shortfall.
    """

    shortfalls: list[str] = field(default_factory=list)
    feasible_qty: int = 0

    @property
    def can_reduce(self) -> bool:
        return bool(self.shortfalls) and self.feasible_qty > 0


def check_fit(moves: Sequence[Move]) -> dict[int, FitCheck]:
    """The check of each move by its id; empty checks if the guard is off."""
    if not moves or settings.INVENTORY_GUARD == "off":
        return {move.pk: FitCheck() for move in moves}
    ends = {end for move in moves for end in (move.from_station_id, move.to_station_id)}
    capacities = capacities_of(ends)
    checks = {}
    for move in moves:
        stations = capacities[move.from_station_id], capacities[move.to_station_id]
        checks[move.pk] = FitCheck(
            shortfalls(move.qty, *stations), feasible_qty(move.qty, *stations)
        )
    return checks
