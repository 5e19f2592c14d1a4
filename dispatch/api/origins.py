"""Writes that a browser sends for a page of another origin.

With `API_AUTH=open` such a page could change anything here as soon as a dispatcher opens it.
"""

from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import HttpRequest
from django.utils.http import is_same_domain
from rest_framework.request import Request

FOREIGN_PAGE = (
    "A page of another origin sent this request. To allow it, list the origin in "
    "CORS_ALLOWED_ORIGINS."
)
PORTS = {"http": ":80", "https": ":443"}


def is_from_foreign_page(request: Request | HttpRequest) -> bool:
    """True if the page is neither our own nor listed. Clients other than browsers send no page.

    Browsers send Sec-Fetch-Site to https and localhost only, so Origin and Referer come first.
    A request that arrives by plain HTTP may come from a page of either scheme: TLS may end at a
    proxy that BEHIND_PROXY does not trust.
    """
    page = request.headers.get("Origin") or request.headers.get("Referer")
    if not page:
        return request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    scheme, host = origin_of(page)
    return not host or not (is_own(request, scheme, host) or is_listed(scheme, host))


def is_own_origin(request: Request | HttpRequest, page: str) -> bool:
    return is_own(request, *origin_of(page))


def origin_of(page: str) -> tuple[str, str]:
    """Return the scheme and the host of an address. An empty host: the address is malformed."""
    try:
        scheme, host, *_ = urlsplit(page)
    except ValueError:
        return "", ""
    return scheme, host


def is_own(request: Request | HttpRequest, scheme: str, host: str) -> bool:
    own = request.get_host().removesuffix(PORTS.get(scheme, ""))
    schemes = ["https"] if request.is_secure() else ["https", "http"]
    return scheme in schemes and host.lower() == own.lower()


def is_listed(scheme: str, host: str) -> bool:
    """CSRF_TRUSTED_ORIGINS may have entries like https://*.example.org."""
    listed = map(urlsplit, [*settings.CORS_ALLOWED_ORIGINS, *settings.CSRF_TRUSTED_ORIGINS])
    return any(
        scheme == each.scheme and is_same_domain(host, each.netloc.removeprefix("*"))
        for each in listed
    )
