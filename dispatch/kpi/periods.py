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
EARLIEST, LATEST = date(2001, 1, 1), date(8999, 1, 1)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
# When the MTC-Motivate agreement counts what stations lack.
PEAK_HOURS = range(6, 22)


@dataclass(frozen=True)
class Period:
    """`last` belongs to it."""

    first: date
    last: date
    zone: tzinfo

    @property
    def start(self) -> datetime:
        return self.at(self.first)

    @property
    def end(self) -> datetime:
        return self.at(self.last + timedelta(days=1))

    def at(self, day: date, hour: int = 0) -> datetime:
        """In UTC: local times of a changing clock cannot be subtracted."""
        return datetime.combine(day, time(hour), self.zone).astimezone(UTC)

    def days(self) -> Iterator[date]:
        for number in range((self.last - self.first).days + 1):
            yield self.first + timedelta(days=number)

    def hour_of(self, moment: datetime) -> int:
        return moment.astimezone(self.zone).hour

    def peaks(self, polls: list[datetime]) -> list[Interval]:
        """Each day's peak hours, by the polls in them: a poll's state stands until the next one.

        From the first poll in them to the first one behind them.
        """
        found = []
        for day in self.days():
            start, end = (
                bisect_left(polls, self.at(day, hour)) for hour in (PEAK_HOURS[0], PEAK_HOURS.stop)
            )
            if start < len(polls):
                found.append((polls[start], polls[min(end, len(polls) - 1)]))
        return found


def to_date(text: str) -> date:
    """Refusal: it is none of the kind 2026-05-04."""
    if DATE.fullmatch(text):
        with suppress(ValueError):
            return date.fromisoformat(text)
    raise Refusal(f"{text[:40]!r} is not a date like 2026-05-04.")


def period_of(
    first: date | None, last: date | None, today: date, zone: tzinfo, most: int = MOST_DAYS
) -> Period:
    """Without a last day it ends today, without a first one it is a week.

    Refusal: it ends before it begins, is longer than `most` days or too long ago.
    """
    last = last or today
    if not EARLIEST <= last <= LATEST:
        raise Refusal(f"The days must lie between {EARLIEST} and {LATEST}.")
    first = first or last - timedelta(days=DEFAULT_DAYS - 1)
    if first > last:
        raise Refusal(f"The first day, {first}, lies after the last one, {last}.")
    if (last - first).days >= most:
        more = f" The command `kpi` takes up to {MOST_DAYS}." * (most < MOST_DAYS)
        raise Refusal(f"{first} to {last} is more than {most} days.{more}")
    return Period(first, last, zone)
