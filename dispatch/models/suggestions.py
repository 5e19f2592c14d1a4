from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from .moves import (
    SOURCE_LENGTH,
    TEXT_LENGTH,
    Move,
    MoveQuerySet,
    is_a_date,
    no_creation_in_the_future,
)

# Dispatchers are called for suggestions of this priority or a higher one.
LEAST_URGENT = 50


class SuggestionQuerySet(MoveQuerySet["Suggestion"]):
    def expired(self) -> "SuggestionQuerySet":
        return self.filter(expires_at__lte=Now())

    def urgent(self) -> "SuggestionQuerySet":
        return self.filter(priority__gte=LEAST_URGENT)


class Suggestion(Move):
    """A move that an ML job or a dispatcher proposes. Its row is deleted when it is decided."""

    reason = models.CharField(max_length=TEXT_LENGTH)
    source = models.CharField(
        max_length=SOURCE_LENGTH, blank=True, db_default="", help_text="The job that proposes it."
    )
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="After this it can no longer be approved."
    )

    objects = SuggestionQuerySet.as_manager()

    class Meta(Move.Meta):
        db_table = "suggestions"
        constraints = [
            *Move.Meta.constraints,
            models.CheckConstraint(
                name="suggestion_expires_at_is_a_date",
                condition=Q(expires_at__isnull=True) | is_a_date("expires_at"),
                violation_error_message="The expiry must be in the years 2000 to 8999.",
            ),
        ]
        indexes = [
            models.Index(fields=["-priority", "created_at", "id"], name="suggestion_urgency"),
            models.Index(
                fields=["source", "from_station_id", "to_station_id"],
                name="suggestion_by_source",
            ),
            models.Index(
                fields=["expires_at"],
                name="suggestion_expiry",
                condition=Q(expires_at__isnull=False),
            ),
        ]
        triggers = [no_creation_in_the_future()]
        permissions = [
            ("approve_suggestion", "Can approve suggestions"),
            ("reject_suggestion", "Can reject suggestions"),
            ("prioritize_suggestion", "Can raise and lower suggestions"),
        ]

    def __str__(self) -> str:
        return f"Suggestion {self.pk}"
