"""The last 24 hours, hour by hour, in two queries."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from . import queries
from .intervals import HOURS
from .stockouts import Share, share_of
from .work import WorkDone, all_hours

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Hour:
    """One hour of the wall clock. The last of the 24 is not over yet."""

    start: datetime
    share: Share
    work: WorkDone


def last_24_hours(now: datetime, zone: tzinfo) -> list[Hour]:
    """Return 24 hours, oldest first, also on days when the clock changes."""
    starts = starts_of_hours(now, zone)
    work = all_hours(queries.completed_by_hour(starts[0], starts[-1] + HOUR))
    polls = queries.hourly_polls(starts[0], starts[-1] + HOUR)
    return [
        Hour(
            start.astimezone(zone),
            share_of([polls[number]] if number in polls else []),
            work[number],
        )
        for number, start in enumerate(starts)
    ]


def starts_of_hours(now: datetime, zone: tzinfo) -> list[datetime]:
    this_hour = now.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    return [this_hour - HOUR * (23 - number) for number in HOURS]
