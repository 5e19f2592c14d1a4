"""The time of a claim, layer by layer.

    python benchmarks/claim_profile.py [REQUESTS a round, default 300] [ROUNDS, default 9]

Whole requests in one process, with a stopwatch around each layer that excludes the layers inside
it. Then the same over HTTP on one persistent connection, which shows what the web server, the
network and the client add. Medians of the rounds.
"""

import functools
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any
from unittest import mock

import psycopg
from claim_parts import BODY, FILL, request
from scratch import environment, scratch_database, served

DEFAULTS = [300, 9]


class Stopwatch:
    """Each layer's own seconds since `start`."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.start()

    def start(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.since = time.perf_counter()

    def turn(self) -> None:
        now = time.perf_counter()
        if self.open:
            self.seconds[self.open[-1]] += now - self.since
        self.since = now

    def around(self, layer: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            self.turn()
            self.open.append(layer)
            try:
                return function(*arguments, **options)
            finally:
                self.turn()
                self.open.pop()

        return timed


def layers() -> dict[str, tuple[Any, str]]:
    """The function at which each layer begins, from the outermost to the innermost."""
    from django.core.handlers.base import BaseHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.http.response import HttpResponseBase
    from rest_framework.request import Request

    from baywheels.database.base import DatabaseWrapper
    from baywheels.database.batch import BatchClient
    from baywheels.middleware import RequestLogMiddleware
    from dispatch import services
    from dispatch.api import renderers
    from dispatch.api.serializers.responses import TaskSerializer
    from dispatch.api.views import dispatch as view

    return {
        "Django's request and signals": (WSGIHandler, "__call__"),
        "middleware, with the log line": (RequestLogMiddleware, "__call__"),
        "Django's handler": (BaseHandler, "_get_response"),
        "routing": (BaseHandler, "resolve_request"),
        "DRF's view": (view.DispatchViewSet, "dispatch"),
        "the claim's view": (view.DispatchViewSet, "next"),
        "parsing the body": (Request, "_load_data_and_files"),
        "validation": (view, "valid"),
        "the claim's service": (services, "claim_next_task"),
        "the statement is sent": (DatabaseWrapper, "run_batch"),
        "the round trips": (psycopg.Connection, "wait"),
        "the row is read": (BatchClient, "rows"),
        "serialization": (TaskSerializer, "to_representation"),
        "JSON": (renderers, "encode"),
        "the end of the request": (HttpResponseBase, "close"),
    }


def profile(number: int, rounds: int) -> dict[str, list[float]]:
    watch = Stopwatch()
    taken: dict[str, list[float]] = defaultdict(list)
    for layer, (target, name) in layers().items():
        function = getattr(target, name)
        mock.patch.object(target, name, watch.around(layer, function)).start()
    from baywheels.wsgi import application

    for turn in range(rounds + 1):
        watch.start()
        for _ in range(number):
            request(application)
        # The first round warms up.
        if turn:
            for layer, seconds in watch.seconds.items():
                taken[layer].append(seconds / number * 1000)
    mock.patch.stopall()
    return taken


def over_http(url: str, number: int, rounds: int) -> list[float]:
    headers = {"Content-Type": "application/json"}
    taken = []
    with served(url, API_AUTH="open", WEB_CONCURRENCY="1", LOG_LEVEL="INFO") as port:
        client = HTTPConnection("127.0.0.1", port)
        for turn in range(rounds + 1):
            start = time.perf_counter()
            for _ in range(number):
                client.request("POST", "/dispatch/next", BODY, headers)
                json.load(client.getresponse())
            if turn:
                taken.append((time.perf_counter() - start) / number * 1000)
        client.close()
    return taken


def main() -> None:
    given = [int(each) for each in sys.argv[1:]]
    number, rounds = [*given, *DEFAULTS[len(given) :]]
    with scratch_database() as url:
        os.environ.update(environment(url, API_AUTH="open", LOG_LEVEL="INFO"))
        os.environ["DJANGO_SETTINGS_MODULE"] = "baywheels.settings"
        import django

        django.setup()
        with psycopg.connect(url) as database:
            database.execute(FILL.format(2 * (rounds + 1) * number))
            database.execute("ANALYZE tasks")
        own = {layer: statistics.median(each) for layer, each in profile(number, rounds).items()}
        whole = statistics.median(over_http(url, number, rounds))
    inside = sum(own.values())
    for layer in layers():
        print(f"{layer:36} {own[layer]:7.3f} ms {own[layer] / whole:6.1%}")
    print(f"{'gunicorn, network and client':36} {whole - inside:7.3f} ms", end=" ")
    print(f"{1 - inside / whole:6.1%}")
    print(f"{'a claim over HTTP':36} {whole:7.3f} ms")


if __name__ == "__main__":
    main()
