"""Records what was read of a system, and sets its next reading."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import InterfaceError, OperationalError

from .. import services
from ..exceptions import Refusal
from ..models import FeedKind, StationFeed
from ..services import SystemLease
from .reading import Reading, Result
from .schedule import LONGEST_PAUSE, STATIONS_AGAIN, STATIONS_EVERY, after_failure, after_success

logger = logging.getLogger(__name__)

MOST_FAILURES = 1000


@dataclass
class Recorded:
    """By kind of feed. `results`: None: no newer feed. `errors`: sentences. `troubles`: the
    trouble of each feed before and now; empty: none."""

    lease: SystemLease
    results: dict[FeedKind, Result] = field(default_factory=dict)
    errors: dict[FeedKind, str] = field(default_factory=dict)
    troubles: dict[str, tuple[str, str]] = field(default_factory=dict)


def record(
    lease: SystemLease, readings: Sequence[Reading], every: float, ttl: timedelta
) -> Recorded:
    """Record all readings; a feed that is refused does not stop the others.

    `every`: least seconds between two polls. `ttl`: of the status.
    """
    recorded = Recorded(lease)
    name = lease.system.name
    for reading in readings:
        try:
            recorded.results[reading.kind] = enter(name, reading)
        except Refusal as refusal:
            recorded.errors[reading.kind] = str(refusal)
            services.note_trouble(name, reading.kind, reading.address, str(refusal))
    set_next(recorded, readings, every, ttl)
    for kind, now in StationFeed.objects.filter(system=name).values_list("kind", "trouble"):
        before = lease.feeds[kind].trouble if kind in lease.feeds else ""
        recorded.troubles[kind] = before, now
    return recorded


def enter(system: str, reading: Reading) -> Result:
    """Refusal: the feed was not read, or is not accepted."""
    if reading.error is not None:
        raise reading.error
    if reading.enter is None:
        services.note_unmodified(system, reading.kind)
        return None
    try:
        return reading.enter()
    except (Refusal, OperationalError, InterfaceError):
        raise
    except Exception as error:
        # One feed must not stop all others.
        logger.exception("Could not record a feed of %s", system)
        raise Refusal(f"It could not be recorded: {error!r}") from error


def set_next(recorded: Recorded, readings: Sequence[Reading], every: float, ttl: timedelta) -> None:
    lease, failures, pause = recorded.lease, 0, after_success(every, ttl)
    is_failure = FeedKind.STATUS not in recorded.results
    if is_failure:
        asked = max(each.error.retry_after if each.error else 0 for each in readings)
        failures = min(lease.system.failures + 1, MOST_FAILURES)
        pause = after_failure(every, failures, asked)
    stations_pause = None
    if FeedKind.INFORMATION in recorded.results:
        [own] = [each.ttl for each in readings if each.kind == FeedKind.INFORMATION]
        seconds = own.total_seconds() if own else 0
        stations_pause = max(STATIONS_EVERY, min(seconds, LONGEST_PAUSE))
    elif lease.with_stations:
        stations_pause = pause if is_failure else STATIONS_AGAIN
    services.end_lease(lease, pause=pause, failures=failures, stations_pause=stations_pause)
