"""Answers for the form of a new move while the user types: stations to choose, and a verdict."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from ..models import Station, Suggestion
from ..overview.fit_checks import moves_under_way
from ..overview.moves import view_moves
from ..overview.station_search import search_stations, station_number
from ..overview.station_views import StationView, read_stations
from ..texts import printable
from .station_field import StationField, chosen_text

CHOICES = 12
View = Callable[[HttpRequest], HttpResponse]


def for_authors(view: View) -> View:
    """Allow users who may add tasks or suggestions."""

    @wraps(view)
    def checked(request: HttpRequest) -> HttpResponse:
        may = request.user.has_perm
        if not (may("dispatch.add_task") or may("dispatch.add_suggestion")):
            raise PermissionDenied
        return view(request)

    return require_safe(checked)


@for_authors
def station_choices(request: HttpRequest) -> HttpResponse:
    text = printable(request.GET.get("q", ""), " ")
    stations = list(search_stations(Station.objects.present(), text)[:CHOICES])
    views = read_stations(
        timezone.now(), Station.objects.filter(pk__in=[station.pk for station in stations])
    )
    choices = [choice(station, views[station.pk]) for station in stations]
    return JsonResponse({"choices": choices})


def choice(station: Station, view: StationView) -> dict[str, str]:
    """`text` fills the field; `name` and `detail` are shown in the list."""
    details = [view.area, view.summary, station.short_name, f"#{station.pk}"]
    return {
        "text": chosen_text(station),
        "name": station.name,
        "detail": " · ".join(filter(None, details)),
        "level": view.level,
    }


@for_authors
def move_verdict(request: HttpRequest) -> HttpResponse:
    """The guard's verdict on the move typed so far, as a part of the page."""
    errors: list[str] = []
    source, target = (
        typed_station(printable(request.GET.get(name, "")), errors)
        for name in ("from_station_id", "to_station_id")
    )
    context: dict[str, Any] = {"errors": errors}
    if source is not None and target is not None and source != target:
        qty = station_number(request.GET.get("qty", "")) or 0
        move = Suggestion(from_station_id=source, to_station_id=target, qty=qty)
        context["item"] = view_moves([move], timezone.now())[move.pk]
        context["under_way"] = moves_under_way(move)
    return render(request, "admin/dispatch/move_verdict.html", context)


def typed_station(text: str, errors: list[str]) -> int | None:
    """None: the text names no station yet. A wrong number is an error; a name may be unfinished."""
    try:
        return StationField().clean(text)
    except ValidationError as error:
        if station_number(text) is not None:
            errors += error.messages
        return None
