import re
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import DateTimeField, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import capfirst

from ..overview.station_search import MAX_WORDS
from .forms import DateTimeInput

ID = re.compile(r"[0-9]{1,18}", re.ASCII)


class ConsoleAdmin(admin.ModelAdmin):
    """The common base of the console's lists and pages.

    A list accepts only the lookups it names, and searches for a limited number of words. Django
    would accept any lookup with any value from the URL: a broken regular expression, the year
    99999, or a private column.
    """

    # Django's own pair of fields has one label for two inputs.
    formfield_overrides: ClassVar = {
        DateTimeField: {"form_class": forms.DateTimeField, "widget": DateTimeInput}
    }
    # Lookups and the pattern that a value must match.
    LOOKUPS: dict[str, str] = {}

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        pattern = self.LOOKUPS.get(lookup)
        return pattern is not None and re.fullmatch(pattern, str(value), re.ASCII) is not None

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = capfirst(str(self.opts.verbose_name_plural))
        return super().changelist_view(request, {**(extra_context or {}), "title": title})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = {**(extra_context or {}), **self.page_context(request, object_id)}
        return super().change_view(request, object_id, form_url, context)

    def page_context(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        """More context for the page of one row. `object_id` is text from the URL."""
        return {}

    def list_url(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponse:
        """Redirect with a message about the missing row."""
        if not ID.fullmatch(object_id):
            self.message_user(request, "No such page.", messages.WARNING)
            return HttpResponseRedirect(self.list_url())
        self.message_user(request, self.missing_message(int(object_id)), messages.WARNING)
        return HttpResponseRedirect(self.missing_url(request, int(object_id)))

    def missing_url(self, request: HttpRequest, pk: int) -> str:
        return self.list_url()

    def missing_message(self, pk: int) -> str:
        return f"{capfirst(str(self.opts.verbose_name))} {pk} not found."

    def filled_fields(self, row: Any) -> list[str]:
        """The fields that have a value."""
        names = map(str, self.fields or [])
        return [name for name in names if self.value_of(row, name) not in (None, "")]

    def value_of(self, row: Any, name: str) -> Any:
        computed = getattr(self, name, None)
        return computed(row) if computed else getattr(row, name)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if len(search_term.split()) > MAX_WORDS:
            self.message_user(
                request, f"Search for at most {MAX_WORDS} words.", level=messages.WARNING
            )
            return queryset.none(), False
        return self.search(request, queryset, search_term)

    def search(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Override this, not get_search_results, to search differently."""
        return super().get_search_results(request, queryset, search_term)


class ReadOnlyAdmin(ConsoleAdmin):
    """Rows that the service writes and no one edits."""

    actions = None
    empty_value_display = ""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
