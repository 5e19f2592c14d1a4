"""Outages as riders see them: from the first poll that shows one to the first that shows none.

No database.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from ..models import OutageKind
from ..stations import Outage
from .intervals import minutes
from .periods import Period


@dataclass(frozen=True)
class Episode:
    station_id: int
    kind: OutageKind
    start: datetime
    end: datetime

    @property
    def minutes(self) -> float:
        return minutes(self.start, self.end)


def episodes(outages: Iterable[Outage], last: datetime) -> Iterator[Episode]:
    """Yield outages as riders see them: empty, or full, until a poll shows the station usable.

    A closure within an episode or right after it belongs to it. `outages`: of one system, by
    station and start. `last`: the system's last poll.
    """
    for _, of_station in groupby(outages, key=lambda outage: outage.station_id):
        yield from episodes_of_station(of_station, last)


def episodes_of_station(outages: Iterable[Outage], last: datetime) -> Iterator[Episode]:
    episode: Episode | None = None
    for outage in outages:
        if episode is not None and not continues(episode, outage):
            yield episode
            episode = None
        if outage.kind != OutageKind.CLOSED:
            end = outage.until(last)
            episode = replace(
                episode or Episode(outage.station_id, outage.kind, outage.start, end), end=end
            )
        elif episode is not None and outage.end is not None:
            episode = replace(episode, end=outage.end)
    if episode is not None:
        yield episode


def continues(episode: Episode, outage: Outage) -> bool:
    return outage.start <= episode.end and outage.kind in (episode.kind, OutageKind.CLOSED)


def closures(outages: Iterable[Outage], last: datetime) -> Iterator[Episode]:
    for outage in outages:
        if outage.kind == OutageKind.CLOSED:
            yield Episode(outage.station_id, outage.kind, outage.start, outage.until(last))


def within(period: Period, all_episodes: Iterable[Episode]) -> Iterator[Episode]:
    """Yield the parts in the period. One that began with the last poll counts, without length."""
    for episode in all_episodes:
        start, end = max(episode.start, period.start), min(episode.end, period.end)
        if start < end or (start == end == episode.start < period.end):
            yield replace(episode, start=start, end=end)
