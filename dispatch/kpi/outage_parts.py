"""The outages of one day, and how those of several days add up. No database."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ..models import OutageKind
from .durations import Durations
from .episodes import Episode
from .periods import Period


@dataclass(frozen=True)
class Edge:
    """The part of an episode that touches the start or the end of the day."""

    station_id: int
    seconds: int
    from_start: bool
    to_end: bool


@dataclass(frozen=True)
class OutageParts:
    """The parts of episodes of one kind that lie in one day.

    `lengths`: in seconds, of those that touch neither end of the day. `stations`: their numbers,
    with the count and the seconds of each one's parts in two more lists: a year of tuples would
    take Python twice as long to read.
    """

    kind: OutageKind
    lengths: list[int]
    stations: list[int]
    counts: list[int]
    seconds: list[int]
    edges: list[Edge]


@dataclass
class Outages:
    """The episodes of one kind in a period. `stations`: the count and the seconds of each."""

    lengths: Durations = field(default_factory=Counter)
    stations: dict[int, tuple[int, int]] = field(default_factory=dict)

    def add(self, station_id: int, episodes: int, seconds: int) -> None:
        known, before = self.stations.get(station_id, (0, 0))
        self.stations[station_id] = (known + episodes, before + seconds)

    def __add__(self, other: "Outages") -> "Outages":
        both = Outages(self.lengths + other.lengths, dict(self.stations))
        for station_id, of in other.stations.items():
            both.add(station_id, *of)
        return both


def split(day: Period, parts: Collection[Episode]) -> list[OutageParts]:
    """`parts`: the parts of episodes within the day."""
    kinds = sorted({part.kind for part in parts})
    return [parts_of(kind, day, [part for part in parts if part.kind == kind]) for kind in kinds]


def parts_of(kind: OutageKind, day: Period, parts: Iterable[Episode]) -> OutageParts:
    lengths, edges, all_parts = [], [], Outages()
    for part in parts:
        seconds = round((part.end - part.start).total_seconds())
        all_parts.add(part.station_id, 1, seconds)
        ends = (part.start == day.start, part.end == day.end)
        if any(ends):
            edges.append(Edge(part.station_id, seconds, *ends))
        else:
            lengths.append(seconds)
    known = all_parts.stations
    counts, totals = ([of[place] for of in known.values()] for place in (0, 1))
    return OutageParts(kind, lengths, list(known), counts, totals, edges)


def joined(days: Iterable[Collection[OutageParts]]) -> Mapping[OutageKind, Outages]:
    """Add up successive days. An episode over midnight is one episode."""
    found = {kind: Outages() for kind in OutageKind}
    lasting: dict[OutageKind, dict[int, int]] = {kind: {} for kind in OutageKind}
    for parts in days:
        # Of each kind: the seconds so far of the episodes that lasted until midnight.
        before, lasting = lasting, {kind: {} for kind in OutageKind}
        for of in parts:
            add_day(found[of.kind], of, before[of.kind], lasting[of.kind])
        for kind, ended in before.items():
            found[kind].lengths.update(ended.values())
    for kind, still in lasting.items():
        found[kind].lengths.update(still.values())
    return found


def add_day(
    outages: Outages, of: OutageParts, before: dict[int, int], lasting: dict[int, int]
) -> None:
    outages.lengths.update(of.lengths)
    for station in zip(of.stations, of.counts, of.seconds, strict=True):
        outages.add(*station)
    for edge in of.edges:
        seconds = edge.seconds
        if edge.from_start and edge.station_id in before:
            seconds += before.pop(edge.station_id)
            outages.add(edge.station_id, -1, 0)
        if edge.to_end:
            lasting[edge.station_id] = seconds
        else:
            outages.lengths[seconds] += 1
