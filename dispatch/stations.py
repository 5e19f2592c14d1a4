"""Pure rules about a station's state, its outages, and the polls that show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.template.defaultfilters import pluralize

from .models import OutageKind

States = Mapping[int, OutageKind | None]

# The longest time between two polls of one interval. A longer gap ends all outages, because their
# course is unknown. Feeds polled every ten minutes now and then pause for 45 minutes.
LONGEST_GAP = timedelta(minutes=60)
LABELS = {
    "fine": "OK",
    "closed": "out of service",
    "gone": "no longer in the feed",
    "unknown": "no data",
}


def state_of(bikes: int, docks: int | None, in_service: bool) -> OutageKind | None:
    """Return the kind of outage for riders, or None. Only usable bikes and docks count.

    A station with an unknown number of docks is never full.
    """
    if not in_service or (bikes == 0 and docks == 0):
        return OutageKind.CLOSED
    if bikes == 0:
        return OutageKind.EMPTY
    if docks == 0:
        return OutageKind.FULL
    return None


def word_of(bikes: int, docks: int | None, in_service: bool, *, low: int, high: int) -> str:
    """Return the state in one word: the kind of outage, else low, fine or high.

    `low`, `high`: percentages of bikes in bikes and free docks together. Without a known number of
    docks, any bike is fine.
    """
    if (outage := state_of(bikes, docks, in_service)) is not None:
        return outage.value
    if docks is None:
        return "fine"
    percent = 100 * bikes / (bikes + docks)
    return "low" if percent < low else "high" if percent > high else "fine"


def availability(bikes: int, docks: int | None) -> str:
    free = "docks unknown" if docks is None else f"{docks} dock{pluralize(docks)} free"
    return f"{bikes} bike{pluralize(bikes)} · {free}"


def label_of(state: str) -> str:
    """The state as people read it."""
    return LABELS.get(state, state)


def is_old(as_of: datetime | None, now: datetime, longest: timedelta) -> bool:
    """Return whether a status is older than `longest`, or was never reported."""
    return as_of is None or now - as_of > longest


@dataclass(frozen=True)
class Outage:
    """`end`: the first poll that showed another state, or the last one before a gap. None: the
    outage is still open."""

    station_id: int
    kind: OutageKind
    start: datetime
    end: datetime | None = None

    def until(self, last: datetime) -> datetime:
        """Return the end. An open outage is known to last until `last`, the system's last poll."""
        return self.end or max(last, self.start)


@dataclass(frozen=True)
class Poll:
    """Counts of stations. `in_service`: all that are not closed, including empty and full ones."""

    at: datetime
    in_service: int
    empty: int
    full: int


def tally(at: datetime, states: States) -> Poll:
    found = list(states.values())
    return Poll(
        at,
        in_service=len(found) - found.count(OutageKind.CLOSED),
        empty=found.count(OutageKind.EMPTY),
        full=found.count(OutageKind.FULL),
    )
