"""Cluster outages as the MTC-Motivate agreement for Bay Area Bike Share defines them.

A station's cluster is the station, all stations within a third of a mile, and at least its three
nearest. The cluster is out while none of its stations has a bike, or none has a dock. Closed
stations are ignored, but at least one must be open. An outage counts if it lasts for more than ten
consecutive minutes of the peak hours.
"""

import math
from collections.abc import Collection, Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import mean

from ..models import OutageKind
from ..planning.geo import Grid, point
from ..stations import Outage
from .episodes import Episode
from .intervals import Interval, intersect, union

THIRD_OF_A_MILE = 536.448
NEAREST = 3
LONGEST_ALLOWED_MINUTES = 10

Clusters = dict[int, frozenset[int]]


@dataclass(frozen=True)
class StationPoint:
    station_id: int
    lat: float
    lon: float


@dataclass(frozen=True)
class ClusterFigures:
    clusters: int
    mean_size: float | None
    episodes: int
    minutes_beyond: float


def clusters_of(places: Sequence[StationPoint], of: Container[int] | None = None) -> Clusters:
    """Return the clusters of the stations `of`. None: of all."""
    points = [point(place.lat, place.lon) for place in places]
    ids = [place.station_id for place in places]
    grid = Grid(points, THIRD_OF_A_MILE / 1000)
    found = {}
    for station_id, at in zip(ids, points, strict=True):
        if of is not None and station_id not in of:
            continue
        near = [ids[index] for index, _ in grid.near(at)]
        if len(near) <= NEAREST:
            by_distance = sorted(
                (math.dist(at, other), pk) for pk, other in zip(ids, points, strict=True)
            )
            near = [pk for _, pk in by_distance[: NEAREST + 1]]
        found[station_id] = frozenset(near)
    return found


def cluster_outages(
    clusters: Clusters, outages: Collection[Outage], last: datetime, peaks: list[Interval]
) -> list[Episode]:
    """Return one system's cluster outages by start, each under the station of the cluster.

    `last`: the system's last poll. `peaks`: the peak hours.
    """
    found = []
    for kind in (OutageKind.EMPTY, OutageKind.FULL):
        lacking = intervals_of(outages, last, {kind})
        lacking_or_closed = intervals_of(outages, last, {kind, OutageKind.CLOSED})
        for station_id, members in clusters.items():
            out = intersect(intervals_out(members, lacking, lacking_or_closed), peaks)
            found += [Episode(station_id, kind, *interval) for interval in out]
    return sorted(
        (outage for outage in found if outage.minutes > LONGEST_ALLOWED_MINUTES),
        key=lambda outage: (outage.start, outage.station_id),
    )


def intervals_of(
    outages: Iterable[Outage], last: datetime, kinds: set[OutageKind]
) -> dict[int, list[Interval]]:
    found: dict[int, list[Interval]] = {}
    for outage in outages:
        if outage.kind in kinds:
            found.setdefault(outage.station_id, []).append((outage.start, outage.until(last)))
    return {station_id: union(intervals) for station_id, intervals in found.items()}


def intervals_out(
    members: Iterable[int],
    lacking: dict[int, list[Interval]],
    lacking_or_closed: dict[int, list[Interval]],
) -> list[Interval]:
    """Return when each member lacks bikes (or docks) or is closed, and at least one lacks them."""
    out = union(interval for member in members for interval in lacking.get(member, []))
    for member in members:
        out = intersect(out, lacking_or_closed.get(member, []))
    return out


def figures_of(clusters: Clusters, found: Collection[Episode]) -> ClusterFigures:
    return ClusterFigures(
        clusters=len(clusters),
        mean_size=mean(map(len, clusters.values())) if clusters else None,
        episodes=len(found),
        minutes_beyond=sum(outage.minutes - LONGEST_ALLOWED_MINUTES for outage in found),
    )
