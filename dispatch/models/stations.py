"""Stations as their feeds report them: place, fill, and times without bikes or docks."""

from typing import Self

from django.db import models
from django.db.models import F, Q

from .moves import is_a_date
from .outbox import enqueue_feed
from .systems import SYSTEM_LENGTH, System

FIRST_OWN_NUMBER = 1_000_000
SOURCE_MAX_LENGTH = 2000
AREA_LENGTH = 100


class StationQuerySet(models.QuerySet["Station"]):
    def present(self) -> Self:
        """The stations that their feed listed when it was last read."""
        return self.filter(gone_at__isnull=True)

    def areas(self) -> list[str]:
        """The names of their areas, in order."""
        named = self.exclude(area="").order_by("area")
        return list(named.values_list("area", flat=True).distinct())

    def systems_of_areas(self) -> dict[str, set[str]]:
        """The systems in which each area lies: two may have areas of the same name."""
        found: dict[str, set[str]] = {}
        named = self.exclude(area="").order_by("area", "system")
        for area, system in named.values_list("area", "system").distinct():
            found.setdefault(area, set()).add(system)
        return found

    def systems(self) -> list[str]:
        """The names of their systems, in order."""
        return list(self.order_by("system").values_list("system", flat=True).distinct())


class Station(models.Model):
    """A station of a feed. Moves refer to it without a foreign key: a job may know it first."""

    id = models.PositiveIntegerField("number", primary_key=True)
    system = models.CharField(
        max_length=SYSTEM_LENGTH, help_text="The feed's name for the whole system."
    )
    name = models.CharField(max_length=200)
    short_name = models.CharField(max_length=100, blank=True, db_default="")
    lat = models.FloatField("latitude")
    lon = models.FloatField("longitude")
    capacity = models.PositiveIntegerField(null=True)
    # The region in the feed: its name, or the id of a region without a name.
    region = models.CharField(max_length=100, blank=True, db_default="")
    # The name of the area (`gbfs.areas`). Empty: unknown.
    area = models.CharField(max_length=AREA_LENGTH, blank=True, db_default="")
    gone_at = models.DateTimeField(null=True)

    objects = StationQuerySet.as_manager()

    class Meta:
        db_table = "stations"
        constraints = [
            models.CheckConstraint(
                name="station_is_on_earth",
                condition=Q(lat__gte=-90, lat__lte=90, lon__gte=-180, lon__lte=180),
            ),
            models.CheckConstraint(name="station_has_a_name", condition=~Q(name="")),
            models.CheckConstraint(
                name="station_gone_at_is_a_date",
                condition=Q(gone_at__isnull=True) | is_a_date("gone_at"),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class StationAlias(models.Model):
    """A feed's id of a station. It is never deleted, so that a number never changes its meaning."""

    id = models.BigAutoField(primary_key=True)
    system = models.CharField(max_length=100)
    feed_id = models.CharField(max_length=200)
    station = models.ForeignKey(Station, models.PROTECT, related_name="aliases")

    class Meta:
        db_table = "station_aliases"
        constraints = [
            models.UniqueConstraint(
                fields=["system", "feed_id"], name="station_alias_names_one_station"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.system} {self.feed_id}"


class StationStatus(models.Model):
    """The fill of a station in its feed's last report."""

    station = models.OneToOneField(Station, models.CASCADE, primary_key=True, related_name="status")
    bikes = models.PositiveIntegerField()
    # None: the station has no docks, or its feed does not count them.
    docks = models.PositiveIntegerField(null=True)
    bikes_disabled = models.PositiveIntegerField(db_default=0)
    docks_disabled = models.PositiveIntegerField(db_default=0)
    # Installed, renting and returning. A closed station counts neither as empty nor as full.
    in_service = models.BooleanField(db_default=True)
    # The station's last report, or the feed's own time if that is older. None: unknown.
    as_of = models.DateTimeField(null=True)
    # The bikes with a motor, and the bikes of each type by the feed's id. None: unknown.
    ebikes = models.PositiveIntegerField(null=True)
    vehicle_types = models.JSONField(null=True)

    class Meta:
        db_table = "station_status"
        constraints = [
            models.CheckConstraint(
                name="station_status_as_of_is_a_date",
                condition=Q(as_of__isnull=True) | is_a_date("as_of"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.bikes} bikes, {'unknown' if self.docks is None else self.docks} docks"


class OutageKind(models.TextChoices):
    EMPTY = "empty"
    FULL = "full"
    CLOSED = "closed"


class StationOutage(models.Model):
    """A period without bikes, without docks, or out of service. No `ended_at`: it continues."""

    id = models.BigAutoField(primary_key=True)
    station = models.ForeignKey(Station, models.CASCADE, related_name="outages")
    kind = models.CharField(max_length=8, choices=OutageKind)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "station_outages"
        constraints = [
            models.UniqueConstraint(
                fields=["station"],
                condition=Q(ended_at__isnull=True),
                name="station_has_one_open_outage",
            ),
            models.CheckConstraint(
                name="outage_kind_is_known", condition=Q(kind__in=OutageKind.values)
            ),
            models.CheckConstraint(
                name="outage_ends_after_it_starts",
                condition=Q(ended_at__isnull=True) | Q(ended_at__gt=F("started_at")),
            ),
            models.CheckConstraint(
                name="outage_times_are_dates",
                condition=is_a_date("started_at")
                & (Q(ended_at__isnull=True) | is_a_date("ended_at")),
            ),
        ]
        indexes = [
            models.Index(fields=["station", "-started_at"], name="outage_of_station"),
            models.Index(fields=["started_at"], name="outage_start"),
            models.Index(fields=["ended_at"], name="outage_end"),
        ]

    def __str__(self) -> str:
        return f"{self.station_id} {self.kind}"


class FeedKind(models.TextChoices):
    INFORMATION = "information"
    STATUS = "status"


class StationFeedQuerySet(models.QuerySet["StationFeed"]):
    def watched(self) -> Self:
        """The feeds that should be up to date: not those of systems that are no longer polled."""
        return self.exclude(system__in=System.objects.filter(active=False).values("name"))


class StationFeed(models.Model):
    """The last reading of a system's feed: validators for the next request, and any error."""

    id = models.BigAutoField(primary_key=True)
    system = models.CharField(max_length=100)
    kind = models.CharField(max_length=16, choices=FeedKind)
    source = models.CharField(max_length=SOURCE_MAX_LENGTH)
    # The validators of the last good response, for a conditional request.
    etag = models.CharField(max_length=500, blank=True, db_default="")
    last_modified = models.CharField(max_length=100, blank=True, db_default="")
    # The feed's own time in its last good response, and ours when we read it.
    made_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)
    # The error of the last reading, on one line. Empty: it succeeded.
    trouble = models.CharField(max_length=500, blank=True, db_default="")
    troubled_at = models.DateTimeField(null=True)

    objects = StationFeedQuerySet.as_manager()

    class Meta:
        db_table = "station_feeds"
        constraints = [
            models.UniqueConstraint(fields=["system", "kind"], name="one_feed_of_a_kind"),
            models.CheckConstraint(
                name="feed_kind_is_known", condition=Q(kind__in=FeedKind.values)
            ),
        ]
        triggers = [enqueue_feed()]

    def __str__(self) -> str:
        return f"{self.system} {self.kind}"


class FeedWatch(models.Model):
    """A period in which a system's status was polled without a gap.

    Outside these periods, a station without a recorded outage may have had one.
    """

    id = models.BigAutoField(primary_key=True)
    system = models.CharField(max_length=100)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()

    class Meta:
        db_table = "feed_watches"
        constraints = [
            models.CheckConstraint(
                name="watch_ends_after_it_starts", condition=Q(ended_at__gte=F("started_at"))
            ),
            models.CheckConstraint(
                name="watch_times_are_dates",
                condition=is_a_date("started_at") & is_a_date("ended_at"),
            ),
        ]
        indexes = [models.Index(fields=["system", "-ended_at"], name="watch_of_system")]

    def __str__(self) -> str:
        return f"{self.system} from {self.started_at}"


class StatusPoll(models.Model):
    """One poll of a system's status: its time, and counts of stations.

    Shares of empty and full stations are averages over polls, so the times of polls are needed
    besides the outages.
    """

    id = models.BigAutoField(primary_key=True)
    system = models.CharField(max_length=100)
    at = models.DateTimeField()
    # Stations that are not closed, and how many of those had no bikes or no docks.
    in_service = models.PositiveIntegerField()
    empty = models.PositiveIntegerField()
    full = models.PositiveIntegerField()

    class Meta:
        db_table = "status_polls"
        constraints = [
            models.UniqueConstraint(fields=["at", "system"], name="one_status_poll_at_a_time"),
            models.CheckConstraint(
                name="status_poll_counts_its_stations",
                condition=Q(in_service__gte=F("empty") + F("full")),
            ),
            models.CheckConstraint(name="status_poll_at_is_a_date", condition=is_a_date("at")),
        ]

    def __str__(self) -> str:
        return f"{self.system} at {self.at}"
