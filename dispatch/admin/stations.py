from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html

from ..models import INT4_MAX, OutageKind, Station, StationStatus, Suggestion, Task
from ..stations import is_old, word_of
from .lookups import NamedLookups
from .moves import ago
from .operations import ID
from .routes import attach_names

MOST_MOVES, MOST_OUTAGES = 20, 10


class SystemFilter(admin.SimpleListFilter):
    title = "system"
    parameter_name = "system"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        systems = Station.objects.order_by("system").values_list("system", flat=True).distinct()
        return [(system, system) for system in systems]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(system=self.value()) if self.value() else queryset


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"
    UNKNOWN, GONE = "unknown", "gone"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*OutageKind.choices, (self.UNKNOWN, "Unknown"), (self.GONE, "Gone")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case None:
                return queryset
            case self.UNKNOWN:
                return queryset.filter(status=None)
            case self.GONE:
                return queryset.exclude(gone_at=None)
            case kind:
                return queryset.filter(outages__ended_at=None, outages__kind=kind)


@admin.register(Station)
class StationAdmin(NamedLookups):
    """What feeds tell; nothing of it is written here."""

    LOOKUPS = {"system": r"[^\0]+", "state": "[a-z]+"}

    list_display = ["number", "name", "fill", "state", "reported"]
    list_display_links = ["number", "name"]
    list_filter = [StateFilter, SystemFilter]
    list_per_page = 50
    list_max_show_all = 200
    show_full_result_count = False
    search_fields = ["name", "short_name"]
    search_help_text = "A station's number, or words of its name."
    sortable_by = ("number", "name")
    ordering = ["id"]
    actions = None
    change_form_template = "admin/dispatch/station_page.html"
    fields = (
        "state",
        "fill",
        "disabled",
        "reported",
        "number",
        "short_name",
        "system",
        "region",
        "capacity",
        "position",
        "gone_at",
    )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "title": "Stations"})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Only what there is to say."""
        return [name for name in self.fields if self.told(obj, name) not in (None, "")]

    def told(self, station: Station, name: str) -> Any:
        of_ours = getattr(self, name, None)
        return of_ours(station) if of_ours else getattr(station, name)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Station]:
        stations: QuerySet[Station] = super().get_queryset(request).select_related("status")
        return stations

    def search(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """A number finds the station, and those with it in their names."""
        for term in search_term.split():
            matches = Q(name__icontains=term) | Q(short_name__icontains=term)
            if ID.fullmatch(term) and int(term) <= INT4_MAX:
                matches |= Q(pk=term)
            queryset = queryset.filter(matches)
        return queryset, False

    @admin.display(description="Number", ordering="pk")
    def number(self, station: Station) -> int:
        return station.pk

    @admin.display(description="Fill", empty_value="")
    def fill(self, station: Station) -> str | None:
        status = status_of(station)
        return f"{status.bikes} of {status.working_size} bikes" if status else None

    @admin.display(description="Out of order", empty_value="")
    def disabled(self, station: Station) -> str | None:
        status = status_of(station)
        return f"{status.bikes_disabled} bikes, {status.docks_disabled} docks" if status else None

    @admin.display(description="State")
    def state(self, station: Station) -> str:
        status = status_of(station)
        told = "gone" if station.gone_at else word(status) if status else "unknown"
        return format_html('<span class="badge {0}">{0}</span>', told)

    @admin.display(description="Reported", empty_value="")
    def reported(self, station: Station) -> str | None:
        status = status_of(station)
        if status is None:
            return None
        longest = timedelta(minutes=settings.STATUS_MAX_AGE_MINUTES)
        age = ago(status.as_of) if status.as_of else "never"
        if not is_old(status.as_of, timezone.now(), longest):
            return age
        return format_html('{} <span class="badge overdue">old</span>', age)

    @admin.display(description="Position")
    def position(self, station: Station) -> str:
        return f"{station.lat:.5f}, {station.lon:.5f}"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        known = ID.fullmatch(object_id) and int(object_id) <= INT4_MAX
        station = self.get_object(request, object_id) if known else None
        context = {**(extra_context or {}), "title": str(station), "subtitle": ""}
        if station is not None:
            context |= surroundings(station)
        return super().change_view(request, object_id, form_url, context)


def status_of(station: Station) -> StationStatus | None:
    return getattr(station, "status", None)


def word(status: StationStatus) -> str:
    return word_of(
        status.bikes,
        status.docks,
        status.in_service,
        low=settings.LOW_FILL_PERCENT,
        high=settings.HIGH_FILL_PERCENT,
    )


def moves_at(number: int) -> tuple[list[Task], list[Suggestion]]:
    """Those from or to a station that are open or to decide, the most urgent first."""
    at_it = Q(from_station_id=number) | Q(to_station_id=number)
    tasks = Task.objects.open().filter(at_it).order_by("-priority", "id")
    suggestions = Suggestion.objects.filter(at_it).order_by("-priority", "id")
    return list(tasks[:MOST_MOVES]), list(suggestions[:MOST_MOVES])


def surroundings(station: Station) -> dict[str, Any]:
    """What else there is to see on its page."""
    tasks, suggestions = moves_at(station.pk)
    attach_names([*tasks, *suggestions])
    return {
        "station": station,
        "tasks": tasks,
        "suggestions": suggestions,
        "outages": station.outages.order_by("-started_at")[:MOST_OUTAGES],
        "aliases": station.aliases.order_by("id"),
    }
