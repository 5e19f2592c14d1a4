"""The crews that a dispatcher may assign tasks to, the likeliest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Subquery

from ..models import Crew, Move, Station, Task
from ..planning.geo import in_words, kilometres
from ..texts import isolated

Place = tuple[float, float]


@dataclass(frozen=True)
class CrewChoice:
    """`km`: the distance from the end of its last task to the start of these. None: unknown."""

    crew: Crew
    is_free: bool
    km: float | None

    @property
    def label(self) -> str:
        crew = self.crew
        facts = [isolated(crew.worker_id)]
        if crew.name:
            facts.append(isolated(crew.name))
        facts.append(", ".join(map(isolated, crew.places)) or "everywhere")
        if crew.capacity is not None:
            facts.append(f"{crew.capacity} bikes")
        if self.km is not None:
            facts.append(f"{in_words(self.km)} away")
        return " · ".join(facts)


def crew_choices(moves: Sequence[Move]) -> list[CrewChoice]:
    """The active crews, except the holder of all these moves and those of other systems: free ones
    first, then the nearest."""
    own = Task.objects.filter(worker_id=OuterRef("worker_id"))
    sources = {move.from_station_id for move in moves}
    systems = Station.objects.filter(pk__in=sources).systems()
    crews: list[Any] = list(
        Crew.objects.active()
        .of_systems(systems)
        .annotate(
            is_busy=Exists(own.assigned()),
            last_target=Subquery(own.order_by("-id").values("to_station_id")[:1]),
        )
    )
    places = places_of({crew.last_target for crew in crews} | sources)
    start = places.get(sources.pop()) if len(sources) == 1 else None
    holders = {move.worker_id for move in moves if isinstance(move, Task)}
    choices = [
        CrewChoice(crew, not crew.is_busy, km_between(places.get(crew.last_target), start))
        for crew in crews
        if holders != {crew.worker_id}
    ]
    return sorted(choices, key=lambda each: (not each.is_free, each.km is None, each.km or 0))


def places_of(numbers: set[int]) -> dict[int, Place]:
    stations = Station.objects.filter(pk__in=numbers - {None})
    return {number: (lat, lon) for number, lat, lon in stations.values_list("pk", "lat", "lon")}


def km_between(here: Place | None, there: Place | None) -> float | None:
    return kilometres(*here, *there) if here and there else None
