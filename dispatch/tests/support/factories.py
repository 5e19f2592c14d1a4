from datetime import UTC, datetime

import factory
from django.db import connection

from dispatch import services
from dispatch.models import Crew, Station, StationStatus, Suggestion, Task, TaskStatus, User

# In the past on every clock, so "expired" and "old" hold in any year. Not near midnight or a change
# to or from summer time.
MORNING = datetime(2015, 5, 4, 8, 0, tzinfo=UTC)


class MoveFactory(factory.django.DjangoModelFactory):
    class Meta:
        abstract = True

    @classmethod
    def insert_batch(cls, size, **fields):
        """Insert rows that differ only in their ids. Fast: some tests need thousands."""
        if not size:
            return
        first = cls(**fields)
        table = cls._meta.model._meta
        columns = ", ".join(field.column for field in table.concrete_fields if field.column != "id")
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table.db_table} ({columns}) SELECT {columns}"
                f" FROM {table.db_table}, generate_series(2, %s) WHERE id = %s",
                [size, first.pk],
            )


class SuggestionFactory(MoveFactory):
    class Meta:
        model = Suggestion

    from_station_id = 100
    to_station_id = 200
    qty = 5
    reason = "Station 100 is full, Station 200 needs bikes"


class TaskFactory(MoveFactory):
    class Meta:
        model = Task

    class Params:
        assigned = factory.Trait(
            status=TaskStatus.ASSIGNED, worker_id="van-1", assigned_at=MORNING, attempt=1
        )
        completed = factory.Trait(
            status=TaskStatus.COMPLETED,
            worker_id="van-1",
            assigned_at=MORNING,
            attempt=1,
            completed_at=MORNING,
            moved_qty=5,
        )
        cancelled = factory.Trait(status=TaskStatus.CANCELLED, cancelled_at=MORNING)

    from_station_id = 100
    to_station_id = 200
    qty = 5
    reason = "Station 100 is full, Station 200 needs bikes"


class StationFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Station

    id = factory.Sequence(lambda n: n + 1)
    system = "bay"
    name = factory.LazyAttribute(lambda station: f"Market St at {station.id}th St")
    lat = 37.7749
    lon = -122.4194
    capacity = 35


class StationStatusFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = StationStatus

    station = factory.SubFactory(StationFactory)
    bikes = 2
    docks = 33
    as_of = MORNING


class CrewFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Crew

    worker_id = factory.Sequence(lambda number: f"crew-{number}")


class UserFactory(factory.django.DjangoModelFactory):
    """A dispatcher with every permission in the console."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"dispatcher-{n}")
    is_staff = True
    is_superuser = True
    password = factory.django.Password("a long enough password")


def claimed(worker_id="van-1", **fields):
    """Create a ready task with these fields and claim the oldest ready task."""
    TaskFactory(**fields)
    return services.claim_next_task(worker_id, actor="api")
