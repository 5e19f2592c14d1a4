"""How quickly moves are decided, claimed and done, and how many bikes they move. No database."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from ..models import EventKind
from .intervals import HOURS, Interval, minutes
from .periods import Period


@dataclass(frozen=True)
class Completion:
    """`heard_at`: when the service was told. `done_at`: when the worker says it was."""

    heard_at: datetime
    bikes: int
    claimed_at: datetime | None = None
    done_at: datetime | None = None


@dataclass(frozen=True)
class Decision:
    source: str
    kind: str
    count: int


@dataclass(frozen=True)
class Wait:
    """In minutes; None of nothing. `ninetieth`: nine of ten took at most so long."""

    count: int
    median: float | None
    ninetieth: float | None


@dataclass(frozen=True)
class HourOfWork:
    """Of the day, over all days of a period; or one of the last 24."""

    tasks: int
    bikes: int


@dataclass(frozen=True)
class Work:
    """`bikes_per_hour`: over all hours of the period that are past."""

    tasks_done: int
    bikes_moved: int
    bikes_per_hour: float | None
    approval_to_claim: Wait
    claim_to_completion: Wait
    by_hour: list[HourOfWork]


@dataclass(frozen=True)
class SourceFigures:
    """What became of a source's suggestions. The rates are percent of those that were approved or
    rejected; None: none was."""

    source: str
    approved: int
    rejected: int
    expired: int
    approval_rate: float | None
    rejection_rate: float | None


def percentile(values: Collection[float], share: float) -> float | None:
    """Between two values in proportion, as PostgreSQL's percentile_cont does. None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def wait_of(intervals: Iterable[Interval]) -> Wait:
    lengths = [minutes(start, end) for start, end in intervals]
    return Wait(len(lengths), percentile(lengths, 0.5), percentile(lengths, 0.9))


def work(
    period: Period,
    completions: Sequence[Completion],
    first_claims: Iterable[Interval],
    now: datetime,
) -> Work:
    """All of them in the period. `first_claims`: from the approval to the first claim."""
    bikes = sum(done.bikes for done in completions)
    past = (min(now, period.end) - period.start) / timedelta(hours=1)
    return Work(
        tasks_done=len(completions),
        bikes_moved=bikes,
        bikes_per_hour=bikes / past if past > 0 else None,
        approval_to_claim=wait_of(first_claims),
        claim_to_completion=wait_of(
            (done.claimed_at, done.done_at or done.heard_at)
            for done in completions
            if done.claimed_at is not None
        ),
        by_hour=hour_by_hour(completions, period.hour_of),
    )


def hour_by_hour(
    completions: Iterable[Completion], hour_of: Callable[[datetime], int]
) -> list[HourOfWork]:
    """24 of them, by the numbers that `hour_of` gives to when it was heard."""
    tasks: Counter[int] = Counter()
    bikes: Counter[int] = Counter()
    for done in completions:
        hour = hour_of(done.heard_at)
        tasks[hour] += 1
        bikes[hour] += done.bikes
    return [HourOfWork(tasks[hour], bikes[hour]) for hour in HOURS]


def by_source(decisions: Iterable[Decision]) -> Iterator[SourceFigures]:
    ordered = sorted(decisions, key=lambda decision: decision.source)
    for source, group in groupby(ordered, key=lambda decision: decision.source):
        counts: Counter[str] = Counter()
        for decision in group:
            counts[decision.kind] += decision.count
        approved, rejected = counts[EventKind.APPROVED], counts[EventKind.REJECTED]
        decided = approved + rejected
        yield SourceFigures(
            source,
            approved,
            rejected,
            counts[EventKind.EXPIRED],
            100 * approved / decided if decided else None,
            100 * rejected / decided if decided else None,
        )
