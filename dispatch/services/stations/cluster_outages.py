"""Records cluster outages, as docs/kpi.md defines them, while they last and at any hour."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from ...kpi.clusters import LONGEST_ALLOWED_MINUTES, StationPoint, clusters_of
from ...models import ClusterOutage, OutageKind, Station
from ...models.cluster_outages import KINDS
from .outages import open_cluster_outages, open_outages

LONGEST_ALLOWED = timedelta(minutes=LONGEST_ALLOWED_MINUTES)


@dataclass(frozen=True)
class Lacking:
    """The stations without bikes, or without docks, and the closed ones: each with the start."""

    kind: OutageKind
    stations: Mapping[int, datetime]
    closed: Mapping[int, datetime]

    def since(self, cluster: Iterable[int]) -> datetime | None:
        """Return the time since which the whole cluster is out. None: it is not."""
        cluster = list(cluster)
        starts = [self.stations.get(pk) or self.closed.get(pk) for pk in cluster]
        found = [start for start in starts if start is not None]
        is_out = len(found) == len(cluster) and any(pk in self.stations for pk in cluster)
        return max(found) if is_out else None


def record_cluster_outages(system: str, at: datetime) -> None:
    """End those that are over at the poll of `at`, and begin others.

    It reads the stations' outages: record them first.
    """
    ongoing = list(open_cluster_outages(system))
    states = read_lacking(system)
    over = [
        each for each in ongoing if states[OutageKind(each.kind)].since(each.station_ids) is None
    ]
    ClusterOutage.objects.filter(pk__in=[each.pk for each in over]).update(ended_at=at)
    for lacking in states.values():
        lasting = [each for each in ongoing if each.kind == lacking.kind and each not in over]
        taken = set(chain.from_iterable(each.station_ids for each in lasting))
        ClusterOutage.objects.bulk_create(begin(system, lacking, taken, at))


def read_lacking(system: str) -> dict[OutageKind, Lacking]:
    starts: dict[str, dict[int, datetime]] = {kind: {} for kind in OutageKind}
    for outage in open_outages(system):
        starts[outage.kind][outage.station_id] = outage.started_at
    closed = starts[OutageKind.CLOSED]
    return {kind: Lacking(kind, starts[kind], closed) for kind in KINDS}


def begin(system: str, lacking: Lacking, taken: set[int], at: datetime) -> Iterator[ClusterOutage]:
    """Yield the outages that have lasted long enough, the first and largest clusters first.

    Outages of one kind share no station: neighbours that are out together make one outage.
    """
    long = {pk for pk, since in lacking.stations.items() if at - since > LONGEST_ALLOWED} - taken
    if not long:
        return
    clusters = clusters_of(read_places(system), long)
    out = [(lacking.since(members), members, pk) for pk, members in clusters.items()]
    found = [(since, -len(members), pk, members) for since, members, pk in out if since]
    for since, _, pk, members in sorted(found, key=lambda each: each[:3]):
        if at - since > LONGEST_ALLOWED and taken.isdisjoint(members):
            taken |= members
            yield ClusterOutage(
                system=system,
                station_id=pk,
                station_ids=sorted(members),
                kind=lacking.kind,
                started_at=since,
            )


def read_places(system: str) -> list[StationPoint]:
    stations = Station.objects.present().filter(system=system, status__isnull=False)
    return [StationPoint(*row) for row in stations.order_by("id").values_list("id", "lat", "lon")]
