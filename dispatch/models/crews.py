from datetime import datetime, timedelta

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator, ProhibitNullCharactersValidator
from django.db import models
from django.db.models import ExpressionWrapper, Max, OuterRef, Q, Subquery
from django.db.models.functions import Greatest, Now

from ..texts import validate_single_line
from .events import EventKind, TaskEvent
from .moves import TEXT_LENGTH, WORKER_ID_LENGTH
from .stations import AREA_LENGTH
from .tasks import Task
from .tokens import ApiToken


class Language(models.TextChoices):
    ENGLISH = "en", "English"
    SPANISH = "es", "Español"


# last_seen_at is at most this old while a crew keeps asking: a write for each request costs more.
SIGHT_PRECISION = timedelta(seconds=30)
SIGHT_IS_OLD = Q(last_seen_at__isnull=True) | Q(last_seen_at__lte=Now() - SIGHT_PRECISION)
# What a crew itself does to a task.
SIGNS_OF_LIFE = [
    EventKind.CLAIMED,
    EventKind.EXTENDED,
    EventKind.COMPLETED,
    EventKind.LATE_REPORT,
]
# A crew's newest tasks, in which its last sign of life is looked for.
NEWEST_TASKS = 10


class CrewQuerySet(models.QuerySet["Crew"]):
    def active(self) -> "CrewQuerySet":
        return self.filter(active=True)

    def working_in(self, area: str) -> "CrewQuerySet":
        """Crews of this area, and those that work everywhere."""
        return self.filter(Q(areas=[]) | Q(areas__contains=[area]))

    def with_age_of_sight(self) -> "CrewQuerySet":
        """Add `sight_is_old`: True if the next sign of life must update last_seen_at."""
        columns = {"sight_is_old": ExpressionWrapper(SIGHT_IS_OLD, models.BooleanField())}
        return self.annotate(**columns)

    def with_last_seen(self) -> "CrewQuerySet":
        """Add `seen_at`: its last empty claim, request with a token or work on a task."""
        crew = OuterRef("worker_id")
        tokens = ApiToken.objects.filter(worker_id=crew).values("worker_id")
        tasks = Task.objects.filter(worker_id=OuterRef(crew)).order_by("-id").values("pk")
        work = TaskEvent.objects.filter(
            worker_id=crew, kind__in=SIGNS_OF_LIFE, task_id__in=tasks[:NEWEST_TASKS]
        ).values("worker_id")
        # PostgreSQL's greatest() ignores nulls.
        columns = {
            "seen_at": Greatest(
                "last_seen_at",
                Subquery(tokens.annotate(at=Max("last_used_at")).values("at")),
                Subquery(work.annotate(last=Max("at")).values("last")),
            )
        }
        return self.annotate(**columns)


class Crew(models.Model):
    """A crew on the roster: a van with its people.

    `worker_id` is the name that it claims with. Other names may claim, too: the roster only adds
    what is known about a crew, and limits what it gets.
    `capacity`: bikes that the van takes. None: unknown. `areas`: where it works. Empty: everywhere.
    """

    id = models.BigAutoField(primary_key=True)
    worker_id = models.CharField(
        "crew id",
        max_length=WORKER_ID_LENGTH,
        unique=True,
        validators=[validate_single_line],
        help_text="The name that the crew claims with, such as van-3.",
    )
    name = models.CharField(
        max_length=100,
        blank=True,
        default="",
        db_default="",
        validators=[validate_single_line],
        help_text="What people call it. Empty: its id.",
    )
    capacity = models.IntegerField(
        "van capacity",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Bikes. The crew gets no task of more. Empty: unknown.",
    )
    areas = ArrayField(
        models.CharField(max_length=AREA_LENGTH, validators=[validate_single_line]),
        blank=True,
        default=list,
        db_default=[],
        help_text="The crew gets only tasks that begin in one of them. None: it works everywhere.",
    )
    language = models.CharField(
        max_length=8,
        choices=Language,
        default=Language.ENGLISH,
        db_default=Language.ENGLISH.value,
        help_text="The language that its people read.",
    )
    active = models.BooleanField(
        default=True, db_default=True, help_text="An inactive crew gets no task."
    )
    note = models.TextField(
        max_length=TEXT_LENGTH,
        blank=True,
        default="",
        db_default="",
        validators=[ProhibitNullCharactersValidator()],
    )
    # The last claim that found no task. `with_last_seen` knows all signs of life.
    last_seen_at = models.DateTimeField(null=True, editable=False)

    # Only on rows that were read `with_age_of_sight()` or `with_last_seen()`.
    sight_is_old = False
    seen_at: datetime | None

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
