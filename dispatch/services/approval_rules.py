"""Decides whether a suggestion becomes a task. Pure: no database, no settings, no clock."""

from dataclasses import dataclass, field
from typing import Any

from ..exceptions import Conflict
from ..models import Move, Suggestion
from ..planning.inventory import StationCapacity
from ..planning.verdicts import Limits, Verdict, judge

# A warning names at most this many tasks that already make the same move.
MOST_NAMED = 3


@dataclass(frozen=True)
class Decision:
    """An approval of `qty` bikes. `warnings`: for its approver. `details`: for its event."""

    suggestion_id: int
    qty: int
    warnings: list[str]
    details: dict[str, Any]


@dataclass
class ApprovalContext:
    """The state that new tasks are checked against, with the approvals earlier in the same batch.

    `guard`: "off", "warn" or "refuse". `limits`: moves beyond them get a warning.
    `capacities`: of every station of the moves.
    `carriers`: for a pair of stations (from, to), the tasks and suggestions that already make the
    move.
    `used_ids`: suggestion ids that tasks refer to. `approved`: earlier ones of the batch.
    """

    guard: str
    limits: Limits
    capacities: dict[int, StationCapacity]
    carriers: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    used_ids: set[int] = field(default_factory=set)
    approved: list[Suggestion] = field(default_factory=list)

    def add_carrier(self, source: int, target: int, name: str) -> None:
        self.carriers.setdefault((source, target), []).append(name)

    def judge(self, move: Move) -> Verdict:
        verdict = judge(move.qty, *ends(self, move), self.limits)
        if verdict.shortfalls and (rivals := self.rivals(move)):
            one = len(rivals) == 1
            names = f"Suggestion{'' if one else 's'} {', '.join(rivals)}"
            verdict.shortfalls.append(f"{names} come{'s' if one else ''} first.")
        return verdict

    def rivals(self, move: Move) -> list[str]:
        """Earlier approvals of the batch that compete for the same bikes or the same docks."""
        return [
            str(each.pk)
            for each in self.approved
            if each.from_station_id == move.from_station_id
            or each.to_station_id == move.to_station_id
        ]

    def commit_bikes(self, suggestion: Suggestion, qty: int) -> None:
        """Make an approval count for the suggestions that follow it."""
        self.approved.append(suggestion)
        source, target = suggestion.from_station_id, suggestion.to_station_id
        self.capacities[source] = self.capacities[source].after_pickup(qty)
        self.capacities[target] = self.capacities[target].after_dropoff(qty)
        self.add_carrier(source, target, f"Suggestion {suggestion.pk} (just approved)")


def evaluate(context: ApprovalContext, suggestion: Suggestion, *, fit: bool) -> Decision:
    """Decide on a suggestion that is locked. Conflict: it cannot become a task.

    `fit`: approve only as many bikes as both stations have room for, even if the guard is off.
    """
    check_can_be_approved(context, suggestion)
    verdict = context.judge(suggestion)
    if refusal := verdict.refusal(fit=fit, strict=context.guard == "refuse"):
        raise Conflict(refusal)
    qty = verdict.feasible_qty if fit else suggestion.qty
    details: dict[str, Any] = {} if qty == suggestion.qty else {"proposed_qty": suggestion.qty}
    warnings = same_moves(context, suggestion)
    if fit or context.guard != "off":
        warnings += verdict.warnings
    if warnings:
        details["warnings"] = warnings
    context.commit_bikes(suggestion, qty)
    return Decision(suggestion.pk, qty, warnings, details)


def warnings_about(context: ApprovalContext, move: Move) -> list[str]:
    """Warnings for the author of a new task."""
    guarded = context.guard != "off"
    return [*same_moves(context, move), *(context.judge(move).warnings if guarded else [])]


def same_moves(context: ApprovalContext, move: Move) -> list[str]:
    source, target = ends(context, move)
    names = context.carriers.get((move.from_station_id, move.to_station_id), [])
    return [
        f"{name} already moves bikes from {source.name_in_text} to {target.name_in_text}."
        for name in names[:MOST_NAMED]
    ]


def check_can_be_approved(context: ApprovalContext, suggestion: Suggestion) -> None:
    if suggestion.expires_at is not None and suggestion.expires_at <= suggestion.now:
        raise Conflict(
            f"Suggestion {suggestion.pk} expired at {suggestion.expires_at:%Y-%m-%d %H:%M:%S %Z}."
        )
    if suggestion.pk in context.used_ids:
        raise Conflict(
            f"Suggestion {suggestion.pk} reuses the id of one that became a task."
            " Insert it again under a new id."
        )


def ends(context: ApprovalContext, move: Move) -> tuple[StationCapacity, StationCapacity]:
    return context.capacities[move.from_station_id], context.capacities[move.to_station_id]
