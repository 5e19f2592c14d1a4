"""Figures of the work: waits, durations and bikes moved. No database."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from statistics import median, quantiles

from ..models import EventKind, RejectionCode
from .crew_work import CrewWork
from .intervals import HOURS
from .periods import Period


@dataclass(frozen=True)
class Decision:
    """`code`: the kind of reason for a rejection. None: it is another decision."""

    source: str
    kind: str
    code: str | None
    count: int


@dataclass(frozen=True)
class Wait:
    """Durations in minutes. None: there were no waits. `ninetieth`: the 90th percentile."""

    count: int
    median: float | None
    ninetieth: float | None


@dataclass(frozen=True)
class WorkDone:
    """The tasks completed in an hour or on a day, and the bikes moved."""

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
    by_hour: list[WorkDone]


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


def wait_of(lengths: Iterable[float]) -> Wait:
    values = list(lengths)
    if not values:
        return Wait(0, None, None)
    # Python 3.11 and 3.12 have no quantiles of a single value.
    several = values * 2 if len(values) == 1 else values
    *_, ninetieth = quantiles(several, n=10, method="inclusive")
    return Wait(len(values), median(values), ninetieth)


def work_figures(
    period: Period, works: Collection[CrewWork], by_hour: Mapping[int, WorkDone], now: datetime
) -> Work:
    """`by_hour`: the hours of the day with completed tasks."""
    bikes = sum(work.bikes for work in works)
    past = (min(now, period.end) - period.start) / timedelta(hours=1)
    return Work(
        tasks_done=sum(work.completed for work in works),
        bikes_moved=bikes,
        bikes_per_hour=bikes / past if past > 0 else None,
        approval_to_claim=wait_of(wait for work in works for wait in work.from_approval),
        claim_to_completion=wait_of(time for work in works for time in work.working),
        by_hour=all_hours(by_hour),
    )


def all_hours(known: Mapping[int, WorkDone]) -> list[WorkDone]:
    return [known.get(hour, WorkDone(0, 0)) for hour in HOURS]


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
