from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Self, TypeVar

import pgtrigger
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

PRIORITY_MIN, PRIORITY_MAX = -100, 100
# The most characters of a reason or note, a job's name, and a crew's name.
TEXT_LENGTH, SOURCE_LENGTH, WORKER_ID_LENGTH = 2000, 100, 200
# The largest value of an integer column.
INT4_MAX = 2_147_483_647


def is_a_date(field: str) -> Q:
    """PostgreSQL stores infinity and the year 20000, which Python cannot read back."""
    return Q((f"{field}__gte", datetime(2000, 1, 1, tzinfo=UTC))) & Q(
        (f"{field}__lt", datetime(9000, 1, 1, tzinfo=UTC))
    )


def no_creation_in_the_future() -> pgtrigger.Trigger:
    """Set a creation time in the future, from a wrong clock or time zone, to now.

    Otherwise younger rows of the same priority would go first for hours.
    """
    return pgtrigger.Trigger(
        name="created_by_now",
        when=pgtrigger.Before,
        operation=pgtrigger.Insert,
        # The column's default is the start of the statement, which is after `now()`.
        condition=pgtrigger.Condition(
            "NEW.created_at > statement_timestamp() AND NEW.created_at < 'infinity'"
        ),
        func="NEW.created_at = statement_timestamp(); RETURN NEW;",
    )


class DatabaseClock(models.Func):
    """The time at which the row is read. After a wait for its lock, that is after the wait.

    Django's Now() is the start of the statement, which is before the wait.
    """

    function = "clock_timestamp"
    output_field = models.DateTimeField()


M_co = TypeVar("M_co", bound="Move", covariant=True)


class MoveQuerySet(models.QuerySet[M_co]):
    def with_now(self) -> Self:
        """Add `now`, the database's clock, to each row."""
        return self.annotate(now=DatabaseClock())


class Move(models.Model):
    """Bikes to move from one station to another."""

    id = models.BigAutoField(primary_key=True)
    from_station_id = models.PositiveIntegerField("from station")
    to_station_id = models.PositiveIntegerField("to station")
    qty = models.IntegerField("bikes", validators=[MinValueValidator(1)])
    priority = models.SmallIntegerField(
        default=0, db_default=0, help_text="-100 to 100; the highest is dispatched first."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    # Only on a row that was read `with_now()`.
    now: datetime
    # False if the service that returned this row did not change it.
    changed = True
    # Sentences about the change for that service's caller.
    warnings: Sequence[str] = ()

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(name="%(class)s_qty_is_positive", condition=Q(qty__gte=1)),
            models.CheckConstraint(
                name="%(class)s_stations_differ",
                condition=~Q(from_station_id=F("to_station_id")),
                violation_error_message="The two stations must differ.",
            ),
            models.CheckConstraint(
                name="%(class)s_priority_in_range",
                condition=Q(priority__gte=PRIORITY_MIN, priority__lte=PRIORITY_MAX),
                violation_error_message=f"The priority must be {PRIORITY_MIN} to {PRIORITY_MAX}.",
            ),
            models.CheckConstraint(
                name="%(class)s_created_at_is_a_date", condition=is_a_date("created_at")
            ),
        ]

    def shifted_priority(self, priority: int | None, by: int) -> int:
        """`priority` (None: the present one) plus `by`, kept within the range."""
        base = self.priority if priority is None else priority
        return max(PRIORITY_MIN, min(PRIORITY_MAX, base + by))
