"""The phones of a crew: a code for another one, and those that have joined."""

from collections.abc import Callable
from math import ceil
from typing import Any

import segno
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import date, pluralize
from django.template.response import TemplateResponse
from django.urls import URLPattern, get_script_prefix, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from .. import services
from ..exceptions import Refusal
from ..models import Crew, CrewCode, CrewDevice
from ..texts import isolated
from .base import ConsoleAdmin
from .moves import ago

ADD = "dispatch.add_crewcode"
REVOKE = "dispatch.revoke_crewdevice"


class PhonesAdmin(ConsoleAdmin):
    """The page of a crew, with its phones."""

    def get_urls(self) -> list[URLPattern]:
        pages: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
            "add_phone": ("phone/", self.add_phone),
            "code": ("codes/<row_id:code_id>/", self.code_state),
            "revoke_phone": ("phones/<row_id:device_id>/revoke/", self.revoke_phone),
        }
        views = [
            path(f"<row_id:pk>/{route}", self.admin_site.admin_view(view), name=f"crew_{name}")
            for name, (route, view) in pages.items()
        ]
        return views + super().get_urls()

    def phone_context(self, request: HttpRequest, crew: Crew) -> dict[str, Any]:
        phones = crew.devices.filter(revoked_at__isnull=True).order_by("-id")
        return {
            "phones": [(phone, ago(phone.last_seen_at)) for phone in phones],
            "may_add_phone": request.user.has_perm(ADD),
            "may_revoke": request.user.has_perm(REVOKE),
        }

    def add_phone(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show a new code in this response only: it is in no address, message or session."""
        check(request, ADD)
        if request.method != "POST":
            # A user who had to sign in again arrives here by GET.
            return HttpResponseRedirect(page_of(pk))
        try:
            code, text = services.create_code(pk, actor=request.user.get_username())
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return HttpResponseRedirect(page_of(pk))
        self.log_change(request, code.crew, "Created a code for a phone.")
        service = request.build_absolute_uri(get_script_prefix())
        link = services.enrolment_link(service, text)
        context = {
            "title": f"Add a phone to {isolated(str(code.crew))}",
            "crew": code.crew,
            "code": code,
            "text": text,
            "link": link,
            "qr": qr_code(link),
            "left": progress(code)["text"],
        }
        return self.page(request, "admin/dispatch/phone_code.html", context)

    def code_state(self, request: HttpRequest, pk: int, code_id: int) -> HttpResponse:
        check(request, ADD)
        codes = CrewCode.objects.select_related("device")
        return JsonResponse(progress(codes.filter(pk=code_id, crew_id=pk).first()))

    def revoke_phone(self, request: HttpRequest, pk: int, device_id: int) -> HttpResponse:
        check(request, REVOKE)
        if request.method != "POST":
            return HttpResponseRedirect(page_of(pk))
        phones = CrewDevice.objects.select_related("crew")
        phone = get_object_or_404(phones, pk=device_id, crew_id=pk)
        if "confirmed" not in request.POST:
            context = {"title": f"Sign out {phone}?", "crew": phone.crew, "phone": phone}
            return self.page(request, "admin/dispatch/phone_revoke.html", context)
        phone = services.revoke_device(phone.pk, actor=request.user.get_username())
        if phone.changed:
            self.log_change(request, phone.crew, f"Signed out phone {phone.pk}, {phone}.")
        self.message_user(request, f"Signed out: {phone}.", messages.SUCCESS)
        return HttpResponseRedirect(page_of(pk))

    def page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts}
        return TemplateResponse(request, template, {**shared, **context})


def check(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perms(["dispatch.view_crew", permission]):
        raise PermissionDenied


def page_of(crew_id: int) -> str:
    return reverse("admin:dispatch_crew_change", args=[crew_id])


def qr_code(link: str) -> SafeString:
    """An SVG element without style attributes, which the content security policy forbids."""
    code = segno.make(link, error="m", micro=False)
    # Made of numbers only.
    return mark_safe(code.svg_inline(omitsize=True, light="#fff"))  # noqa: S308


def progress(code: CrewCode | None) -> dict[str, str]:
    """Return the state of a code. None: a newer one has replaced it."""
    if code is None:
        return {"state": "replaced", "text": "A newer code has replaced this one."}
    if code.used_at is not None:
        phone: CrewDevice | None = getattr(code, "device", None)
        joined = date(timezone.localtime(code.used_at), "H:i")
        return {"state": "joined", "text": f"{phone or 'A phone'}, joined {joined}"}
    minutes = ceil((code.expires_at - timezone.now()).total_seconds() / 60)
    if minutes <= 0:
        return {"state": "expired", "text": "The code has expired."}
    return {
        "state": "waiting",
        "text": f"It can be used once, within {minutes} minute{pluralize(minutes)}.",
    }
