"""Durations of requests, and the page from which Prometheus reads this server's counters."""

import hmac
import os
import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    REGISTRY,
    CollectorRegistry,
    Histogram,
    generate_latest,
    multiprocess,
)

from .errors import error_response

DURATION = Histogram(
    "dispatch_http_request_duration_seconds",
    "Duration of requests by route, without the wait for a thread.",
    ["route", "method", "code"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
METHODS = {"GET", "HEAD", "POST", "OPTIONS"}
OTHER = "other"


class MetricsMiddleware:
    """Observe each request. Its labels come from closed sets: clients cannot add series."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        response = self.get_response(request)
        seconds = time.perf_counter() - started
        route = request.resolver_match.route if request.resolver_match else OTHER
        method = request.method if request.method in METHODS else OTHER
        DURATION.labels(route, method, response.status_code).observe(seconds)
        return response


@require_safe
def metrics_page(request: HttpRequest) -> HttpResponse:
    """The figures of all worker processes of this server. It asks the database nothing."""
    if not settings.METRICS_TOKEN:
        return error_response(request, 404, "Page not found.")
    offered = request.headers.get("Authorization", "").encode()
    if not hmac.compare_digest(offered, f"Bearer {settings.METRICS_TOKEN}".encode()):
        response = error_response(request, 401, "METRICS_TOKEN is needed, as a Bearer token.")
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    return HttpResponse(generate_latest(registry()), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def registry() -> CollectorRegistry:
    """gunicorn.conf.py names the folder in which all workers keep their figures."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    every_process = CollectorRegistry()
    multiprocess.MultiProcessCollector(every_process)  # type: ignore[no-untyped-call]
    return every_process
