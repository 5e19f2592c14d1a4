"""How full the stations are, and what is promised of it: what a plan of moves starts from."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, Sum
from django.db.models.functions import Now

from ..models import Station, StationStatus, Suggestion, Task, TaskStatus
from ..planning import Pair, Stand

# A status from before a task was completed does not show it. Older tasks are not looked through.
OLDEST_TASK = timedelta(days=1)


@dataclass(frozen=True)
class Standing:
    """`made`: moves that are open already. `unknown`: present stations without a fresh status.

    `now`: the database's clock; None: no station has a fresh status.
    """

    stands: list[Stand]
    made: set[Pair]
    unknown: int
    now: datetime | None


def max_age() -> timedelta:
    return timedelta(minutes=settings.STATUS_MAX_AGE_MINUTES)


def read_standing(*, without: str) -> Standing:
    """In five queries. Suggestions of the source `without` promise nothing."""
    rows = fresh_statuses()
    # What is approved between the two is counted twice then, not missed.
    suggested = list(open_suggestions(without))
    under_way = list(open_tasks())
    promised_in, promised_out = Counter[int](), Counter[int]()
    for source, target, qty in suggested + under_way:
        promised_out[source] += qty
        promised_in[target] += qty
    as_of = {stand.number: told_at for stand, told_at, _ in rows}
    for source, target, qty, completed_at in lately_completed():
        if source in as_of and as_of[source] < completed_at:
            promised_out[source] += qty
        if target in as_of and as_of[target] < completed_at:
            promised_in[target] += qty
    return Standing(
        stands=[
            replace(
                stand,
                promised_in=promised_in[stand.number],
                promised_out=promised_out[stand.number],
            )
            for stand, _, _ in rows
        ],
        made={(source, target) for source, target, _ in suggested + under_way},
        unknown=Station.objects.present().count() - len(rows),
        now=rows[0][2] if rows else None,
    )


def fresh_statuses() -> list[tuple[Stand, datetime, datetime]]:
    """Each with the time that it is of, and the time now."""
    fresh = StationStatus.objects.filter(station__gone_at=None, as_of__gte=Now() - max_age())
    return [
        (
            Stand(
                number=status.station_id,
                name=status.station.name,
                lat=status.station.lat,
                lon=status.station.lon,
                bikes=status.bikes,
                docks=status.docks,
                in_service=status.in_service,
                system=status.station.system,
            ),
            status.as_of,
            status.now,
        )
        for status in fresh.select_related("station").annotate(now=Now())
        if status.as_of is not None
    ]


def open_suggestions(without: str) -> Iterator[tuple[int, int, int]]:
    """From, to and how many bikes, of all suggestions of a move together."""
    lasting = Suggestion.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()))
    moves = lasting.exclude(source=without).values_list("from_station_id", "to_station_id")
    return moves.annotate(Sum("qty")).iterator()


def open_tasks() -> Iterator[tuple[int, int, int]]:
    moves = Task.objects.open().values_list("from_station_id", "to_station_id")
    return moves.annotate(Sum("qty")).iterator()


def lately_completed() -> Iterator[tuple[int, int, int, datetime]]:
    tasks = Task.objects.filter(
        status=TaskStatus.COMPLETED,
        created_at__gte=Now() - OLDEST_TASK,
        completed_at__gte=Now() - max_age(),
    )
    for task in tasks.iterator():
        if task.moved_qty and task.completed_at:
            yield task.from_station_id, task.to_station_id, task.moved_qty, task.completed_at
