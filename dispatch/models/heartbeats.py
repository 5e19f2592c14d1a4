from django.db import models
from django.db.models.functions import Now


class Heartbeat(models.Model):
    """The last success of a command that runs again and again, such as the sweep."""

    name = models.CharField(max_length=50, primary_key=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "heartbeats"

    def __str__(self) -> str:
        return self.name
