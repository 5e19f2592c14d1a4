"""The active crews of the roster, and the tasks that none of them may take."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from ..models import INT4_MAX, Crew, CrewDevice, Task
from ..models.tasks import TaskQuerySet
from ..texts import isolated


@dataclass(frozen=True)
class Roster:
    """`crews`: the active ones. Without any, no task counts as one that no crew may take.

    `phones`: those with a phone that is signed in.
    """

    crews: Sequence[Crew] = ()
    phones: frozenset[str] = frozenset()

    def why_no_crew(self, system: str, area: str, qty: int) -> str:
        """Return a sentence if none of them may take such a task, else an empty text."""
        most = self.most_bikes(system, area)
        if not self.crews or qty <= most:
            return ""
        where = f"in {isolated(area)}" if area else "outside the known areas"
        if not most:
            return f"No active crew works {where}."
        return f"No active crew {where} has a van for {qty} bikes."

    def most_bikes(self, system: str, area: str) -> int:
        """The bikes of the largest task that one of them may take there. 0: none works there."""
        there = [
            crew
            for crew in self.crews
            if crew.system in ("", system) and (not crew.areas or area in crew.areas)
        ]
        return max((crew.capacity or INT4_MAX for crew in there), default=0)

    def without_crew(self) -> TaskQuerySet:
        """The ready tasks that none of them may take."""
        ready = Task.objects.ready()
        if not self.crews:
            return ready.none()
        places = ready.order_by().values_list("system", "area").distinct()
        too_large = (
            Q(system=system, area=area, qty__gt=self.most_bikes(system, area))
            for system, area in places
        )
        return ready.filter(reduce(or_, too_large, Q(pk__in=[])))


def misfits(crew: Crew, task: Task) -> Iterator[str]:
    """Yield the reasons, as sentences, for which the crew could not have claimed the task."""
    if crew.system not in ("", task.system):
        yield f"Crew {isolated(crew.worker_id)} belongs to {isolated(crew.system)}."
    if crew.areas and task.area not in crew.areas:
        where = isolated(task.area) if task.area else "the area of this task"
        yield f"Crew {isolated(crew.worker_id)} does not work in {where}."
    if crew.capacity is not None and task.qty > crew.capacity:
        yield f"Crew {isolated(crew.worker_id)} has a van for {crew.capacity} bikes."


def with_phone(crews: QuerySet[Crew]) -> QuerySet[Crew]:
    """Add `has_phone`: True if a phone is signed in as the crew."""
    phones = CrewDevice.objects.usable().filter(crew=OuterRef("pk"))
    return crews.annotate(has_phone=Exists(phones))


def roster_of(crews: Iterable[Any]) -> Roster:
    """`crews`: the active ones, `with_phone()`."""
    listed = list(crews)
    return Roster(listed, frozenset(crew.worker_id for crew in listed if crew.has_phone))


def read_roster() -> Roster:
    return roster_of(with_phone(Crew.objects.active()))
