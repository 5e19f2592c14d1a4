"""Whole days in a time zone."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from ..exceptions import Refusal
from .intervals import Interval

DEFAULT_DAYS, MOST_DAYS = 7, 366
ONE_DAY = timedelta(days=1)
EARLIEST, LATEST = date(2001, 1, 1), date(8999, 1, 1)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
# The hours in which the MTC-Motivate agreement counts outages.
PEAK_HOURS = range(6, 22)


@dataclass(frozen=True)
class Period:
    """Whole days. The day `last` is included."""

    first: date
    last: date
    zone: tzinfo

    @property
    def start(self) -> datetime:
        return self.at(self.first)

    @property
    def end(self) -> datetime:
        return self.at(self.last + ONE_DAY)

    def at(self, day: date, hour: int = 0) -> datetime:
        """Return a moment in UTC: local times cannot be subtracted when the clock changes."""
        return datetime.combine(day, time(hour), self.zone).astimezone(UTC)

    def days(self) -> Iterator[date]:
        for number in range((self.last - self.first).days + 1):
            yield self.first + ONE_DAY * number

    def hour_of(self, moment: datetime) -> int:
        return moment.astimezone(self.zone).hour

    def peaks(self, polls: list[datetime]) -> list[Interval]:
        """Return each day's peak hours, from the first poll in them to the day's first poll after
        them, or else its last.

        The state in a poll holds until the next poll.
        """
        found = []
        for day in self.days():
            start, end = (
                bisect_left(polls, self.at(day, hour)) for hour in (PEAK_HOURS[0], PEAK_HOURS.stop)
            )
            last = bisect_left(polls, self.at(day + ONE_DAY)) - 1
            if start <= last:
                found.append((polls[start], polls[min(end, last)]))
        return found


def to_date(text: str) -> date:
    """Read a date like 2026-05-04. Refusal: the text is not one."""
    if DATE.fullmatch(text):
        with suppress(ValueError):
            return date.fromisoformat(text)
    raise Refusal(f"{text[:40]!r} is not a date like 2026-05-04.")


def period_of(first: date | None, last: date | None, today: date, zone: tzinfo) -> Period:
    """Return the period. By default it ends today and is a week long.

    Refusal: it ends before it begins, is longer than a year, or is too long ago.
    """
    last = last or today
    if not EARLIEST <= last <= LATEST:
        raise Refusal(f"The days must be between {EARLIEST} and {LATEST}.")
    first = first or last - timedelta(days=DEFAULT_DAYS - 1)
    if first > last:
        raise Refusal(f"The first day, {first}, is after the last day, {last}.")
    if (last - first).days >= MOST_DAYS:
        raise Refusal(f"{first} to {last} is more than {MOST_DAYS} days.")
    return Period(first, last, zone)
