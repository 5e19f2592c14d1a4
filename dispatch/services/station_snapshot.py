"""The state of all stations at one moment, from which moves are planned."""

from dataclasses import dataclass

from django.db.models import Q, Sum
from django.db.models.functions import Now

from ..models import Station, Suggestion, Task
from ..planning.inventory import StationCapacity
from ..planning.planner import Pair, StationState
from .guard import capacities_of


@dataclass(frozen=True)
class Snapshot:
    """`stations`: those with a recent status and known docks. `unknown`: the number of
    others in the feeds.

    `open`: moves of open tasks and of other sources' suggestions. `own`: the planner's own ones.
    """

    stations: list[StationState]
    open: set[Pair]
    own: set[Pair]
    unknown: int


def read_snapshot(planner: str) -> Snapshot:
    """Read in four queries. Open suggestions count as promised, except those of `planner`."""
    # Suggestions before tasks: one approved in between is counted twice rather than missed.
    suggested = open_suggestions()
    others = [(start, end, qty) for start, end, source, qty in suggested if source != planner]
    tasks = Task.objects.open().values_list("from_station_id", "to_station_id").distinct()
    present = list(Station.objects.present())
    capacities = capacities_of([station.pk for station in present])
    for start, end, qty in others:
        if start in capacities:
            capacities[start] = capacities[start].after_pickup(qty)
        if end in capacities:
            capacities[end] = capacities[end].after_dropoff(qty)
    states = [state for each in present if (state := state_of(each, capacities[each.pk]))]
    return Snapshot(
        stations=states,
        open={(start, end) for start, end, _ in others} | set(tasks),
        own={(start, end) for start, end, source, _ in suggested if source == planner},
        unknown=len(present) - len(states),
    )


def state_of(station: Station, capacity: StationCapacity) -> StationState | None:
    """None: the station has no recent status, or an unknown number of docks."""
    if capacity.bikes is None or capacity.docks is None:
        return None
    return StationState(
        number=station.pk,
        name=station.name,
        lat=station.lat,
        lon=station.lon,
        bikes=capacity.bikes,
        docks=capacity.docks,
        capacity=station.capacity,
        in_service=capacity.in_service,
        promised_in=capacity.promised_in,
        promised_out=capacity.promised_out,
        system=station.system,
    )


def open_suggestions() -> list[tuple[int, int, str, int]]:
    """The stations, source and total bikes of each suggested move that has not expired."""
    unexpired = Suggestion.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()))
    moves = unexpired.values_list("from_station_id", "to_station_id", "source")
    return list(moves.annotate(Sum("qty")))
