"""The outcome of each source's suggestions. No database."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..models import EventKind, RejectionCode


@dataclass(frozen=True)
class Decision:
    """`code`: the kind of reason for a rejection. None: it is another decision."""

    source: str
    kind: str
    code: str | None
    count: int


@dataclass(frozen=True)
class Moves:
    """Moves completed for a source's suggestions, without those of no bikes.

    `judged`: those followed by polls without a gap for HIT_RATE_HOURS. `ran_out`: those of them
    whose target was empty again, or whose origin was full again, by the end of these hours.
    """

    source: str
    moved: int
    judged: int
    ran_out: int


@dataclass(frozen=True)
class SourceFigures:
    """Rates are percent; None: of none. `approval_rate`, `rejection_rate`: of the approved and
    rejected. `hit_rate`: of the judged moves, those that did not run out. `rejected_because`: the
    number of rejections for each code."""

    source: str
    suggested: int
    approved: int
    rejected: int
    expired: int
    approval_rate: float | None
    rejection_rate: float | None
    rejected_because: dict[str, int]
    moved: int
    judged: int
    ran_out: int
    hit_rate: float | None

    @property
    def reasons(self) -> str:
        """The rejections in words, the most frequent reason first."""
        ordered = sorted(self.rejected_because.items(), key=lambda item: -item[1])
        return ", ".join(f"{RejectionCode(code).label} {count:,}" for code, count in ordered)


@dataclass
class Tally:
    suggested: int = 0
    decisions: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    moved: int = 0
    judged: int = 0
    ran_out: int = 0


def by_source(
    suggested: Mapping[str, int], decisions: Iterable[Decision], moves: Iterable[Moves]
) -> list[SourceFigures]:
    """Return the sources in order of their names. `suggested`: the number of each."""
    found: dict[str, Tally] = defaultdict(Tally)
    for source, number in suggested.items():
        found[source].suggested += number
    for decision in decisions:
        found[decision.source].decisions[decision.kind] += decision.count
        if decision.code is not None:
            found[decision.source].codes[decision.code] += decision.count
    for of in moves:
        tally = found[of.source]
        tally.moved += of.moved
        tally.judged += of.judged
        tally.ran_out += of.ran_out
    return [figures_of(source, tally) for source, tally in sorted(found.items())]


def figures_of(source: str, tally: Tally) -> SourceFigures:
    approved, rejected = (tally.decisions[k] for k in (EventKind.APPROVED, EventKind.REJECTED))
    decided = approved + rejected
    return SourceFigures(
        source=source,
        suggested=tally.suggested,
        approved=approved,
        rejected=rejected,
        expired=tally.decisions[EventKind.EXPIRED],
        approval_rate=percent_of(approved, decided),
        rejection_rate=percent_of(rejected, decided),
        rejected_because=dict(tally.codes),
        moved=tally.moved,
        judged=tally.judged,
        ran_out=tally.ran_out,
        hit_rate=percent_of(tally.judged - tally.ran_out, tally.judged),
    )


def percent_of(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None
