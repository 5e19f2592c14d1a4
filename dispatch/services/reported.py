"""The counts and times that crews report, and how far they are believed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from ..models import Task

# A phone's clock may drift or be set by this much between the work and its report.
CLOCK_MARGIN = timedelta(minutes=2)
LONGEST_AGE = timedelta(days=365)


@dataclass(frozen=True)
class Report:
    """A worker's report of a completed task.

    `worker_id` None: the holder reports. `moved_qty` None: all bikes were moved. `completed_at`:
    the time of the work by the crew's clock, if it is reported later. None: now. `age`: instead of
    it, the seconds since then. `details`: more for the event.
    """

    worker_id: str | None = None
    moved_qty: int | None = None
    note: str = ""
    completed_at: datetime | None = None
    age: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def most_bikes(task: Task) -> int:
    """The bikes of the task, or a van's load if that is more."""
    return max(task.qty, settings.VAN_CAPACITY)


@dataclass(frozen=True)
class ReportedCount:
    """`qty`: the bikes to count. None: all. `said`: the count as reported, if it differs."""

    qty: int | None = None
    said: int | None = None
    warnings: Sequence[str] = ()


def believe_count(said: int | None, task: Task) -> ReportedCount:
    """Cap a count at a van's load.

    A mistyped count must not empty or fill a station for the guard, nor keep a crew from finishing
    its task.
    """
    if said is None or said <= task.qty:
        return ReportedCount(said)
    odd = f"Task {task.pk} was about {task.qty} bikes, and {said} were reported"
    most = most_bikes(task)
    if said <= most:
        return ReportedCount(said, warnings=[f"{odd}."])
    return ReportedCount(most, said, [f"{odd}: {most} were recorded, the most that a van takes."])


@dataclass(frozen=True)
class ReportedTime:
    """`at`: the time to record. None: only the server's. `said`: the time as reported, if it
    differs. `corrected`: an age was off by more than a phone's clock should be."""

    at: datetime | None = None
    said: str | None = None
    warnings: Sequence[str] = ()
    corrected: bool = False


def time_of(report: Report, claimed_at: datetime | None, now: datetime) -> ReportedTime:
    if report.age is not None:
        return believe_age(report.age, claimed_at, now)
    return believe_time(report.completed_at, claimed_at, now)


def believe_time(said: datetime | None, claimed_at: datetime | None, now: datetime) -> ReportedTime:
    """Correct or discard a wrong time: it must not keep a crew from finishing its task.

    A time up to COMPLETION_GRACE_MINUTES before the claim or after now becomes that of the claim or
    now. A time further off, or without a zone, is discarded. `claimed_at` None: unknown.
    """
    if said is None:
        return ReportedTime()
    if said.tzinfo is None:
        why = "has no time zone"
    else:
        nearest = min(max(said, claimed_at or said), now)
        if said == nearest:
            # PostgreSQL refuses offsets of 16 hours and more.
            return ReportedTime(at=said.astimezone(UTC))
        if abs(said - nearest) <= timedelta(minutes=settings.COMPLETION_GRACE_MINUTES):
            return ReportedTime(at=nearest, said=said.isoformat())
        why = "is in the future" if said > now else "is before the claim"
    warning = f"completed_at {said.isoformat()} {why}: the server's time was recorded."
    return ReportedTime(said=said.isoformat(), warnings=[warning])


def believe_age(age: float, claimed_at: datetime | None, now: datetime) -> ReportedTime:
    """The time `age` seconds ago, but not before the claim. Impossible ages are not believed."""
    if not 0 <= age <= LONGEST_AGE.total_seconds():
        return ReportedTime(corrected=not -CLOCK_MARGIN.total_seconds() <= age < 0)
    said = now - timedelta(seconds=age)
    at = min(max(said, claimed_at or said), now)
    return ReportedTime(at=at, corrected=at - said > CLOCK_MARGIN)


def details_of(report: Report, moved: ReportedCount, done: ReportedTime) -> dict[str, Any]:
    details = {
        **report.details,
        "moved_qty": moved.qty,
        "crew_count": moved.said,
        "note": report.note or None,
        "completed_at": done.at and done.at.isoformat(),
        "crew_clock": done.said,
        "time_corrected": done.corrected or None,
    }
    return {name: value for name, value in details.items() if value is not None}
