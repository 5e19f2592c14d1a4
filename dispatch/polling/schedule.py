"""When a system is read next, and which of those that are due are read now. Pure."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from ..models import System

# Seconds. After failures the polls become rarer, down to one in this time.
LONGEST_DELAY = 600
# The longest pause, even if the server asks for a longer one.
LONGEST_PAUSE = 86_400
# A status that claims to hold for longer is still read so often: the guard needs fresh counts.
LONGEST_TTL = 900
# Stations change rarely. After a failure they are read again sooner.
STATIONS_EVERY, STATIONS_AGAIN = 3600, 600
# Requests to one host at a time: one operator may have hundreds of systems.
MOST_PER_HOST = 4


def after_success(every: float, ttl: timedelta) -> float:
    """Return the seconds until the next poll, as the feed's `ttl` allows.

    The random part keeps polls out of step.
    """
    seconds = max(every, min(ttl.total_seconds(), LONGEST_TTL))
    return seconds * random.uniform(1, 1.05)  # noqa: S311


def after_failure(every: float, failures: int, pause: float) -> float:
    """Return the seconds until the next poll. `pause`: seconds that the server asked for."""
    seconds = min(every * 2.0 ** min(failures, 10), max(every, LONGEST_DELAY))
    seconds = max(seconds, min(pause, LONGEST_PAUSE) / 0.9)
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311


def host_of(system: System) -> str:
    return urlsplit(system.address).hostname or ""


def pick(due: Iterable[System], in_flight: Iterable[System], free: int) -> Iterator[System]:
    """Yield at most `free` systems, those that are due longest first.

    A host gets few requests at once, so that a slow one cannot take all threads.
    """
    flying = list(in_flight)
    busy = Counter(map(host_of, flying))
    for system in due:
        if free == 0:
            return
        host = host_of(system)
        if busy[host] < MOST_PER_HOST and system not in flying:
            busy[host] += 1
            free -= 1
            yield system
