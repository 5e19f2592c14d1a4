"""The inventory guard's verdict on moves before anyone approves them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.conf import settings

from ..models import Move, Suggestion, Task
from ..planning.inventory import StationCapacity, effect
from ..planning.verdicts import judge
from ..services.approval_rules import MOST_NAMED, ApprovalContext, warnings_about
from ..services.guard import capacities_of, limits


@dataclass(frozen=True)
class FitCheck:
    """`shortfalls`: the guard's sentences. `feasible_qty`: the number of bikes that fit.

    `refused`: the reason why the move cannot be approved as it is; empty: it can. `effect`: the
    bikes at both ends before and after the move, such as "18 → 7, 0 → 11"; empty if unknown.
    """

    shortfalls: list[str] = field(default_factory=list)
    qty: int = 0
    feasible_qty: int = 0
    refused: str = ""
    effect: str = ""

    @property
    def can_reduce(self) -> bool:
        return 0 < self.feasible_qty < self.qty

    @property
    def needs_confirmation(self) -> bool:
        """No bike fits, but the guard only warns."""
        return self.qty > 0 and not self.feasible_qty and not self.refused


def check_fit(moves: Sequence[Move]) -> dict[int, FitCheck]:
    """The check of each move by its id; empty checks if the guard is off."""
    if not moves or settings.INVENTORY_GUARD == "off":
        return {move.pk: FitCheck() for move in moves}
    capacities = read_capacities(moves)
    return {
        move.pk: check(move.qty, capacities[move.from_station_id], capacities[move.to_station_id])
        for move in moves
    }


def warn_together(moves: Sequence[Suggestion], *, fit: bool = False) -> dict[int, list[str]]:
    """The guard's sentences on each suggestion if all are approved in this order.

    Each approval counts for the suggestions after it. `fit`: approve only as many bikes as fit.
    """
    guard = settings.INVENTORY_GUARD
    if guard == "off":
        return {}
    context = ApprovalContext(guard, limits(), read_capacities(moves))
    warnings = {}
    for move in moves:
        verdict = context.judge(move)
        warnings[move.pk] = verdict.warnings
        if not verdict.refusal(fit=fit, strict=guard == "refuse"):
            context.commit_bikes(move, verdict.feasible_qty if fit else move.qty)
    return warnings


def moves_under_way(move: Move) -> list[str]:
    """A sentence for each open task that already makes the move, as its approval would warn."""
    context = ApprovalContext("off", limits(), read_capacities([move]))
    source, target = move.from_station_id, move.to_station_id
    tasks = Task.objects.open().filter(from_station_id=source, to_station_id=target)
    for task in tasks.order_by("id")[:MOST_NAMED]:
        context.add_carrier(source, target, f"Task {task.pk} ({task.status})")
    return warnings_about(context, move)


def read_capacities(moves: Sequence[Move]) -> dict[int, StationCapacity]:
    return capacities_of(
        {end for move in moves for end in (move.from_station_id, move.to_station_id)}
    )


def check(qty: int, source: StationCapacity, target: StationCapacity) -> FitCheck:
    verdict = judge(qty, source, target, limits())
    return FitCheck(
        verdict.warnings,
        qty,
        verdict.feasible_qty,
        verdict.refusal(fit=False, strict=settings.INVENTORY_GUARD == "refuse"),
        effect(qty, source, target),
    )
