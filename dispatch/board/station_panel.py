"""One station in detail: its status, open moves and recent outages."""

from dataclasses import dataclass
from datetime import datetime

from ..admin.stations import moves_at
from ..exceptions import NotFound
from ..models import Station, StationOutage, StationStatus
from ..overview.fit_checks import check_fit
from ..overview.moves import OpenSuggestion, OpenTask, open_suggestion, open_tasks
from ..overview.roster import read_roster
from ..overview.station_views import StationView, read_stations

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
    ends = {
        end for move in [*tasks, *suggestions] for end in (move.from_station_id, move.to_station_id)
    }
    views = read_stations(now, Station.objects.filter(pk__in={number, *ends}))
    checks = check_fit(suggestions)
    roster = read_roster()
    outages = StationOutage.objects.filter(station=station).order_by("-started_at", "-id")
    return StationPanel(
        views[number],
        station,
        getattr(station, "status", None),
        open_tasks(tasks, views, now, roster),
        [open_suggestion(each, views, now, checks[each.pk]) for each in suggestions],
        list(outages[:OUTAGES_SHOWN]),
    )
