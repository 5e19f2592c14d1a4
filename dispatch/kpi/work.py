"""Figures of the work: waits, durations and bikes moved. No database."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from statistics import median, quantiles

from ..models import EventKind, RejectionCode
from .intervals import HOURS, Interval, minutes
from .periods import Period


@dataclass(frozen=True)
class Completion:
    """`heard_at`: when the report arrived. `done_at`: when the task was done, as the crew says."""

    heard_at: datetime
    bikes: int
    claimed_at: datetime | None = None
    done_at: datetime | None = None


@dataclass(frozen=True)
class Decision:
    """`code`: the kind of reason for a rejection. None: it is another decision."""

    source: str
    kind: str
    code: str | None
    count: int


@dataclass(frozen=True)
class Wait:
    """In minutes. None: there were no waits. `ninetieth`: nine of ten took at most that long."""

    count: int
    median: float | None
    ninetieth: float | None


@dataclass(frozen=True)
class HourOfWork:
    """An hour of the day over all days of a period, or one of the last 24 hours."""

    tasks: int
    bikes: int


@dataclass(frozen=True)
class Work:
    """`bikes_per_hour`: over the past hours of the period."""

    tasks_done: int
    bikes_moved: int
    bikes_per_hour: float | None
    approval_to_claim: Wait
    claim_to_completion: Wait
    by_hour: list[HourOfWork]


@dataclass(frozen=True)
class SourceFigures:
    """The decisions on a source's suggestions. Rates are percent of those approved or rejected;
    None: there are none. `rejected_because`: the number of rejections for each code."""

    source: str
    approved: int
    rejected: int
    expired: int
    approval_rate: float | None
    rejection_rate: float | None
    rejected_because: dict[str, int]

    @property
    def reasons(self) -> str:
        """The rejections in words, the most frequent reason first."""
        ordered = sorted(self.rejected_because.items(), key=lambda item: -item[1])
        return ", ".join(f"{RejectionCode(code).label} {count:,}" for code, count in ordered)


def wait_of(intervals: Iterable[Interval]) -> Wait:
    lengths = [minutes(start, end) for start, end in intervals]
    if not lengths:
        return Wait(0, None, None)
    # Python 3.11 and 3.12 have no quantiles of a single value.
    values = lengths * 2 if len(lengths) == 1 else lengths
    *_, ninetieth = quantiles(values, n=10, method="inclusive")
    return Wait(len(lengths), median(lengths), ninetieth)


def work_figures(
    period: Period,
    completions: Sequence[Completion],
    first_claims: Iterable[Interval],
    now: datetime,
) -> Work:
    """Return the figures of events in the period. `first_claims`: from approval to first claim."""
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
    """Return 24 hours. `hour_of` gives the number of the hour for `heard_at`."""
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
        codes: Counter[str] = Counter()
        for decision in group:
            counts[decision.kind] += decision.count
            if decision.code is not None:
                codes[decision.code] += decision.count
        approved, rejected = counts[EventKind.APPROVED], counts[EventKind.REJECTED]
        decided = approved + rejected
        yield SourceFigures(
            source,
            approved,
            rejected,
            counts[EventKind.EXPIRED],
            100 * approved / decided if decided else None,
            100 * rejected / decided if decided else None,
            dict(codes),
        )
