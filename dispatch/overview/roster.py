"""The active crews of the roster, and the tasks that none of them may take."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Count

from ..models import Crew, Task
from ..texts import isolated


@dataclass(frozen=True)
class Roster:
    """`crews`: the active ones. Without any, no task counts as one that no crew may take."""

    crews: Sequence[Crew] = ()

    def why_no_crew(self, area: str, qty: int) -> str:
        """Return a sentence if none of them may take such a task, else an empty text."""
        if not self.crews:
            return ""
        where = f"in {isolated(area)}" if area else "outside the known areas"
        there = [crew for crew in self.crews if not crew.areas or area in crew.areas]
        if not there:
            return f"No active crew works {where}."
        if any(crew.capacity is None or qty <= crew.capacity for crew in there):
            return ""
        return f"No active crew {where} has a van for {qty} bikes."

    def count_without_crew(self) -> int:
        """The ready tasks that none of them may take."""
        if not self.crews:
            return 0
        kinds = Task.objects.ready().order_by().values_list("area", "qty").annotate(Count("id"))
        return sum(count for area, qty, count in kinds if self.why_no_crew(area, qty))


def misfits(crew: Crew, task: Task) -> Iterator[str]:
    """Yield the reasons, as sentences, for which the crew could not have claimed the task."""
    if crew.areas and task.area not in crew.areas:
        where = isolated(task.area) if task.area else "the area of this task"
        yield f"Crew {isolated(crew.worker_id)} does not work in {where}."
    if crew.capacity is not None and task.qty > crew.capacity:
        yield f"Crew {isolated(crew.worker_id)} has a van for {crew.capacity} bikes."


def read_roster() -> Roster:
    return Roster(list(Crew.objects.active()))
