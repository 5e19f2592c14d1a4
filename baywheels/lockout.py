"""Callables of django-axes: the address that failed logins count for, and the lockout response."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from .errors import error_response

# The peer of a Unix socket has no address, and axes cannot count null.
NO_ADDRESS = "0.0.0.0"  # noqa: S104


def client_address(request: HttpRequest) -> str:
    """Return an IPv4 address, or an IPv6 /64 network: a host there can choose among 2^64 addresses.

    Behind a proxy this is the last entry of X-Forwarded-For, which the proxy added. Entries from
    the client come before it. Without a proxy the header is ignored.
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
    """The same response whether or not the account exists."""
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    detail = (
        "Too many failed attempts to sign in with this name from your network. "
        f"Try again in {seconds // 60} minutes."
    )
    response = error_response(request, 429, detail)
    response.headers["Retry-After"] = str(seconds)
    return response
