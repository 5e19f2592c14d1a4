"""The systems that `poll_status` reads."""

from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from .. import services
from ..exceptions import Refusal
from ..models import System
from ..values import header_fields
from .base import ConsoleAdmin


class SystemForm(forms.ModelForm):
    """Kept headers are never shown: they may hold a key."""

    headers = forms.CharField(
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 2, "autocomplete": "off"}),
        help_text="For a feed with a key, one Name: value per line. Kept headers are not shown.",
    )
    remove_headers = forms.BooleanField(required=False, label="Remove the kept headers")

    class Meta:
        model = System
        fields = ["name", "address", "headers", "active"]
        # Its query may hold a key, too.
        attributes = {"class": "vLargeTextField", "autocomplete": "off"}
        widgets = {"address": forms.TextInput(attrs=attributes)}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kept = self.instance.headers
        self.initial["headers"] = ""

    def clean_address(self) -> str:
        address: str = self.cleaned_data["address"]
        try:
            services.check_address(address)
        except Refusal as refusal:
            raise ValidationError(str(refusal)) from None
        return address

    def clean_headers(self) -> str:
        headers: str = self.cleaned_data["headers"]
        try:
            header_fields(headers)
        except ValueError as error:
            raise ValidationError(f"They {error}.") from None
        return headers

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not cleaned.get("headers") and not cleaned.get("remove_headers"):
            cleaned["headers"] = self.kept
        return cleaned


@admin.register(System)
class SystemAdmin(ConsoleAdmin):
    """Systems are not deleted: an inactive one keeps its stations, and raises no alert."""

    LOOKUPS = {"active__exact": "[01]"}

    form = SystemForm
    actions = None
    list_display = ["name", "host", "state", "next_reading"]
    list_filter = ["active"]
    list_per_page = 50
    list_max_show_all = 200
    show_full_result_count = False
    search_fields = ["name"]
    search_help_text = "Search by name."
    sortable_by = ("name",)
    ordering = ["name"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Those who may only view a system see nothing that may hold a key."""
        if obj is not None and not self.has_change_permission(request, obj):
            return ["name", "host", "active"]
        removal = ["remove_headers"] if obj is not None and obj.headers else []
        return ["name", "address", "headers", *removal, "active"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else ("name",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="Host")
    def host(self, system: System) -> str:
        """The rest of the address may hold a key."""
        return urlsplit(system.address).netloc

    @admin.display(description="State")
    def state(self, system: System) -> str:
        if not system.active:
            return "inactive"
        state, word = ("overdue", "failing") if system.failures else ("fine", "OK")
        return format_html('<span class="badge {}">{}</span>', state, word)

    @admin.display(description="Next reading")
    def next_reading(self, system: System) -> str:
        return f"{timezone.localtime(system.due_at):%Y-%m-%d %H:%M:%S}" if system.active else ""

    def save_model(self, request: HttpRequest, obj: System, form: Any, change: bool) -> None:
        # The poller writes the other columns.
        obj.save(update_fields=["address", "headers", "active"] if change else None)
        services.read_soon(obj)
