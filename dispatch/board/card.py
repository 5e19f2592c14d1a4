"""One station in full: how it stands, what is on its way to it and from it, when it was out."""

from dataclasses import dataclass
from datetime import datetime

from ..admin.stations import moves_at
from ..exceptions import NotFound
from ..models import Station, StationOutage, StationStatus, Suggestion
from .fills import Fill, Level
from .moves import Job, as_job
from .stops import Stop, Stops, limits

MOST_OUTAGES = 5


@dataclass(frozen=True)
class Card:
    stop: Stop
    station: Station
    status: StationStatus | None
    jobs: list[Job]
    proposals: list[tuple[Suggestion, Stop, Stop]]
    outages: list[StationOutage]


def read_card(number: int, now: datetime) -> Card:
    """NotFound: no feed has ever named such a station."""
    station = Station.objects.select_related("status").filter(pk=number).first()
    if station is None:
        raise NotFound(f"Station #{number} is not known: no feed has named it.")
    tasks, proposed = moves_at(number)
    names = Station.objects.names_of(
        end for move in [*tasks, *proposed] for end in (move.from_station_id, move.to_station_id)
    )
    stops = Stops((pk, Stop(pk, name)) for pk, name in names.items())
    outages = StationOutage.objects.filter(station=station).order_by("-started_at", "-id")
    status = getattr(station, "status", None)
    return Card(
        as_stop(station, status, now),
        station,
        status,
        [as_job(task, stops, now) for task in tasks],
        [(each, stops[each.from_station_id], stops[each.to_station_id]) for each in proposed],
        list(outages[:MOST_OUTAGES]),
    )


def as_stop(station: Station, status: StationStatus | None, now: datetime) -> Stop:
    if status is None:
        return Stop(station.pk, station.name, Fill.UNKNOWN)
    level = Level(status.bikes, status.docks, status.in_service, status.as_of)
    return Stop(station.pk, station.name, level.fill(limits(), now), level=level)
