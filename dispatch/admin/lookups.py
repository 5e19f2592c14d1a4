import re
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

# A thousand kept a process busy for ten seconds.
MOST_WORDS = 20


class NamedLookups(admin.ModelAdmin):
    """A list that filters by what it names only, and searches for a few words.

    The admin itself would take any lookup from the address with any value: a broken regular
    expression, the year 99999, a column that is nobody's business.
    """

    LOOKUPS: dict[str, str] = {}

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        pattern = self.LOOKUPS.get(lookup)
        return pattern is not None and re.fullmatch(pattern, str(value), re.ASCII) is not None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if len(search_term.split()) > MOST_WORDS:
            self.message_user(
                request, f"Search for at most {MOST_WORDS} words.", level=messages.WARNING
            )
            return queryset.none(), False
        return self.search(request, queryset, search_term)

    def search(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """A list's own way to search."""
        return super().get_search_results(request, queryset, search_term)
