"""Figures of the work: waits, durations and bikes moved. No database."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from .crew_work import CrewWork
from .durations import Durations, count, median_minutes, percentile
from .intervals import HOURS
from .periods import Period


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


def wait_of(durations: Durations) -> Wait:
    return Wait(durations.total(), median_minutes(durations), percentile(durations, 90))


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
        approval_to_claim=wait_of(count(work.from_approval for work in works)),
        claim_to_completion=wait_of(count(work.working for work in works)),
        by_hour=all_hours(by_hour),
    )


def all_hours(known: Mapping[int, WorkDone]) -> list[WorkDone]:
    return [known.get(hour, WorkDone(0, 0)) for hour in HOURS]
