"""The phones of crews: their codes, sign-ins and reports."""

from datetime import timedelta

from django.db import models
from django.db.models import ExpressionWrapper, Q
from django.db.models.functions import Now

from .crews import Crew
from .moves import WORKER_ID_LENGTH

CODE_LIFE = timedelta(minutes=15)
# A phone may lie in a drawer for weeks before it sends a report again.
REPORT_LIFE = timedelta(days=90)
# last_seen_at is at most this old while a phone is in use: a write each time would cost more.
SIGN_OF_LIFE_PRECISION = timedelta(seconds=30)
SIGN_OF_LIFE_IS_OLD = Q(last_seen_at__lte=Now() - SIGN_OF_LIFE_PRECISION)


class CrewCodeQuerySet(models.QuerySet["CrewCode"]):
    def usable(self) -> "CrewCodeQuerySet":
        """Codes of active crews that are neither used nor expired."""
        return self.filter(used_at__isnull=True, expires_at__gt=Now(), crew__active=True)


class CrewCode(models.Model):
    """A code that signs one phone in as a crew. Only a keyed hash of it is stored."""

    id = models.BigAutoField(primary_key=True)
    crew = models.ForeignKey(Crew, models.CASCADE, related_name="codes")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=200, editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, editable=False)

    objects = CrewCodeQuerySet.as_manager()

    class Meta:
        db_table = "crew_codes"

    def __str__(self) -> str:
        return f"Code {self.pk} of {self.crew_id}"


class WrongCode(models.Model):
    """An attempt to join with a code that is unknown, used or expired. They are limited."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_default=Now())
    address = models.GenericIPAddressField()

    class Meta:
        db_table = "crew_wrong_codes"
        indexes = [models.Index(fields=["at"], name="wrong_code_at")]

    def __str__(self) -> str:
        return self.address


class CrewDeviceQuerySet(models.QuerySet["CrewDevice"]):
    def usable(self) -> "CrewDeviceQuerySet":
        """Not revoked, and of an active crew."""
        return self.filter(revoked_at__isnull=True, crew__active=True)

    def with_age_of_sign_of_life(self) -> "CrewDeviceQuerySet":
        """Add `sign_of_life_is_old`: True if the next request must update last_seen_at."""
        columns = {
            "sign_of_life_is_old": ExpressionWrapper(SIGN_OF_LIFE_IS_OLD, models.BooleanField())
        }
        return self.annotate(**columns)


class CrewDevice(models.Model):
    """A phone that is signed in as a crew. Only the SHA-256 of its cookie's secret is stored."""

    id = models.BigAutoField(primary_key=True)
    crew = models.ForeignKey(Crew, models.CASCADE, related_name="devices")
    # None: the code has been deleted since.
    code = models.OneToOneField(CrewCode, models.SET_NULL, null=True, related_name="device")
    label = models.CharField(max_length=100, help_text="The kind of phone and browser.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_seen_at = models.DateTimeField(db_default=Now(), editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    revoked_by = models.CharField(max_length=200, db_default="", editable=False)

    # Only on rows that were read `with_age_of_sign_of_life()`.
    sign_of_life_is_old = False
    # False if the service that returned this phone did not change it.
    changed = True

    objects = CrewDeviceQuerySet.as_manager()

    class Meta:
        db_table = "crew_devices"
        verbose_name = "phone"
        permissions = [("revoke_crewdevice", "Can sign phones of crews out")]

    def __str__(self) -> str:
        return self.label


class ReportKind(models.TextChoices):
    DONE = "done"
    GIVE_BACK = "give_back"
    # The crew keeps the task; the dispatcher decides.
    PROBLEM = "problem"


class Problem(models.TextChoices):
    STATION_FULL = "station_full", "Station full"
    STATION_EMPTY = "station_empty", "Station empty"
    STATION_CLOSED = "station_closed", "Station closed"
    BROKEN_BIKES = "broken_bikes", "Broken bikes"
    BLOCKED = "blocked", "Blocked"
    # Written out in the note.
    OTHER = "other"


class CrewReportQuerySet(models.QuerySet["CrewReport"]):
    def old(self) -> "CrewReportQuerySet":
        """Reports that no phone repeats any more."""
        return self.filter(received_at__lte=Now() - REPORT_LIFE)


class CrewReport(models.Model):
    """A report of a phone and the answer to it: a repeated report gets the same answer.

    There are no foreign keys: reports outlive the rows they are about.
    """

    # Made by the phone.
    id = models.UUIDField(primary_key=True)
    worker_id = models.CharField(max_length=WORKER_ID_LENGTH)
    device_id = models.BigIntegerField(null=True)
    task_id = models.BigIntegerField()
    kind = models.CharField(max_length=16, choices=ReportKind)
    # The SHA-256 of the values: the same id with other values is refused.
    digest = models.CharField(max_length=64)
    received_at = models.DateTimeField(db_default=Now())
    answer = models.JSONField()

    objects = CrewReportQuerySet.as_manager()

    class Meta:
        db_table = "crew_reports"
        indexes = [models.Index(fields=["received_at"], name="crew_report_received_at")]

    def __str__(self) -> str:
        return f"{self.kind} of task {self.task_id} by {self.worker_id}"
