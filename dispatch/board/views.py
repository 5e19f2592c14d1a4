"""The board's page, the state it polls, and the panel of one station.

The server renders every part of the page, also for a refresh: the script only replaces the parts
that have changed.
"""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.messages import get_messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.utils.html import conditional_escape
from django.views.decorators.http import conditional_page, etag, require_safe

from ..exceptions import NotFound
from ..kpi import Hour
from ..kpi.charts import Chart, charts_over_time
from ..overview.fill_levels import BY_URGENCY
from ..overview.station_search import station_number
from ..overview.station_views import read_stations
from ..roles import BOARD_PERMISSIONS
from .buttons import allowed_on_suggestions, with_buttons
from .calls import CallKind
from .filters import SUGGESTION_STATES, TASK_STATES, TASK_TROUBLES, BoardFilters
from .map_data import allow_tiles, feature_collection, states
from .state import read_board
from .station_panel import read_panel
from .version import version_of

REFRESH_SECONDS = 15
PARTS = (
    "calls",
    "summary",
    "filters",
    "map",
    "suggestion_count",
    "suggestions",
    "task_count",
    "tasks",
    "crews",
    "charts",
)
View = Callable[..., HttpResponse]


def polled(view: View) -> View:
    """Mark a view that pages call on their own. Such calls do not keep a session alive."""
    view.is_polled = True  # type: ignore[attr-defined]
    return view


def for_viewers(view: View) -> View:
    @wraps(view)
    def checked(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        if not request.user.has_perms(BOARD_PERMISSIONS):
            raise PermissionDenied
        return view(request, **kwargs)

    return require_safe(checked)


@for_viewers
def page(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    filters = BoardFilters.parse(request.GET)
    number = station_number(request.GET.get("station", ""))
    context = {
        **admin.site.each_context(request),
        "title": "Board",
        # Read first: a change during this request is then fetched by the next refresh.
        "version": version_of(now, user=request.user, filters=filters),
        "refresh_seconds": REFRESH_SECONDS,
        "legend": [*reversed(BY_URGENCY)],
        "tiles": settings.MAP_TILES,
        "attribution": settings.MAP_ATTRIBUTION,
        "call_kinds": [(kind, kind.label) for kind in CallKind if kind != CallKind.URGENT],
        "move_states": ("suggestion", *TASK_STATES),
        **state_context(request, now, filters),
    }
    if number is not None:
        context.update(panel_context(number, now))
    response = render(request, "admin/dispatch/board.html", context)
    allow_tiles(response)
    return response


def version_for(request: HttpRequest) -> str:
    filters = BoardFilters.parse(request.GET)
    return f'"{version_of(timezone.now(), user=request.user, filters=filters)}"'


@polled
@for_viewers
@etag(version_for)
def state(request: HttpRequest) -> HttpResponse:
    """The parts of the board, or 304 if nothing has changed."""
    return JsonResponse(current_state(request))


@for_viewers
def answer(request: HttpRequest) -> HttpResponse:
    """The board's state after one of its forms, and the messages about the result."""
    version = version_for(request)
    messages = [
        {"level": message.level_tag, "html": conditional_escape(message.message)}
        for message in get_messages(request)
    ]
    return JsonResponse({"version": version, "messages": messages, **current_state(request)})


def current_state(request: HttpRequest) -> dict[str, Any]:
    now = timezone.now()
    context = state_context(request, now, BoardFilters.parse(request.GET))
    parts = {
        name: render_to_string(f"admin/dispatch/board/{name}.html", context, request)
        for name in PARTS
    }
    return {"now": now, "parts": parts}


@polled
@for_viewers
def station(request: HttpRequest, number: int) -> HttpResponse:
    context = panel_context(number, timezone.now())
    status = 200 if context["panel"] else 404
    return render(request, "admin/dispatch/board/station_panel.html", context, status=status)


@polled
@for_viewers
@conditional_page
def places(_request: HttpRequest) -> HttpResponse:
    """The places of the stations as GeoJSON. Browsers cache it and revalidate each time."""
    features = feature_collection(read_stations(timezone.now()).values())
    response = JsonResponse(
        features,
        content_type="application/geo+json",
        json_dumps_params={"separators": (",", ":")},
    )
    patch_cache_control(response, private=True, no_cache=True)
    return response


def state_context(request: HttpRequest, now: datetime, filters: BoardFilters) -> dict[str, Any]:
    board = read_board(now, filters)
    return {
        "board": board,
        "suggestion_states": SUGGESTION_STATES,
        "task_states": {state: state for state in TASK_STATES} | TASK_TROUBLES,
        "station_states": states(board.stations),
        "charts": charts_of(board.hours),
        "allowed": allowed_on_suggestions(request),
        "tasks": with_buttons(request, board.tasks.rows),
    }


def charts_of(hours: list[Hour]) -> list[Chart]:
    return charts_over_time(
        [f"{hour.start:%H:%M}" for hour in hours],
        [hour.share for hour in hours],
        [hour.work for hour in hours],
    )


def panel_context(number: int, now: datetime) -> dict[str, Any]:
    try:
        return {"panel": read_panel(number, now)}
    except NotFound as missing:
        return {"panel": None, "missing": str(missing)}
