"""The pages of the roster."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import pluralize
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.text import capfirst

from .. import services
from ..ingest.crews import COLUMNS, row_of
from ..models import Crew, Station, Task
from ..services.crews import faults_of_areas
from ..texts import isolated
from .crew_import import import_view
from .csv_lists import CsvList
from .moves import ago
from .phones import PhonesAdmin, page_of
from .routes import attach_names, crew_day_url
from .stations import AreaFilter, SystemFilter

FIELDS = ("worker_id", "name", "system", "areas", "capacity", "language", "active", "note")


class CrewForm(forms.ModelForm):
    """Offers the systems and areas of all stations, and those that the crew already has."""

    areas = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=Crew._meta.get_field("areas").help_text,
    )

    class Meta:
        model = Crew
        fields = FIELDS
        widgets = {"note": forms.Textarea(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "system" in self.fields:
            self.fields["system"] = self.system_field()
        self.systems_of = Station.objects.systems_of_areas()
        self.former = list(self.instance.areas)
        areas = sorted({*self.systems_of, *self.former})
        choice: Any = self.fields["areas"]
        choice.choices = [(area, area) for area in areas]
        if not areas:
            choice.help_text = "No station has an area yet."

    def system_field(self) -> forms.ChoiceField:
        systems = sorted({*Station.objects.systems(), *filter(None, [self.instance.system])})
        return forms.ChoiceField(
            required=False,
            choices=[("", "Every system"), *((system, system) for system in systems)],
            help_text="The crew gets only tasks of this system.",
        )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        system = cleaned.get("system", self.instance.system)
        crew = Crew(system=system, areas=cleaned.get("areas", []))
        for fault in faults_of_areas(crew, self.systems_of, self.former):
            self.add_error("areas", f"{capfirst(fault)}.")
        return cleaned


class WorkingAreaFilter(AreaFilter):
    """Crews that work in the area, including those that work everywhere."""

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Crew]:
        area = self.value()
        crews: QuerySet[Crew] = queryset.working_in(area) if area else queryset
        return crews


class OfSystemFilter(SystemFilter):
    """Crews of the system, and those without one."""

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Crew]:
        system = self.value()
        crews: QuerySet[Crew] = queryset.of_systems([system]) if system else queryset
        return crews


@admin.register(Crew)
class CrewAdmin(CsvList, PhonesAdmin):
    """The roster. A crew's id never changes: tasks and tokens name it."""

    LOOKUPS = {"active__exact": "[01]", "area": r"[^\0]+", "system": r"[^\0]+"}

    form = CrewForm
    fields = FIELDS
    csv_columns = tuple(COLUMNS.known)
    actions = None
    list_display = ["worker_id", "name", "where", "van", "state", "held", "phones", "last_seen"]
    list_filter = ["active", OfSystemFilter, WorkingAreaFilter]
    list_per_page = 50
    list_max_show_all = 200
    show_full_result_count = False
    search_fields = ["worker_id", "name", "note"]
    search_help_text = "Search by crew id, name or note."
    sortable_by = ("worker_id", "name", "state")
    change_list_template = "admin/dispatch/crew_list.html"
    change_form_template = "admin/dispatch/crew_page.html"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The system is a field if there are several, or if the crew has one."""
        has_system = bool(obj and obj.system) or len(Station.objects.systems()) > 1
        return [name for name in FIELDS if name != "system" or has_system]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else ("worker_id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Crew]:
        crews: Any = super().get_queryset(request)
        held = Task.objects.assigned().filter(worker_id=OuterRef("worker_id"))
        counts = held.order_by().values("worker_id").annotate(count=Count("pk")).values("count")
        counted: QuerySet[Crew] = crews.with_last_seen().annotate(
            open_tasks=Coalesce(Subquery(counts), 0),
            signed_in=Count("devices", filter=Q(devices__revoked_at__isnull=True, active=True)),
        )
        return counted

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.import_page)
        return [path("import/", page, name="crew_import"), *super().get_urls()]

    def import_page(self, request: HttpRequest) -> HttpResponse:
        return import_view(self, request)

    def csv_rows(self, rows: QuerySet[Crew]) -> Iterator[list[Any]]:
        return map(row_of, rows)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A crew that holds a task can only be made inactive."""
        is_free = obj is None or not held_by(obj).exists()
        return is_free and super().has_delete_permission(request, obj)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Lock the roster: two requests could add the same crew, and one of them would fail."""
        with transaction.atomic():
            if request.method == "POST":
                services.lock_roster()
            return super().changeform_view(request, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Crew, form: Any, change: bool) -> None:
        # A claim may have written last_seen_at since.
        obj.save(update_fields=FIELDS if change else None)

    def delete_model(self, request: HttpRequest, obj: Crew) -> None:
        # Otherwise the deletion would fail if a phone joins meanwhile.
        Crew.objects.select_for_update().filter(pk=obj.pk).first()
        super().delete_model(request, obj)

    def response_add(
        self, request: HttpRequest, obj: Crew, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Continue on the crew's page, where its phones are added."""
        if "_addanother" in request.POST:
            return super().response_add(request, obj, post_url_continue)
        self.message_user(
            request, f"Crew {isolated(str(obj))} was added. Add its phone next.", messages.SUCCESS
        )
        return HttpResponseRedirect(page_of(obj.pk))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["show_save_and_continue"] = False
        return super().render_change_form(request, context, *args, **kwargs)

    def page_context(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        crew = self.get_object(request, object_id)
        if crew is None:
            return {}
        tasks = list(held_by(crew).order_by("assigned_at", "id"))
        attach_names(tasks)
        return {
            "title": isolated(str(crew)),
            "subtitle": "",
            "tasks": tasks,
            **self.phone_context(request, crew),
            "seen_at": crew.seen_at,
            "day_url": crew_day_url(crew.worker_id),
        }

    # Columns

    @admin.display(description="Areas")
    def where(self, crew: Crew) -> str:
        return ", ".join(map(isolated, crew.places)) or "everywhere"

    @admin.display(description="Van", ordering="capacity", empty_value="")
    def van(self, crew: Crew) -> str | None:
        return f"{crew.capacity} bikes" if crew.capacity else None

    @admin.display(description="State", ordering="active")
    def state(self, crew: Crew) -> str:
        return "active" if crew.active else "inactive"

    @admin.display(description="Open tasks", empty_value="")
    def held(self, crew: Any) -> str | None:
        if not crew.open_tasks:
            return None
        url = reverse("admin:dispatch_task_changelist", query={"worker": crew.worker_id})
        text = f"{crew.open_tasks} task{pluralize(crew.open_tasks)}"
        return format_html('<a href="{}">{}</a>', url, text)

    @admin.display(description="Phones", empty_value="")
    def phones(self, crew: Any) -> str | None:
        number = crew.signed_in
        return f"{number} phone{pluralize(number)}" if number else None

    @admin.display(description="Last seen")
    def last_seen(self, crew: Crew) -> str:
        return format_html("{} ago", ago(crew.seen_at)) if crew.seen_at else "never"


def held_by(crew: Crew) -> QuerySet[Task]:
    return Task.objects.assigned().filter(worker_id=crew.worker_id)
