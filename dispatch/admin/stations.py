from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import OrderBy
from django.db.models.functions import NullIf
from django.http import HttpRequest
from django.template.defaultfilters import pluralize
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import capfirst

from ..models import INT4_MAX, Station, StationStatus, Suggestion, Task
from ..overview.fill_levels import FillLevel, Reading
from ..overview.station_search import search_stations
from ..overview.station_views import StationView, read_stations, thresholds
from ..stations import availability, is_old, label_of
from ..texts import isolated
from .base import ID, ReadOnlyAdmin
from .csv_lists import CsvList
from .moves import ago
from .routes import attach_names

MOVES_SHOWN, OUTAGES_SHOWN = 20, 10
FILL = F("status__bikes") * 100 / NullIf(F("status__bikes") + F("status__docks"), 0)


class SystemFilter(admin.SimpleListFilter):
    """Shown if there are several systems."""

    title = "system"
    parameter_name = "system"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        systems = Station.objects.systems()
        return [(system, system) for system in systems] if len(systems) > 1 else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(system=self.value()) if self.value() else queryset


class AreaFilter(admin.SimpleListFilter):
    title = "area"
    parameter_name = "area"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(area, area) for area in Station.objects.areas()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(area=self.value()) if self.value() else queryset


class StateFilter(admin.SimpleListFilter):
    """By fill level, as on the board."""

    title = "state"
    parameter_name = "state"
    GONE = "gone"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        states = [*reversed(FillLevel), self.GONE]
        return [(state, capfirst(label_of(state))) for state in states]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        if self.value() == self.GONE:
            return queryset.exclude(gone_at=None)
        views = read_stations(timezone.now()).values()
        return queryset.filter(pk__in=[each.id for each in views if each.level == self.value()])


@admin.register(Station)
class StationAdmin(CsvList, ReadOnlyAdmin):
    """Stations, read-only: their feeds are the only source."""

    LOOKUPS = {"system": r"[^\0]+", "state": "[a-z]+", "area": r"[^\0]+"}

    list_display = ["number", "name", "area", "available", "percent", "state", "reported"]
    list_display_links = ["number", "name"]
    list_filter = [StateFilter, AreaFilter, SystemFilter]
    change_list_template = "admin/dispatch/list.html"
    list_per_page = 50
    list_max_show_all = 200
    show_full_result_count = False
    search_fields = ["name", "short_name"]
    search_help_text = "Search by number, short name, name or area."
    sortable_by = ("number", "name", "area", "available", "percent", "reported")
    ordering = ["id"]
    change_form_template = "admin/dispatch/station_page.html"
    fields = (
        "state",
        "available",
        "broken",
        "reported",
        "number",
        "short_name",
        "system",
        "area",
        "capacity",
        "position",
        "gone_at",
    )

    csv_columns = (
        "id",
        "short_name",
        "name",
        "area",
        "system",
        "lat",
        "lon",
        "capacity",
        "bikes",
        "docks",
        "percent",
        "state",
        "reported_at",
        "gone_at",
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.filled_fields(obj)

    def missing_message(self, pk: int) -> str:
        return f"No station has number {pk}."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Station]:
        stations: QuerySet[Station] = super().get_queryset(request).select_related("status")
        return stations

    def csv_objects(self, rows: Iterable[Any]) -> Iterator[Any]:
        for station in rows:
            status = status_of(station)
            station.state, station.percent = state_of(station), view_of(station).percent
            station.bikes, station.docks = (status.bikes, status.docks) if status else ("", "")
            station.reported_at = status.as_of if status else None
            yield station

    def search(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term:
            return queryset, False
        found = search_stations(queryset, search_term)
        return found.order_by(*queryset.query.order_by) if "o" in request.GET else found, False

    @admin.display(description="Number", ordering="pk")
    def number(self, station: Station) -> int:
        return station.pk

    @admin.display(description="Available", empty_value="", ordering="status__bikes")
    def available(self, station: Station) -> str | None:
        status = status_of(station)
        return availability(status.bikes, status.docks) if status else None

    @admin.display(description="% full", empty_value="", ordering=OrderBy(FILL, nulls_last=True))
    def percent(self, station: Station) -> int | None:
        return view_of(station).percent

    @admin.display(description="Broken", empty_value="")
    def broken(self, station: Station) -> str | None:
        status = status_of(station)
        if status is None:
            return None
        bikes, docks = status.bikes_disabled, status.docks_disabled
        return f"{bikes} bike{pluralize(bikes)}, {docks} dock{pluralize(docks)}"

    @admin.display(description="State")
    def state(self, station: Station) -> str:
        state = state_of(station)
        return format_html('<span class="badge {}">{}</span>', state, label_of(state))

    @admin.display(description="Reported", empty_value="", ordering="status__as_of")
    def reported(self, station: Station) -> str | None:
        status = status_of(station)
        if status is None:
            return None
        max_age = timedelta(minutes=settings.STATUS_MAX_AGE_MINUTES)
        age = format_html("{} ago", ago(status.as_of)) if status.as_of else "never"
        if not is_old(status.as_of, timezone.now(), max_age):
            return age
        return format_html('{} <span class="badge overdue">old</span>', age)

    @admin.display(description="Position")
    def position(self, station: Station) -> str:
        return f"{station.lat:.5f}, {station.lon:.5f}"

    def page_context(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        known = ID.fullmatch(object_id) and int(object_id) <= INT4_MAX
        station = self.get_object(request, object_id) if known else None
        context: dict[str, Any] = {"title": isolated(str(station)), "subtitle": ""}
        if station is not None:
            context |= related_rows(station)
        return context


def status_of(station: Station) -> StationStatus | None:
    return getattr(station, "status", None)


def view_of(station: Station) -> StationView:
    status = status_of(station)
    if status is None:
        return StationView(station.pk, station.name)
    reading = Reading(status.bikes, status.docks, status.in_service, status.as_of)
    level = reading.level(thresholds(), timezone.now())
    return StationView(station.pk, station.name, level, reading=reading)


def state_of(station: Station) -> str:
    """The fill level, as on the board, or "gone"."""
    return StateFilter.GONE if station.gone_at else view_of(station).level


def moves_at(number: int) -> tuple[list[Task], list[Suggestion]]:
    """Open tasks and suggestions from or to a station, the most urgent first."""
    at_station = Q(from_station_id=number) | Q(to_station_id=number)
    tasks = Task.objects.open().filter(at_station).order_by("-priority", "id")
    suggestions = Suggestion.objects.filter(at_station).order_by("-priority", "id")
    return list(tasks[:MOVES_SHOWN]), list(suggestions[:MOVES_SHOWN])


def related_rows(station: Station) -> dict[str, Any]:
    """The rows shown below the station's own fields."""
    tasks, suggestions = moves_at(station.pk)
    attach_names([*tasks, *suggestions])
    return {
        "station": station,
        "tasks": tasks,
        "suggestions": suggestions,
        "outages": station.outages.order_by("-started_at")[:OUTAGES_SHOWN],
        "aliases": station.aliases.order_by("id"),
    }
