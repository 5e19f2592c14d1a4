"""How django-axes is told whose failed attempts count together, and what it answers to too many."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from .errors import error_response

# A Unix socket's peer has no address, and axes can't count what is null.
NO_ADDRESS = "0.0.0.0"  # noqa: S104


def client_address(request: HttpRequest) -> str:
    """An IPv4 address or an IPv6 network: who has one address there has 2^64.

    Behind a proxy it is what the proxy added last to X-Forwarded-For. What a client writes there
    itself stands further left, or is not looked at.
    """
    text: str = request.META.get("REMOTE_ADDR", "")
    if settings.BEHIND_PROXY:
        text = request.META.get("HTTP_X_FORWARDED_FOR", text).rpartition(",")[2].strip()
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return NO_ADDRESS
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ip_network((address, 64), strict=False).network_address)


def locked_out(request: HttpRequest, *_: Any) -> HttpResponse:
    """The same for a name that there is not."""
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    detail = (
        "Signing in with this name failed too often from where you are. "
        f"Try again in {seconds // 60} minutes."
    )
    response = error_response(request, 429, detail)
    response.headers["Retry-After"] = str(seconds)
    return response
