"""Reads systems in threads. Only the calling thread uses the database, with one connection."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from queue import Empty, SimpleQueue
from threading import Thread

from .. import services
from ..models import FeedKind
from ..services import SystemLease
from .reading import Reading, read_system
from .recording import Recorded, record
from .schedule import pick

# Seconds between two looks for due systems while no feed is being read.
NAP = 0.5
# Readings recorded in a row. Then the threads that are free get the next systems.
BATCH = 8


class Poller:
    """`every`: the least seconds between two polls of a system. `report` is called for each."""

    def __init__(
        self,
        every: float,
        threads: int,
        report: Callable[[Recorded], None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.every, self.threads = every, threads
        self.report, self.stopped = report, stopped
        self.in_flight: dict[int, SystemLease] = {}
        # The server does not repeat it when it has no newer feed.
        self.ttls: dict[int, timedelta] = {}
        self.jobs: SimpleQueue[SystemLease | None] = SimpleQueue()
        self.done: SimpleQueue[tuple[SystemLease, list[Reading]]] = SimpleQueue()
        for _ in range(threads):
            # A stop does not wait for a slow feed: what is not recorded is read again.
            Thread(target=self.work, daemon=True).start()

    def work(self) -> None:
        while (lease := self.jobs.get()) is not None:
            self.done.put((lease, read_system(lease)))

    def run(self, seconds: float | None = None) -> None:
        """Poll for so many seconds. None: until no system is due or being read."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self.stopped() and (end is None or time.monotonic() < end):
            self.start()
            if end is None and not self.in_flight:
                return
            self.finish()

    def start(self) -> None:
        """Give the free threads systems that are due."""
        free = self.threads - len(self.in_flight)
        if free == 0:
            return
        systems = [lease.system for lease in self.in_flight.values()]
        for lease in services.lease_systems(lambda due: pick(due, systems, free)):
            self.in_flight[lease.system.pk] = lease
            self.jobs.put(lease)

    def finish(self) -> None:
        """Record what has been read. If that is nothing yet, wait for it."""
        wait = NAP
        with suppress(Empty):
            for _ in range(BATCH):
                lease, readings = self.done.get(timeout=wait)
                wait = 0
                del self.in_flight[lease.system.pk]
                self.record(lease, readings)

    def record(self, lease: SystemLease, readings: list[Reading]) -> None:
        pk = lease.system.pk
        for reading in readings:
            if reading.kind == FeedKind.STATUS and reading.ttl is not None:
                self.ttls[pk] = reading.ttl
        self.report(record(lease, readings, self.every, self.ttls.get(pk, timedelta())))

    def close(self) -> None:
        """End the threads, and leave what they have not read to the next poller, at once."""
        for _ in range(self.threads):
            self.jobs.put(None)
        services.release_systems(self.in_flight.values())
