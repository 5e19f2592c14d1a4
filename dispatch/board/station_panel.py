"""One station in detail: its status, open moves and recent outages."""

from dataclasses import dataclass
from datetime import datetime

from ..admin.stations import moves_at
from ..exceptions import NotFound
from ..models import Station, StationOutage, StationStatus
from ..overview.fill_levels import Reading
from ..overview.moves import OpenSuggestion, OpenTask, open_suggestion, open_task
from ..overview.station_views import StationView, StationViews, thresholds

OUTAGES_SHOWN = 5


@dataclass(frozen=True)
class StationPanel:
    view: StationView
    station: Station
    status: StationStatus | None
    tasks: list[OpenTask]
    suggestions: list[OpenSuggestion]
    outages: list[StationOutage]


def read_panel(number: int, now: datetime) -> StationPanel:
    """Raises NotFound if no feed has named the station."""
    station = Station.objects.select_related("status").filter(pk=number).first()
    if station is None:
        raise NotFound(f"No station has number {number}.")
    tasks, suggestions = moves_at(number)
    names = Station.objects.names_of(
        end for move in [*tasks, *suggestions] for end in (move.from_station_id, move.to_station_id)
    )
    views = StationViews((pk, StationView(pk, name)) for pk, name in names.items())
    outages = StationOutage.objects.filter(station=station).order_by("-started_at", "-id")
    status = getattr(station, "status", None)
    return StationPanel(
        view_of(station, status, now),
        station,
        status,
        [open_task(task, views, now) for task in tasks],
        [open_suggestion(suggestion, views, now) for suggestion in suggestions],
        list(outages[:OUTAGES_SHOWN]),
    )


def view_of(station: Station, status: StationStatus | None, now: datetime) -> StationView:
    if status is None:
        return StationView(station.pk, station.name)
    reading = Reading(status.bikes, status.docks, status.in_service, status.as_of)
    level = reading.level(thresholds(), now)
    return StationView(station.pk, station.name, level, reading=reading)
