"""Records outages: times without a bike, without a dock or out of service, as polls show them."""

from collections.abc import Mapping
from datetime import datetime

from django.db.models import QuerySet

from ...models import ClusterOutage, FeedWatch, OutageKind, StationOutage
from ...stations import LONGEST_GAP


def extend_watch(system: str, at: datetime) -> None:
    """Extend the system's current interval of polling to `at`.

    After a gap, begin a new interval; open outages end with the last poll before the gap.
    """
    watch = FeedWatch.objects.filter(system=system).order_by("-ended_at").first()
    if watch is not None and at - watch.ended_at <= LONGEST_GAP:
        watch.ended_at = at
        watch.save(update_fields=["ended_at"])
        return
    if watch is not None:
        end_outages(open_outages(system), watch.ended_at)
        open_cluster_outages(system).update(ended_at=watch.ended_at)
    FeedWatch.objects.create(system=system, started_at=at, ended_at=at)


def open_outages(system: str) -> QuerySet[StationOutage]:
    return StationOutage.objects.filter(ended_at=None, station__system=system)


def open_cluster_outages(system: str) -> QuerySet[ClusterOutage]:
    return ClusterOutage.objects.filter(system=system, ended_at=None)


def end_outages(outages: QuerySet[StationOutage], at: datetime) -> None:
    """End outages, and delete those that would begin and end with the same poll."""
    outages.filter(started_at__gte=at).delete()
    outages.update(ended_at=at)


def record_states(system: str, states: Mapping[int, OutageKind | None], at: datetime) -> None:
    """Open and end outages as the states from `at` on require. Other stations stay as they were."""
    current = {outage.station_id: outage for outage in open_outages(system)}
    over = [
        outage.pk for pk, outage in current.items() if pk in states and states[pk] != outage.kind
    ]
    if over:
        end_outages(StationOutage.objects.filter(pk__in=over), at)
    StationOutage.objects.bulk_create(
        StationOutage(station_id=pk, kind=kind, started_at=at)
        for pk, kind in states.items()
        if kind is not None and (pk not in current or current[pk].kind != kind)
    )
