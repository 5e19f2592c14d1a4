"""All figures of a period."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from ..models import OutageKind, Station
from ..stations import LONGEST_GAP, Outage, Poll
from . import queries
from .clusters import ClusterFigures, StationPoint, cluster_outages, clusters_of, figures_of
from .intervals import minutes
from .periods import Period
from .stockouts import Episode, Stockouts, closures, episodes, stockouts, within
from .work import SourceFigures, Work, by_source, work


@dataclass(frozen=True)
class KpiReport:
    """`polls`: of station status in the period. `watched`: percent of its past part in which they
    came without a gap, of the system that has the least. `names`: of stations."""

    period: Period
    polls: int
    watched: float | None
    stockouts: Stockouts
    clusters: ClusterFigures
    cluster_outages: list[Episode]
    work: Work
    sources: list[SourceFigures]
    names: dict[int, str]


@dataclass
class System:
    """What is known of one system in the period. `last`: its last poll of all."""

    last: datetime
    polls: list[Poll] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    stations: list[Station] = field(default_factory=list)


def build_report(period: Period, now: datetime) -> KpiReport:
    span = (period.start, period.end)
    systems = read_systems(*span)
    names = {station.pk: station.name for system in systems for station in system.stations}
    clusters, out = cluster_figures(systems, period)
    return KpiReport(
        period=period,
        polls=sum(len(system.polls) for system in systems),
        watched=min((watched(system.polls, period, now) for system in systems), default=None),
        stockouts=stockout_figures(systems, period, names),
        clusters=clusters,
        cluster_outages=out,
        work=work(
            period,
            list(queries.completions_between(*span)),
            queries.first_claims_between(*span),
            now,
        ),
        sources=list(by_source(queries.decisions_between(*span))),
        names=names,
    )


def read_systems(start: datetime, end: datetime) -> list[System]:
    """Those that were polled in that time."""
    systems = {name: System(last) for name, last in queries.last_polls().items()}
    for name, poll in queries.polls_between(start, end):
        # A system's very first poll may have come since.
        if name in systems:
            systems[name].polls.append(poll)
    systems = {name: system for name, system in systems.items() if system.polls}
    for station in queries.stations_after(start):
        if station.system in systems:
            systems[station.system].stations.append(station)
    for name, outage in queries.outages_between(start, end):
        if name in systems:
            systems[name].outages.append(outage)
    return list(systems.values())


def stockout_figures(
    systems: Collection[System], period: Period, names: dict[int, str]
) -> Stockouts:
    return stockouts(
        period,
        (poll for system in systems for poll in system.polls),
        found=[e for s in systems for e in within(period, episodes(s.outages, s.last))],
        closed=[e for s in systems for e in within(period, closures(s.outages, s.last))],
        names=names,
        in_service=sum(len(s.stations) - len(always_closed(s)) for s in systems),
    )


def always_closed(system: System) -> set[int]:
    """At all polls of the period."""
    first, last = system.polls[0].at, system.polls[-1].at
    return {
        outage.station_id
        for outage in system.outages
        if outage.kind == OutageKind.CLOSED
        and outage.start <= first
        and (outage.end is None or outage.end > last)
    }


def cluster_figures(
    systems: Iterable[System], period: Period
) -> tuple[ClusterFigures, list[Episode]]:
    """Clusters do not reach from one system into another."""
    clusters: dict[int, frozenset[int]] = {}
    out: list[Episode] = []
    for system in systems:
        own = clusters_of([StationPoint(s.pk, s.lat, s.lon) for s in system.stations])
        peaks = period.peaks([poll.at for poll in system.polls])
        out += cluster_outages(own, system.outages, system.last, peaks)
        clusters |= own
    return figures_of(clusters, out), out


def watched(polls: list[Poll], period: Period, now: datetime) -> float:
    steps = [(one.at, other.at) for one, other in pairwise(polls)]
    known = sum(minutes(*step) for step in steps if step[1] - step[0] <= LONGEST_GAP)
    past = minutes(period.start, min(period.end, now))
    return 100 * known / past if past > 0 else 0.0
