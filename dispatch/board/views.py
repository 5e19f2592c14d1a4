"""The board's page, the state that it polls, and a station's card.

Every part of the page is rendered here, also for the refresh: the script only puts into the page
what has changed.
"""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import etag, require_safe

from baywheels.admin_site import BOARD_PERMISSIONS

from ..exceptions import NotFound
from ..kpi import Hour
from ..kpi.charts import Chart, charts_by_hour
from .buttons import may, with_buttons
from .card import read_card
from .fills import BY_NEED
from .markup import as_circles, as_rows
from .state import read_board
from .version import version_of

REFRESH_SECONDS = 15
PARTS = ("numbers", "map", "stations", "decide", "proposals", "waiting", "jobs", "crews", "day")
View = Callable[..., HttpResponse]


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
    number = request.GET.get("station", "")
    context = {
        **admin.site.each_context(request),
        "title": "Board",
        # Before the rest is read: what happens meanwhile is then fetched once more.
        "version": version_of(now, user=request.user),
        "every": REFRESH_SECONDS,
        "legend": [*reversed(BY_NEED)],
        **state_of(request, now),
    }
    if number.isascii() and number.isdigit():
        context.update(card_of(int(number), now))
    return render(request, "admin/dispatch/board.html", context)


def version_for(request: HttpRequest) -> str:
    return f'"{version_of(timezone.now(), user=request.user)}"'


@for_viewers
@gzip_page
@etag(version_for)
def state(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    context = state_of(request, now)
    parts = {
        name: render_to_string(f"admin/dispatch/board/{name}.html", context, request)
        for name in PARTS
    }
    return JsonResponse({"now": now, "parts": parts})


@for_viewers
def station(request: HttpRequest, number: int) -> HttpResponse:
    context = card_of(number, timezone.now())
    status = 200 if context["card"] else 404
    return render(request, "admin/dispatch/board/card.html", context, status=status)


def state_of(request: HttpRequest, now: datetime) -> dict[str, Any]:
    board = read_board(now)
    return {
        "board": board,
        "panes": [(pane, as_circles(pane.circles)) for pane in board.picture.panes],
        "station_rows": as_rows(board.stops),
        "charts": charts_of(board.hours),
        "may": may(request),
        "jobs": with_buttons(request, board.jobs),
    }


def charts_of(hours: list[Hour]) -> list[Chart]:
    return charts_by_hour(
        [f"{hour.start:%H:%M}" for hour in hours],
        [hour.share for hour in hours],
        [hour.tasks for hour in hours],
        [hour.bikes for hour in hours],
    )


def card_of(number: int, now: datetime) -> dict[str, Any]:
    try:
        return {"card": read_card(number, now)}
    except NotFound as missing:
        return {"card": None, "missing": str(missing)}
