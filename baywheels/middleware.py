import logging
import re
import time
from collections.abc import Callable
from io import BytesIO
from secrets import token_hex
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponsePermanentRedirect,
    HttpResponseRedirect,
)
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.urls import is_valid_path
from django.utils.encoding import escape_uri_path, iri_to_uri
from django.utils.http import escape_leading_slashes
from gunicorn.http.errors import ParseException

from .database.unavailable import means_damage
from .errors import database_failure, error_response
from .logs import request_id

GetResponse = Callable[[HttpRequest], HttpResponse]

request_log = logging.getLogger("baywheels.request")


class RequestLogMiddleware:
    """Log one line per request, with the `X-Request-ID` of the response.

    The id is the client's own if it is well-formed. The line of a slow request names its process
    of PostgreSQL, whose log has no request id in prepared statements.
    """

    SLOW_MS = 1000
    WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        offered = request.headers.get("X-Request-ID", "")
        token = request_id.set(offered if self.WELL_FORMED.fullmatch(offered) else token_hex(16))
        started = time.monotonic()
        try:
            response = self.get_response(request)
            response.headers["X-Request-ID"] = request_id.get()
            milliseconds = round((time.monotonic() - started) * 1000, 1)
            request_log.log(
                logging.WARNING if response.status_code >= 500 else logging.INFO,
                "%s %s %s %sms%s",
                request.method,
                # repr escapes line breaks, so that a path cannot forge a log line.
                repr(request.path)[1:-1],
                response.status_code,
                milliseconds,
                database_process() if milliseconds >= self.SLOW_MS else "",
            )
            return response
        finally:
            request_id.reset(token)


def database_process() -> str:
    driver = connection.connection
    return "" if driver is None or driver.closed else f" PostgreSQL pid {driver.info.backend_pid}"


class BrowserHeadersMiddleware:
    """Security headers that Django has no setting for, unless the view set them.

    Pages run no inline scripts and load nothing from other hosts, except images from the
    `image_sources` that a view sets on its response. Responses are not cached.
    """

    POLICY = (
        "default-src 'self'; img-src {images}; object-src 'none'; base-uri 'self'; "
        "form-action 'self'; frame-ancestors 'none'"
    )

    HEADERS = {
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cache-Control": "no-store",
    }

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        images = " ".join(["'self'", "data:", *getattr(response, "image_sources", [])])
        response.headers.setdefault("Content-Security-Policy", self.POLICY.format(images=images))
        for name, value in self.HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class ChunkedBodyMiddleware:
    """Give a chunked body, which gunicorn decodes, the length that Django needs to read it.

    Reads at most one byte over the limit: the length alone then leads to a 413.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "HTTP_TRANSFER_ENCODING" in request.META:
            try:
                body = request.META["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
            except (ParseException, OSError):
                return error_response(request, 400, "The chunked body is malformed or incomplete.")
            request.META["CONTENT_LENGTH"] = str(len(body))
            request._stream = BytesIO(body)
        return self.get_response(request)


class PathMiddleware(CommonMiddleware):
    """Accept any Host on the paths that platforms probe, and a trailing slash on API paths."""

    PROBES = ("/healthz", "/readyz", "/metrics")
    CONSOLE = "/admin"

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return None if request.path_info in self.PROBES else super().process_request(request)

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        # A redirect that keeps the method and the body. Django's own adds slashes, and loses both.
        if request.resolver_match is None and self.has_extra_slash(request.path_info):
            query = request.META.get("QUERY_STRING", "")
            address = escape_leading_slashes(escape_uri_path(request.path[:-1] or "/"))
            address += f"?{iri_to_uri(query)}" if query else ""
            return HttpResponseRedirect(address, preserve_request=True)
        return super().process_response(request, response)

    def has_extra_slash(self, path: str) -> bool:
        has_slash = path.endswith("/") and not path.startswith(self.CONSOLE)
        return has_slash and bool(is_valid_path(path[:-1]))


class ReadOnlyMiddleware:
    """503 for changes, and for the crews' page, whose requests record that a phone is in use."""

    SAFE = ("GET", "HEAD", "OPTIONS")
    REFUSAL = "This server is read-only. Use the main server for changes."

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        if request.method in self.SAFE and not request.path_info.startswith("/crew/"):
            return None
        return error_response(request, 503, self.REFUSAL)


class DatabaseUnavailableMiddleware:
    """503 while the database is unavailable or damaged, or when a lock or a statement timed out."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        response = database_failure(request, error)
        if response is None:
            return None
        level = logging.ERROR if means_damage(error) else logging.WARNING
        logging.getLogger("baywheels.database").log(level, "%s", " ".join(str(error).split()))
        # Otherwise Django logs it a second time, without the request id.
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response
