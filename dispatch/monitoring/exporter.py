"""Reads all figures once, and shows the last reading to any number of scrapes."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from django.db import Error, connection, transaction
from django.utils import timezone
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from .database_figures import archive, database
from .dispatch_figures import commands, crews, decisions, queue, stations, systems
from .mail_figures import mail
from .samples import counter, gauge
from .webhook_figures import webhooks

Group = Callable[[], Iterable[Metric]]

GROUPS: list[Group] = [
    queue,
    crews,
    decisions,
    stations,
    systems,
    commands,
    webhooks,
    mail,
    database,
    archive,
]
# For each statement. A group that takes longer is left out of this reading.
LIMITS = "SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = '2s'"


class Exporter(Collector):
    """`read` replaces the figures that `collect` shows. Only one thread calls `read`."""

    def __init__(self) -> None:
        self.figures: list[Metric] = []
        self.errors = {group.__name__: 0 for group in GROUPS}
        self.seconds = 0.0
        self.is_up = False
        self.read_at: datetime | None = None

    def read(self) -> None:
        """Read all groups. Those that fail are counted, and missing from the figures."""
        started = time.perf_counter()
        figures: list[Metric] = []
        for group in GROUPS:
            try:
                figures += read_group(group)
            except Error:
                self.errors[group.__name__] += 1
        self.is_up = is_answering()
        self.seconds = time.perf_counter() - started
        self.read_at = timezone.now() if figures else self.read_at
        self.figures = figures

    def collect(self) -> Iterator[Metric]:
        yield from self.figures
        yield gauge("dispatch_database_up", "1 if the database answers.", [((), self.is_up)])
        yield gauge(
            "dispatch_exporter_last_success_timestamp_seconds",
            "The last reading of the tables.",
            [((), self.read_at)],
        )
        yield gauge(
            "dispatch_exporter_read_seconds", "Duration of the reading.", [((), self.seconds)]
        )
        yield counter(
            "dispatch_exporter_errors",
            "Groups of figures that could not be read.",
            (([name], number) for name, number in self.errors.items()),
            ["group"],
        )


def read_group(group: Group) -> list[Metric]:
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(LIMITS)
        return list(group())


def is_answering() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        connection.close()
        return False
    return True
