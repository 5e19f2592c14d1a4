"""Stretches of time: from a moment up to, and without, another."""

from collections.abc import Iterable
from datetime import datetime

# Of a day.
HOURS = range(24)

Stretch = tuple[datetime, datetime]


def merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """In order, with those joined that overlap or touch. Empty ones are left out."""
    joined: list[Stretch] = []
    for start, end in sorted(stretches):
        if start >= end:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def common(one: list[Stretch], other: list[Stretch]) -> list[Stretch]:
    """What is in both. Each must be `merged`."""
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
