"""The cookie that signs a phone in, and the base of all views that phones call."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpResponseBase
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.views import APIView

from .. import services
from ..api.origins import is_own_origin
from ..api.parsers import StrictJSONParser
from ..models import Crew, CrewDevice
from .errors import exception_handler

COOKIE_LIFE = timedelta(days=90)
# Longer than any secret; limits what a client can make us hash.
LONGEST_SECRET = 200


class SignedOut(APIException):
    status_code = 401
    default_detail = "This phone is signed out."
    # HTTP requires a challenge in every 401.
    auth_header = 'Cookie realm="crew"'


class ForeignPage(APIException):
    status_code = 403
    default_detail = "Only the crew page of this service may send this request."


class CrewCookie(BaseAuthentication):
    """`request.auth` is the device, and `request.user` its crew."""

    def authenticate(self, request: Request) -> tuple[Crew, CrewDevice]:
        secret = secret_in(request)
        device = services.find_device(secret) if secret else None
        if device is None:
            raise SignedOut
        return device.crew, device


class CrewView(APIView):
    """JSON from our own page, for a phone that is signed in."""

    authentication_classes: Any = [CrewCookie]
    permission_classes: Any = []
    parser_classes: Any = [StrictJSONParser]
    # Not part of the documented API.
    schema: Any = None
    # The phone whose cookie this response renews.
    renewed: CrewDevice | None = None

    def get_exception_handler(self) -> Any:
        return exception_handler

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if not is_from_own_page(request):
            raise ForeignPage
        super().initial(request, *args, **kwargs)
        device: Any = request.auth
        if device is not None and is_first_today(device):
            self.renewed = device

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        name = cookie_name()
        if self.renewed is not None and name not in response.cookies:
            set_cookie(response, secret_in(request))
        return response


def is_from_own_page(request: Request) -> bool:
    """A foreign page cannot send X-Crew: a form has no headers, and CORS does not allow it.

    Browsers without Sec-Fetch-Site, and those that speak plain HTTP, send Origin, though not with
    each GET.
    """
    if request.headers.get("X-Crew") != "1":
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return bool(site == "same-origin")
    origin = request.headers.get("Origin")
    return origin is None or is_own_origin(request, origin)


def is_first_today(device: CrewDevice) -> bool:
    """`last_seen_at` is that before this request."""
    return bool(device.last_seen_at.date() < timezone.now().date())


def cookie_name() -> str:
    return "__Secure-crew" if settings.HTTPS_ONLY else "crew"


def secret_in(request: Request) -> str:
    """The secret in the request's cookie; empty without one."""
    return request.COOKIES.get(cookie_name(), "")[:LONGEST_SECRET]


def cookie_path() -> str:
    return f"{settings.BASE_PATH}/crew/"


def set_cookie(response: HttpResponseBase, secret: str) -> None:
    """Not Strict: browsers would not send it with the navigation after a QR code was scanned."""
    response.set_cookie(
        cookie_name(),
        secret,
        max_age=COOKIE_LIFE,
        path=cookie_path(),
        secure=settings.HTTPS_ONLY,
        httponly=True,
        samesite="Lax",
    )


def delete_cookie(response: HttpResponseBase) -> None:
    response.delete_cookie(cookie_name(), path=cookie_path(), samesite="Lax")
