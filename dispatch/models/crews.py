from collections.abc import Collection
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
from .systems import SYSTEM_LENGTH
from .tasks import Task
from .tokens import ApiToken


class Language(models.TextChoices):
    ENGLISH = "en", "English"
    SPANISH = "es", "Español"


ACTOR_LENGTH = 200
# While a crew keeps asking, last_seen_at lags by at most this: a write each time would cost more.
LAST_SEEN_PRECISION = timedelta(seconds=30)
LAST_SEEN_IS_OLD = Q(last_seen_at__isnull=True) | Q(last_seen_at__lte=Now() - LAST_SEEN_PRECISION)
# Events that a crew itself causes.
SIGNS_OF_LIFE = [
    EventKind.CLAIMED,
    EventKind.EXTENDED,
    EventKind.COMPLETED,
    EventKind.LATE_REPORT,
]
# The last sign of life is looked up in this many of a crew's newest tasks.
NEWEST_TASKS = 10


class CrewQuerySet(models.QuerySet["Crew"]):
    def active(self) -> "CrewQuerySet":
        return self.filter(active=True)

    def working_in(self, area: str) -> "CrewQuerySet":
        """Crews of this area, and those that work everywhere."""
        return self.filter(Q(areas=[]) | Q(areas__contains=[area]))

    def of_systems(self, systems: Collection[str]) -> "CrewQuerySet":
        """Crews of these systems, and those without one. Without any name: all crews."""
        return self.filter(system__in=["", *systems]) if systems else self

    def with_age_of_last_seen(self) -> "CrewQuerySet":
        """Add `last_seen_is_old`: True if the next sign of life must update last_seen_at."""
        columns = {"last_seen_is_old": ExpressionWrapper(LAST_SEEN_IS_OLD, models.BooleanField())}
        return self.annotate(**columns)

    def with_last_seen(self) -> "CrewQuerySet":
        """Add `seen_at`: the last empty claim, request of a phone or with a token, or work on a
        task."""
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

    `worker_id`: the name that it claims with. Crews that are not on the roster may claim, too: the
    roster only describes a crew and limits its tasks.
    `capacity`: bikes that fit the van. None: unknown. `system`: empty: it works in every one.
    `areas`: None named: it works everywhere in its system.
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
        help_text="In bikes. The crew gets no task that moves more. Empty: unknown.",
    )
    system = models.CharField(
        max_length=SYSTEM_LENGTH,
        blank=True,
        default="",
        db_default="",
        validators=[validate_single_line],
        help_text="The crew gets only tasks of this system. Empty: of every system.",
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
    # The last claim that found no task, or request of a phone. `with_last_seen` covers all signs
    # of life.
    last_seen_at = models.DateTimeField(null=True, editable=False)

    # Only on rows that were read `with_age_of_last_seen()` or `with_last_seen()`.
    last_seen_is_old = False
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

    @property
    def places(self) -> list[str]:
        """The names of its system and areas. Empty: it works everywhere."""
        return [*filter(None, [self.system]), *self.areas]

    @property
    def actor(self) -> str:
        """The actor of its phones' events, cut to the length of the column."""
        return f"crew {self.worker_id}"[:ACTOR_LENGTH]
