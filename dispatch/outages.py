"""Outages of stations, and polls of a system's status, without a database."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from .models import OutageKind

States = Mapping[int, OutageKind | None]


@dataclass(frozen=True)
class Outage:
    """`end`: the first poll that saw the station otherwise, or the last one before a gap. None:
    it still lasts."""

    station_id: int
    kind: OutageKind
    start: datetime
    end: datetime | None = None

    def until(self, last: datetime) -> datetime:
        """`last`: the system's last poll, until which what still lasts is known to."""
        return self.end or max(last, self.start)


@dataclass(frozen=True)
class Poll:
    """Counts of stations: `in_service` are those that are not closed, empty and full ones too."""

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
