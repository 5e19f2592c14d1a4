"""The page that imports the roster from a file."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from .. import services
from ..exceptions import Refusal
from ..ingest.crews import COLUMNS, read_crews
from .base import ConsoleAdmin

LARGEST_FILE = 1_000_000


class RosterFileForm(forms.Form):
    file = forms.FileField(label="CSV file")

    def clean_file(self) -> Any:
        """The rows of the file."""
        file = self.cleaned_data["file"]
        if file.size > LARGEST_FILE:
            raise forms.ValidationError(f"The file is larger than {LARGEST_FILE:,} bytes.")
        try:
            return read_crews(file.name, file)
        except Refusal as refusal:
            raise forms.ValidationError(str(refusal).splitlines()) from None


def import_view(page: ConsoleAdmin, request: HttpRequest) -> HttpResponse:
    if not (page.has_add_permission(request) and page.has_change_permission(request)):
        raise PermissionDenied
    form = RosterFileForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            change = services.import_crews(form.cleaned_data["file"], user_id=request.user.pk)
        except Refusal as refusal:
            form.add_error("file", str(refusal).splitlines())
        else:
            page.message_user(request, f"Roster: {change}", messages.SUCCESS)
            return HttpResponseRedirect(page.list_url())
    context = {
        **page.admin_site.each_context(request),
        "title": "Import crews",
        "opts": page.opts,
        "form": form,
        "columns": COLUMNS.known,
    }
    return TemplateResponse(request, "admin/dispatch/crew_import.html", context)
