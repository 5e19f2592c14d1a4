from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html

from ..models import StationFeed
from .base import ReadOnlyAdmin
from .moves import ago


@admin.register(StationFeed)
class StationFeedAdmin(ReadOnlyAdmin):
    """The feeds, read-only: the commands that read them write their rows."""

    list_display = ["system", "kind", "state", "read", "trouble"]
    list_display_links = None
    show_full_result_count = False
    sortable_by = ()
    ordering = ["system", "kind"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("dispatch.view_station")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @admin.display(description="State")
    def state(self, feed: StationFeed) -> str:
        state, word = ("overdue", "failing") if feed.trouble else ("fine", "OK")
        return format_html('<span class="badge {}">{}</span>', state, word)

    @admin.display(description="Last read", empty_value="never")
    def read(self, feed: StationFeed) -> str | None:
        return format_html("{} ago", ago(feed.read_at)) if feed.read_at else None
