from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from .. import services
from ..models import Suggestion
from .moves import MoveAdmin, RowAction

# The source of what a person wrote in the console.
CONSOLE = "console"


class RejectForm(forms.Form):
    reason = forms.CharField(
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
        help_text="The team behind the job that proposed it reads this.",
    )


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


@admin.register(Suggestion)
class SuggestionAdmin(MoveAdmin):
    list_display = ["id", "route", "qty", "why", "priority", "age", "source"]
    list_filter = [SourceFilter, PriorityFilter]
    search_fields = ["reason"]
    search_help_text = "A station's or suggestion's number, or words of the reason."
    text_fields = ("reason",)
    ordering = ["-priority", "created_at", "id"]
    actions = ["approve_selected", "reject_selected"]
    add_fields = (
        "from_station_id",
        "to_station_id",
        "qty",
        "reason",
        "priority",
        "expires_at",
    )
    fields = (*add_fields, "source", "created_at")
    row_actions = (
        RowAction(
            name="approve",
            label="Approve",
            done="approved",
            run=lambda pk, user: services.approve_suggestion(pk, actor=user),
        ),
    )

    def has_approve_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "approve")

    def has_reject_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "reject")

    def save_model(self, request: HttpRequest, obj: Suggestion, form: Any, change: bool) -> None:
        obj.source = CONSOLE
        services.create_suggestion(obj, actor=request.user.get_username())

    @admin.action(description="Approve selected suggestions", permissions=["approve"])
    def approve_selected(self, request: HttpRequest, queryset: QuerySet[Suggestion]) -> None:
        self.run_each(
            request,
            self.selected_ids(request, queryset),
            "approved",
            lambda pk, user: services.approve_suggestion(pk, actor=user),
        )

    @admin.action(description="Reject selected suggestions", permissions=["reject"])
    def reject_selected(
        self, request: HttpRequest, queryset: QuerySet[Suggestion]
    ) -> HttpResponse | None:
        ids = self.selected_ids(request, queryset)
        form = RejectForm(request.POST if "reason" in request.POST else None)
        if form.is_valid():
            reason = form.cleaned_data["reason"]
            self.run_each(
                request,
                ids,
                "rejected",
                lambda pk, user: services.reject_suggestion(pk, actor=user, reason=reason),
            )
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": "Reject suggestions",
            "opts": self.opts,
            "form": form,
            "action": "reject_selected",
            "submit": "Reject",
            "checkbox": ACTION_CHECKBOX_NAME,
            "ids": ids,
            "moves": Suggestion.objects.filter(pk__in=ids[:20]).order_by("id"),
        }
        return TemplateResponse(request, "admin/dispatch/ask.html", context)
