from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from .. import services
from ..models import Station, Suggestion, TaskEvent
from ..overview.fit_checks import check_fit, warn_together
from ..services.suggestions import decision_on
from .activity_filter import about_suggestion
from .assignments import APPROVE_AND_ASSIGN
from .forms import RejectForm
from .history import activity_url
from .moves import Button, MoveAdmin, ago, priority_operations
from .operations import Operation
from .routes import link_to
from .stations import SystemFilter

# The source of suggestions that a dispatcher adds.
CONSOLE = "console"


class SourceFilter(admin.SimpleListFilter):
    title = "source"
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        sources = Suggestion.objects.order_by("source").values_list("source", flat=True).distinct()
        return [(source, source) for source in sources if source]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Suggestion]
    ) -> QuerySet[Suggestion]:
        return queryset.filter(source=self.value()) if self.value() else queryset


class FromSystemFilter(SystemFilter):
    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Suggestion]
    ) -> QuerySet[Suggestion]:
        if not self.value():
            return queryset
        stations = Station.objects.filter(system=self.value())
        return queryset.filter(from_station_id__in=stations.values("pk"))


class PriorityFilter(admin.SimpleListFilter):
    title = "priority"
    parameter_name = "urgency"
    RANGES = {
        "raised": {"priority__gt": 0},
        "normal": {"priority": 0},
        "lowered": {"priority__lt": 0},
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name.capitalize()) for name in self.RANGES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**self.RANGES.get(self.value() or "", {}))


def must_confirm(suggestions: Sequence[Suggestion]) -> bool:
    """True for many suggestions, or for one if none of its bikes fits."""
    checks = check_fit(suggestions).values()
    return len(suggestions) > 1 or any(check.needs_confirmation for check in checks)


def task_link(approval: services.Approval) -> str:
    task = approval.task
    return format_html("{} ({} bike{})", link_to(task), task.qty, pluralize(task.qty))


def undo_url(model: str, pk: int) -> str:
    return reverse(f"admin:dispatch_{model}_changelist") + f"{pk}/undo/"


@admin.register(Suggestion)
class SuggestionAdmin(MoveAdmin):
    list_display = ["id", "route", "qty", "priority", "age", "source", "buttons"]
    list_filter = [SourceFilter, PriorityFilter, FromSystemFilter]
    search_fields = ["reason"]
    search_help_text = "Search by station or suggestion number, station name, area or reason."
    text_fields = ("reason",)
    ordering = ["-priority", "created_at", "id"]
    change_form_template = "admin/dispatch/move_page.html"
    add_fields = ("from_station_id", "to_station_id", "qty", "reason", "priority", "expires_at")
    fields = ("priority", "source", "created_at", "expires_at")
    csv_columns = (*MoveAdmin.MOVE_COLUMNS, "expires_at")
    operations = (
        Operation(
            name="approve",
            label="Approve",
            done="approved",
            permission="approve",
            run=services.approve_suggestion,
            run_many=services.approve_suggestions,
            asks=must_confirm,
            cautions=warn_together,
            note=task_link,
            warnings=lambda approval: approval.warnings,
            undo_url=lambda approval: undo_url("task", approval.task.pk),
            in_list=True,
        ),
        Operation(
            name="fit",
            label="Approve as many as fit",
            question="Approve as many bikes as fit of {rows}",
            done="approved",
            permission="approve",
            run=partial(services.approve_suggestion, fit=True),
            run_many=partial(services.approve_suggestions, fit=True),
            cautions=partial(warn_together, fit=True),
            note=task_link,
            warnings=lambda approval: approval.warnings,
            undo_url=lambda approval: undo_url("task", approval.task.pk),
            in_list=True,
        ),
        APPROVE_AND_ASSIGN,
        Operation(
            name="reject",
            label="Reject",
            done="rejected",
            permission="reject",
            run=services.reject_suggestion,
            form=RejectForm,
            undo_url=lambda event: undo_url("suggestion", event.suggestion_id),
            in_list=True,
        ),
        # The suggestion has left the list, so no row shows this button.
        Operation(
            name="undo",
            label="Undo rejection",
            done="restored",
            permission="reject",
            run=services.undo_rejection,
            possible=lambda _: False,
            in_bulk=False,
            note=link_to,
        ),
        *priority_operations(services.prioritize_suggestion),
    )

    def missing_message(self, pk: int) -> str:
        return decision_on([pk])[pk]

    def missing_url(self, request: HttpRequest, pk: int) -> str:
        """The activity of the suggestion, if there is any."""
        known = TaskEvent.objects.filter(suggestion_id=pk).exists()
        if known and request.user.has_perm("dispatch.view_taskevent"):
            return activity_url(suggestion=pk)
        return self.list_url()

    def events_about(self, pk: int) -> QuerySet[TaskEvent]:
        return TaskEvent.objects.filter(about_suggestion(pk))

    def button(self, operation: Operation, move: Any, url: str) -> Button | None:
        """Return the board's button. "Approve" is disabled if it would fail; "fit" has a number."""
        fit = move.view.fit
        match operation.name:
            case "approve":
                return Button(operation.name, operation.label, url, fit.refused)
            case "fit":
                label = f"Approve {fit.feasible_qty}"
                return Button(operation.name, label, url) if fit.can_reduce else None
            case "assign":
                refused = "" if fit.can_reduce else fit.refused
                return Button(operation.name, operation.label, url, refused)
            case _:
                return super().button(operation, move, url)

    @admin.display(description="Age", ordering="created_at")
    def age(self, suggestion: Suggestion) -> str:
        age = ago(suggestion.created_at)
        if suggestion.expires_at is None or suggestion.expires_at > timezone.now():
            return age
        return format_html('{} <span class="badge overdue">expired</span>', age)

    def save_model(self, request: HttpRequest, obj: Suggestion, form: Any, change: bool) -> None:
        obj.source = CONSOLE
        services.create_suggestion(obj, actor=request.user.get_username())
        for warning in obj.warnings:
            self.message_user(request, warning, messages.WARNING)
