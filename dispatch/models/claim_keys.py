from datetime import timedelta

from django.db import models
from django.db.models.functions import Now

from .moves import WORKER_ID_LENGTH
from .stations import AREA_LENGTH

CLAIM_KEY_LIFE = timedelta(hours=24)


class ClaimKeyQuerySet(models.QuerySet["ClaimKey"]):
    def live(self) -> "ClaimKeyQuerySet":
        return self.filter(created_at__gt=Now() - CLAIM_KEY_LIFE)

    def expired(self) -> "ClaimKeyQuerySet":
        return self.filter(created_at__lte=Now() - CLAIM_KEY_LIFE)


class ClaimKey(models.Model):
    """The task that a claim with this `Idempotency-Key` returned, for its retries."""

    id = models.BigAutoField(primary_key=True)
    actor = models.CharField(max_length=200)
    key = models.CharField(max_length=255)
    worker_id = models.CharField(max_length=WORKER_ID_LENGTH)
    # The area that the claim named. Empty: none.
    area = models.CharField(max_length=AREA_LENGTH, db_default="")
    task_id = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now())

    objects = ClaimKeyQuerySet.as_manager()

    class Meta:
        db_table = "claim_keys"
        constraints = [
            models.UniqueConstraint(fields=["actor", "key"], name="claim_key_is_one_claim")
        ]
        indexes = [models.Index(fields=["created_at"], name="claim_key_age")]

    def __str__(self) -> str:
        return self.key
