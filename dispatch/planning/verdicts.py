"""The guard's verdict on a move: warnings for its approver, and reasons to refuse it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..texts import isolated
from .geo import in_words
from .inventory import StationCapacity, caveats, feasible_qty, shortfalls


@dataclass(frozen=True)
class Limits:
    """The limits of a move without warnings. `van_capacity` 0: any number of bikes."""

    max_km: float
    van_capacity: int
    min_qty: int


@dataclass(frozen=True)
class Verdict:
    """Sentences for the approver. None of them: the move has no known problem.

    `crossing`: the move leads to another system; empty: it does not.
    `feasible_qty`: the bikes that both stations have room for. `shortfalls`: why it is not all.
    `strangers`: about stations that are not in the feed. `concerns`: everything else.
    """

    feasible_qty: int
    crossing: str = ""
    concerns: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    shortfalls: list[str] = field(default_factory=list)

    @property
    def warnings(self) -> list[str]:
        crossing = [self.crossing] if self.crossing else []
        return [*crossing, *self.concerns, *self.strangers, *self.shortfalls]

    def refusal(self, *, fit: bool, strict: bool) -> str:
        """Return the reasons why the move cannot be approved. Empty: it can.

        `fit`: only as many bikes as fit. `strict`: INVENTORY_GUARD is "refuse".
        """
        if self.crossing:
            return self.crossing
        sentences = self.strangers if strict else []
        if (fit and not self.feasible_qty) or (strict and not fit):
            sentences = [*sentences, *self.shortfalls]
        return " ".join(sentences)


def judge(qty: int, source: StationCapacity, target: StationCapacity, limits: Limits) -> Verdict:
    feasible = feasible_qty(qty, source, target)
    missing = shortfalls(qty, source, target)
    if 0 < feasible < min(qty, limits.min_qty):
        bikes = "1 bike is" if feasible == 1 else f"{feasible} bikes are"
        missing.append(f"{bikes} less than the {limits.min_qty} that are worth a trip.")
    return Verdict(
        feasible,
        about_crossing(source, target),
        concerns=[*about_route(qty, source, target, limits), *caveats(source, target)],
        strangers=[sentence for each in (source, target) if (sentence := about_stranger(each))],
        shortfalls=missing,
    )


def about_crossing(source: StationCapacity, target: StationCapacity) -> str:
    if not source.system or not target.system or source.system == target.system:
        return ""
    return (
        f"{source.name_in_text} belongs to {isolated(source.system)}, and {target.name_in_text} to"
        f" {isolated(target.system)}. A move stays within one system."
    )


def about_route(
    qty: int, source: StationCapacity, target: StationCapacity, limits: Limits
) -> Iterator[str]:
    km = source.kilometres_to(target)
    if source.area and target.area and source.area != target.area:
        route = f"From {isolated(source.area)} to {isolated(target.area)}"
        yield f"{route}{'' if km is None else f', {in_words(km)}'}: different areas."
    elif km is not None and km > limits.max_km:
        most = f"{limits.max_km:g} km"
        yield f"The stations are {in_words(km)} apart; moves should stay within {most}."
    if 0 < limits.van_capacity < qty and (source.is_listed or target.is_listed):
        yield f"{qty} bikes are more than the {limits.van_capacity} that a van takes."


def about_stranger(station: StationCapacity) -> str:
    if station.in_feed:
        return ""
    if station.is_listed:
        return f"{station.name_in_text} is no longer in the feed."
    return f"{station.name_in_text} is not in the feed. Check the number."
