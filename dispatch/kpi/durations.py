"""Durations as counts of whole seconds, so that those of many days add up. No database."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate, chain

Durations = Counter[int]


def count(lists: Iterable[Iterable[int]]) -> Durations:
    return Counter(chain.from_iterable(lists))


def minutes_of(durations: Durations) -> float:
    return sum(seconds * times for seconds, times in durations.items()) / 60


def median_minutes(durations: Durations) -> float | None:
    return percentile(durations, 50)


def percentile(durations: Durations, percent: int) -> float | None:
    """Return minutes, interpolated like PostgreSQL's `percentile_cont`. None: no durations."""
    if not durations:
        return None
    last = durations.total() - 1
    rank, rest = divmod(last * percent, 100)
    ordered = sorted(durations)
    reached = list(accumulate(durations[seconds] for seconds in ordered))
    lower, upper = (ordered[bisect_right(reached, place)] for place in (rank, min(rank + 1, last)))
    return (lower + (upper - lower) * rest / 100) / 60
