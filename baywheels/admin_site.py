from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import UsernameField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, path
from django.views.decorators.gzip import gzip_page

from dispatch.roles import BOARD_PERMISSIONS

from .errors import error_response
from .sessions import View, renews_session, seconds_left, session_view
from .sign_in import RETRY_AFTER_SECONDS, take_turn

READ_ONLY = "This server is read-only. Sign in at the main server."


class SignInForm(AdminAuthenticationForm):
    """Limit the name's length: Django's form does not, and failed names go into a column."""

    username = UsernameField(max_length=150, widget=forms.TextInput(attrs={"autofocus": True}))


class ConsoleSite(admin.AdminSite):
    site_header = site_title = settings.READ_ONLY * "Read-only: " + "Bay Wheels dispatch"
    index_title = "All records"
    site_url = None
    enable_nav_sidebar = False
    login_form = SignInForm

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        # Compression does not reveal the CSRF token: each page masks it differently.
        return gzip_page(super().admin_view(renews_session(view), cacheable))

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [
            path("", self.admin_view(self.front), name="index"),
            path("lists/", self.admin_view(self.index), name="lists"),
            path("session/", self.admin_view(session_view), name="session"),
            *super().get_urls(),
        ]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().each_context(request)
        if context["has_permission"]:
            context["session_seconds"] = seconds_left(request.session)
        return context

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if settings.READ_ONLY:
            return error_response(request, 503, READ_ONLY)
        if request.method != "POST":
            return super().login(request, extra_context)
        with take_turn() as is_ours:
            if is_ours:
                return super().login(request, extra_context)
        response = error_response(request, 429, "Others are signing in. Try again in 2 seconds.")
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response

    def front(self, request: HttpRequest) -> HttpResponse:
        """Open the board for users who may see it, the lists of all records for others."""
        if request.user.has_perms(BOARD_PERMISSIONS):
            return redirect("board:page")
        return self.index(request)
