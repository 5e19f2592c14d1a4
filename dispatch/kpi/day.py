"""The figures of one day, which add up to those of a period. No database."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from ..stations import LONGEST_GAP, Poll
from .crew_work import CrewWork
from .episodes import Episode
from .outage_parts import OutageParts
from .sources import Decision, Moves
from .work import WorkDone


@dataclass(frozen=True)
class SystemDay:
    """`polls`: their number. `watched`: the seconds between polls without a gap. `hours`: the sums
    of each hour's polls. `closed`: the stations that were closed at every poll."""

    system: str
    polls: int
    first: datetime | None
    last: datetime | None
    watched: float
    hours: list[Poll]
    closed: list[int]
    outages: list[OutageParts]
    cluster_outages: list[Episode]


@dataclass(frozen=True)
class Day:
    """`done`: by hour of the day. `suggested`: the number of suggestions of each source."""

    day: date
    systems: list[SystemDay]
    works: list[CrewWork]
    done: dict[int, WorkDone]
    suggested: dict[str, int]
    decisions: list[Decision]
    moves: list[Moves]

    @property
    def polls(self) -> Poll | None:
        """Return the sum of the day's polls of all systems. None: there were none."""
        hours = [poll for system in self.systems for poll in system.hours]
        return sum_of(hours) if hours else None

    @property
    def work(self) -> WorkDone:
        done = self.done.values()
        return WorkDone(sum(hour.tasks for hour in done), sum(hour.bikes for hour in done))


def sum_of(polls: list[Poll]) -> Poll:
    return Poll(
        max(poll.at for poll in polls),
        sum(poll.in_service for poll in polls),
        sum(poll.empty for poll in polls),
        sum(poll.full for poll in polls),
    )


def seconds_watched(moments: Iterable[datetime]) -> float:
    steps = (later - earlier for earlier, later in pairwise(moments))
    return sum((step for step in steps if step <= LONGEST_GAP), timedelta()).total_seconds()
