from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from .moves import is_a_date
from .outbox import enqueue_cluster_outage
from .stations import OutageKind, Station
from .systems import System

KINDS = [OutageKind.EMPTY, OutageKind.FULL]


class ClusterOutageQuerySet(models.QuerySet["ClusterOutage"]):
    def ongoing(self) -> Self:
        """Those that continue. A system that is no longer polled has none: no poll would end it."""
        inactive = System.objects.filter(active=False).values("name")
        return self.filter(ended_at=None).exclude(system__in=inactive)


class ClusterOutage(models.Model):
    """A time in which several neighbouring stations had no bike, or no dock (docs/kpi.md).

    No `ended_at`: it continues.
    """

    id = models.BigAutoField(primary_key=True)
    system = models.CharField(max_length=100)
    # The station of the cluster, and all stations of the cluster when the outage was recorded.
    station = models.ForeignKey(Station, models.CASCADE, related_name="cluster_outages")
    station_ids = ArrayField(models.PositiveIntegerField())
    kind = models.CharField(max_length=8, choices=OutageKind)
    # The poll that saw the last of the stations become empty or full.
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    objects = ClusterOutageQuerySet.as_manager()

    class Meta:
        db_table = "cluster_outages"
        constraints = [
            models.UniqueConstraint(
                fields=["station", "kind"],
                condition=Q(ended_at__isnull=True),
                name="cluster_has_one_open_outage_of_a_kind",
            ),
            models.CheckConstraint(
                name="cluster_outage_kind_is_known", condition=Q(kind__in=KINDS)
            ),
            models.CheckConstraint(
                name="cluster_outage_ends_after_it_starts",
                condition=Q(ended_at__isnull=True) | Q(ended_at__gt=F("started_at")),
            ),
            models.CheckConstraint(
                name="cluster_outage_times_are_dates",
                condition=is_a_date("started_at")
                & (Q(ended_at__isnull=True) | is_a_date("ended_at")),
            ),
        ]
        indexes = [
            models.Index(
                fields=["system"], name="cluster_outage_open", condition=Q(ended_at__isnull=True)
            ),
            models.Index(fields=["ended_at"], name="cluster_outage_end"),
        ]
        triggers = [enqueue_cluster_outage()]

    def __str__(self) -> str:
        return f"{self.station_id} {self.kind}"
