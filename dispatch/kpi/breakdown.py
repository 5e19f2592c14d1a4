"""The work by crew and by area. No database."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from .crew_work import CrewWork
from .durations import count, median_minutes
from .intervals import minutes
from .places import Place, Places

Key = TypeVar("Key")


@dataclass(frozen=True)
class WorkFigures:
    """`ready_to_claim`, `claim_to_completion`: median minutes; None: there are none. `given_back`:
    released before the lease ended. `given_back_percent`: of the claims; None: there are none."""

    claimed: int
    completed: int
    bikes: int
    ready_to_claim: float | None
    claim_to_completion: float | None
    released: int
    given_back: int
    given_back_percent: float | None
    late_reports: int


@dataclass(frozen=True)
class CrewFigures:
    """`name`: on the roster. Empty: it has none there."""

    worker_id: str
    name: str
    work: WorkFigures


@dataclass(frozen=True)
class ReadyTasks:
    count: int
    oldest: datetime


@dataclass(frozen=True)
class AreaFigures:
    """`ready`: tasks that are ready now. `oldest_ready`: the age of the oldest, in minutes; None:
    there are none."""

    place: Place
    work: WorkFigures
    ready: int
    oldest_ready: float | None


def summarize(works: Collection[CrewWork]) -> WorkFigures:
    claimed = sum(work.claimed for work in works)
    released = sum(work.released for work in works)
    given_back = released - sum(work.lease_ended for work in works)
    return WorkFigures(
        claimed=claimed,
        completed=sum(work.completed for work in works),
        bikes=sum(work.bikes for work in works),
        ready_to_claim=median_minutes(
            count(waits for work in works for waits in (work.from_approval, work.from_release))
        ),
        claim_to_completion=median_minutes(count(work.working for work in works)),
        released=released,
        given_back=given_back,
        given_back_percent=100 * given_back / claimed if claimed else None,
        late_reports=sum(work.late_reports for work in works),
    )


def by_crew(works: Iterable[CrewWork], names: Mapping[str, str]) -> list[CrewFigures]:
    """Return the crews in order of their names, or of their ids without one."""
    found = [
        CrewFigures(worker_id, names.get(worker_id, ""), summarize(group))
        for worker_id, group in grouped(works, lambda work: work.worker_id).items()
    ]
    return sorted(found, key=by_name)


def by_name(crew: CrewFigures) -> tuple[str, str]:
    return (crew.name or crew.worker_id).casefold(), crew.worker_id


def by_area(
    works: Iterable[CrewWork], places: Places, ready: Mapping[Place, ReadyTasks], now: datetime
) -> list[AreaFigures]:
    """Return the areas with work or with ready tasks, in order of their systems and names."""
    groups = grouped(works, lambda work: places.place(work.system, work.area))
    return [
        AreaFigures(
            place,
            summarize(groups.get(place, [])),
            tasks.count if (tasks := ready.get(place)) else 0,
            minutes(tasks.oldest, now) if tasks else None,
        )
        for place in sorted(groups.keys() | ready.keys())
    ]


def grouped(works: Iterable[CrewWork], key: Callable[[CrewWork], Key]) -> dict[Key, list[CrewWork]]:
    groups: dict[Key, list[CrewWork]] = defaultdict(list)
    for work in works:
        groups[key(work)].append(work)
    return groups
