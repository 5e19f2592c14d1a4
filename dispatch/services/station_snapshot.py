"""How full the stations are, and what is promised of it: what a plan of moves starts from."""

from dataclasses import dataclass

from django.db.models import Q, Sum
from django.db.models.functions import Now

from ..models import Station, Suggestion, Task
from ..planning.inventory import Room
from ..planning.planner import Pair, Stand
from .guard import rooms_of


@dataclass(frozen=True)
class Standing:
    """`open`: moves that others propose or tasks make, `own`: those that only the asker proposes.

    `unknown`: how many present stations have no fresh status.
    """

    stands: list[Stand]
    open: set[Pair]
    own: set[Pair]
    unknown: int


def read_standing(asker: str) -> Standing:
    """In four queries. What the source that asks proposes itself promises nothing."""
    # Suggestions before tasks: what is approved between the two is counted twice, not missed.
    suggested = open_suggestions()
    others = [(start, end, qty) for start, end, source, qty in suggested if source != asker]
    tasks = Task.objects.open().values_list("from_station_id", "to_station_id").distinct()
    stations = list(Station.objects.present())
    rooms = rooms_of([station.pk for station in stations])
    for start, end, qty in others:
        if start in rooms:
            rooms[start] = rooms[start].giving(qty)
        if end in rooms:
            rooms[end] = rooms[end].taking(qty)
    stands = [stand for each in stations if (stand := stand_at(each, rooms[each.pk]))]
    return Standing(
        stands=stands,
        open={(start, end) for start, end, _ in others} | set(tasks),
        own={(start, end) for start, end, source, _ in suggested if source == asker},
        unknown=len(stations) - len(stands),
    )


def stand_at(station: Station, room: Room) -> Stand | None:
    """None: nobody knows how full it is."""
    if room.bikes is None or room.docks is None:
        return None
    return Stand(
        number=station.pk,
        name=station.name,
        lat=station.lat,
        lon=station.lon,
        bikes=room.bikes,
        docks=room.docks,
        in_service=room.in_service,
        promised_in=room.promised_in,
        promised_out=room.promised_out,
        system=station.system,
    )


def open_suggestions() -> list[tuple[int, int, str, int]]:
    """From, to, source, and how many bikes in all suggestions of that move together."""
    lasting = Suggestion.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()))
    moves = lasting.values_list("from_station_id", "to_station_id", "source")
    return list(moves.annotate(Sum("qty")))
