from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ..texts import validate_single_line

SYSTEM_LENGTH = 100
ADDRESS_LENGTH = 2000
HEADERS_LENGTH = 4000


class SystemQuerySet(models.QuerySet["System"]):
    def due(self) -> Self:
        """Those to read now, in the order in which they became due."""
        return self.filter(active=True, due_at__lte=Now()).order_by("due_at", "id")


class System(models.Model):
    """A bike share whose feeds `poll_status` reads, unless it gets a SOURCE.

    `name`: as in `Station.system`. It never changes: the stations would be another system's.
    """

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(
        max_length=SYSTEM_LENGTH,
        unique=True,
        validators=[validate_single_line],
        help_text="The system's name here. It cannot be changed later.",
    )
    address = models.CharField(
        max_length=ADDRESS_LENGTH, help_text="The http(s) address of the system's gbfs.json."
    )
    # Sent to the address's own origin, one `Name: value` per line. They may hold a key.
    headers = models.TextField(max_length=HEADERS_LENGTH, blank=True, db_default="", default="")
    active = models.BooleanField(
        default=True,
        db_default=True,
        help_text="Without a tick, the system's feeds are not read and raise no alert.",
    )
    # The next reading of its status. Leased: the end of the lease.
    due_at = models.DateTimeField(db_default=Now(), editable=False)
    # The next reading of its stations, with that of the status.
    stations_due_at = models.DateTimeField(db_default=Now(), editable=False)
    # Failed readings of the status in a row.
    failures = models.PositiveSmallIntegerField(db_default=0, default=0, editable=False)

    objects = SystemQuerySet.as_manager()

    class Meta:
        db_table = "systems"
        constraints = [
            models.CheckConstraint(name="system_has_a_name", condition=~Q(name="")),
            models.CheckConstraint(
                name="system_address_is_on_the_web",
                condition=Q(address__startswith="https://") | Q(address__startswith="http://"),
            ),
        ]
        indexes = [
            models.Index(fields=["due_at", "id"], name="system_queue", condition=Q(active=True)),
        ]

    def __str__(self) -> str:
        return self.name
