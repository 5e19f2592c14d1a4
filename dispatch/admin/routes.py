"""The stations of moves, read in one query for all moves of a page."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ..models import Move, Station
from ..overview.moves import Route
from ..overview.station_views import read_stations


def attach_names(moves: Sequence[Any]) -> None:
    """Set `from_name`, `to_name` and `path` on each move."""
    ends = {end for move in moves for end in (move.from_station_id, move.to_station_id)}
    stations = read_stations(timezone.now(), Station.objects.filter(pk__in=ends))
    for move in moves:
        move.path = Route(stations[move.from_station_id], stations[move.to_station_id])
        move.from_name, move.to_name = move.path.source.name, move.path.target.name


def crew_day_url(worker_id: str, day: date | None = None) -> str:
    """The page of a crew's day. None: today."""
    query = {"crew": worker_id, **({"day": day} if day else {})}
    return f"{reverse('crew-day')}?{urlencode(query)}"


def station_link(number: int, name: str) -> SafeString:
    """A link to the station's page; plain text if no feed has named the station."""
    if name == f"#{number}":
        return format_html('<bdi class="station">{}</bdi>', name)
    url = reverse("admin:dispatch_station_change", args=[number])
    return format_html(
        '<bdi><a class="station" href="{}" title="Station {}">{}</a></bdi>', url, number, name
    )


def link_to(move: Move) -> SafeString:
    """A link to the page of a suggestion or task, such as "task 12"."""
    kind = move._meta.model_name
    url = reverse(f"admin:dispatch_{kind}_change", args=[move.pk])
    return format_html('<a href="{}">{} {}</a>', url, kind, move.pk)


def route_of(move: Move) -> SafeString:
    """Both stations as links. Needs `attach_names` first."""
    named: Any = move
    return format_html(
        '<span class="route">{} <span class="arrow" aria-label="to">→</span> {}</span>',
        station_link(move.from_station_id, named.from_name),
        station_link(move.to_station_id, named.to_name),
    )
