"""Intervals of time. The start belongs to an interval, the end does not."""

from collections.abc import Iterable
from datetime import datetime

# The hours of a day.
HOURS = range(24)

Interval = tuple[datetime, datetime]


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the intervals in order. Those that overlap or touch are joined, empty ones dropped."""
    joined: list[Interval] = []
    for start, end in sorted(intervals):
        if start >= end:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def intersect(one: list[Interval], other: list[Interval]) -> list[Interval]:
    """Return the parts in both lists. Each list must be a `union`."""
    found = []
    i = j = 0
    while i < len(one) and j < len(other):
        start, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start < end:
            found.append((start, end))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return found


def minutes(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds() / 60
