from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from .moves import WORKER_ID_LENGTH
from .stations import AREA_LENGTH


class Language(models.TextChoices):
    ENGLISH = "en", "English"
    SPANISH = "es", "Español"


# What the roster says about a crew that may not take every task.
LIMITED = Q(active=False) | Q(capacity__isnull=False) | ~Q(areas=[])


class CrewQuerySet(models.QuerySet["Crew"]):
    def active(self) -> "CrewQuerySet":
        return self.filter(active=True)

    def limited(self) -> "CrewQuerySet":
        return self.filter(LIMITED)


class Crew(models.Model):
    """A crew on the roster: a van with its people.

    `worker_id` is the name that it claims with. Other names may claim, too: the roster only adds
    what is known about a crew, and limits what it gets.
    `capacity`: bikes that the van takes. None: unknown. `areas`: where it works. Empty: everywhere.
    """

    id = models.BigAutoField(primary_key=True)
    worker_id = models.CharField("crew id", max_length=WORKER_ID_LENGTH, unique=True)
    name = models.CharField(max_length=100, blank=True, db_default="")
    capacity = models.IntegerField("van capacity", null=True, blank=True)
    areas = ArrayField(
        models.CharField(max_length=AREA_LENGTH), blank=True, default=list, db_default=[]
    )
    language = models.CharField(max_length=8, choices=Language, db_default=Language.ENGLISH.value)
    active = models.BooleanField(default=True, db_default=True)
    note = models.TextField(blank=True, db_default="")

    objects = CrewQuerySet.as_manager()

    class Meta:
        db_table = "crews"
        ordering = ("worker_id",)
        constraints = [
            models.CheckConstraint(name="crew_has_an_id", condition=Q(worker_id__gt="")),
            models.CheckConstraint(name="crew_capacity_is_positive", condition=Q(capacity__gt=0)),
        ]

    def __str__(self) -> str:
        return self.name or self.worker_id
