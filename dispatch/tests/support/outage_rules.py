"""The rules that derive outages from polls, without a database.

`services.record_status` must do the same, poll by poll.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from dispatch.models import OutageKind
from dispatch.stations import LONGEST_GAP, Outage, Poll, States, tally


@dataclass(frozen=True)
class Watch:
    """An interval of polls without a gap."""

    start: datetime
    end: datetime


@dataclass
class History:
    """The outages, polls and watches of a system so far. `ended` is in the order of the ends."""

    ended: list[Outage] = field(default_factory=list)
    open: dict[int, Outage] = field(default_factory=dict)
    polls: list[Poll] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)

    @property
    def outages(self) -> list[Outage]:
        return sorted([*self.ended, *self.open.values()], key=lambda o: (o.station_id, o.start))

    def add(self, at: datetime, states: States) -> None:
        """Add a poll. One that is not newer than the last changes nothing; a station that it lacks
        stays as it was."""
        last = self.polls[-1].at if self.polls else None
        if last is not None and at <= last:
            return
        if last is None or at - last > LONGEST_GAP:
            self.end_all(last)
            self.watches.append(Watch(at, at))
        self.watches[-1] = Watch(self.watches[-1].start, at)
        self.polls.append(tally(at, states))
        for station_id, kind in states.items():
            self.see(station_id, kind, at)

    def see(self, station_id: int, kind: OutageKind | None, at: datetime) -> None:
        current = self.open.get(station_id)
        if current is not None and current.kind == kind:
            return
        self.end(station_id, at)
        if kind is not None:
            self.open[station_id] = Outage(station_id, kind, at)

    def end(self, station_id: int, at: datetime) -> None:
        current = self.open.pop(station_id, None)
        # An outage that only the last poll before a gap saw has no length.
        if current is not None and current.start < at:
            self.ended.append(Outage(station_id, current.kind, current.start, at))

    def end_all(self, at: datetime | None) -> None:
        if at is not None:
            for station_id in list(self.open):
                self.end(station_id, at)


def history_of(polls: Iterable[tuple[datetime, States]]) -> History:
    history = History()
    for at, states in polls:
        history.add(at, states)
    return history
