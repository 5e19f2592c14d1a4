from django.db import models
from django.db.models.functions import Now


class Rollup(models.Model):
    """The figures of one day, so that reports need not read its events, polls and outages again.

    `rows`: the number of rows that they were computed from.
    """

    id = models.BigAutoField(primary_key=True)
    day = models.DateField()
    # Days begin at midnight of a time zone.
    zone = models.CharField(max_length=64)
    version = models.SmallIntegerField()
    computed_at = models.DateTimeField(db_default=Now())
    # A later event of the day calls for another rollup.
    last_event_id = models.BigIntegerField()
    rows = models.BigIntegerField()
    # A `kpi.day.Day` as JSON. PostgreSQL takes longer to write out jsonb than text.
    figures = models.TextField()

    class Meta:
        db_table = "rollups"
        constraints = [
            models.UniqueConstraint(fields=["zone", "day"], name="rollup_of_a_day_is_one"),
        ]

    def __str__(self) -> str:
        return f"{self.day} in {self.zone}"
