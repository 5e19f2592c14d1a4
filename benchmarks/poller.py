"""One `poll_status` on one CPU, with the feeds of many systems on this machine.

    python benchmarks/poller.py [SYSTEMS] [STATIONS]        default: 200 100

First every system is new: its stations and its first status are read. Then each is polled once a
minute, and then as often as possible. "late" is the time between the moment at which a system is
due and its reading.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from scratch import ROOT, environment, manage, scratch_database, wait_for

from deploy import private

MINUTELY_SECONDS, UNLIMITED_SECONDS = 35, 20
HOSTS = 50
POLLER_CPU = "0"
# Due evenly over the minute, as they are after a day.
SPREAD = """
    UPDATE systems SET due_at = now() + interval '60 s' * row / count FROM (
        SELECT id AS pk, row_number() OVER () AS row, count(*) OVER () AS count FROM systems
    ) AS numbered WHERE id = pk
"""


@contextmanager
def feeds(stations: int) -> Iterator[int]:
    """Yield the port of a server on another CPU."""
    port = private.free_port()
    command = [sys.executable, "benchmarks/feed_server.py", str(port), str(stations)]
    server = subprocess.Popen(["taskset", "--cpu-list", "1", *command], cwd=ROOT)
    try:
        wait_for(port, server)
        yield port
    finally:
        server.terminate()
        server.wait()


def import_systems(url: str, port: int, systems: int) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write("name,address\n")
        for n in range(systems):
            file.write(f"s{n},http://127.0.0.{1 + n % HOSTS}:{port}/s{n}/gbfs.json\n")
        file.flush()
        manage(url, "import_systems", file.name)


def poll(url: str, seconds: float | None, *arguments: str) -> tuple[list[dict[str, Any]], float]:
    """Return the polls, and the CPU seconds of the process. `seconds` None: until it ends."""
    command = ["taskset", "--cpu-list", POLLER_CPU, sys.executable, "manage.py", "poll_status"]
    process = subprocess.Popen(
        [*command, "--json", *arguments],
        cwd=ROOT,
        env=environment(url, FEED_ALLOW_NETWORKS="127.0.0.0/8"),
        stdout=subprocess.PIPE,
        text=True,
    )
    polls: list[dict[str, Any]] = []

    def read() -> None:
        for line in process.stdout or ():
            polls.append({**json.loads(line), "at": time.perf_counter()})

    reader = threading.Thread(target=read)
    reader.start()
    if seconds is not None:
        time.sleep(seconds)
        process.terminate()
    _, _, usage = os.wait4(process.pid, 0)
    reader.join()
    return polls, usage.ru_utime + usage.ru_stime


def show(title: str, polls: list[dict[str, Any]], cpu: float) -> None:
    """`cpu`: seconds for all of them."""
    seconds = polls[-1]["at"] - polls[0]["at"]
    failed = sum(bool(poll["errors"]) for poll in polls)
    late = sorted(poll["late"] for poll in polls)
    print(
        f"{title:24} {len(polls):6,} polls, {failed} failed, {60 * len(polls) / seconds:6,.0f} a "
        f"minute, {1000 * cpu / len(polls):5.1f} ms CPU each, late: median "
        f"{statistics.median(late):.2f} s, 99 % {late[int(0.99 * len(late))]:.2f} s"
    )


def main() -> None:
    systems, stations = [*map(int, sys.argv[1:]), *[200, 100][len(sys.argv) - 1 :]]
    with scratch_database() as url, feeds(stations) as port:
        _, start = poll(url, None)
        print(f"The command without systems: {start:.1f} s CPU, left out below.")
        import_systems(url, port, systems)
        polls, cpu = poll(url, None)
        show("new, with stations", polls, cpu - start)
        with psycopg.connect(url) as database:
            database.execute(SPREAD)
        polls, cpu = poll(url, MINUTELY_SECONDS, "--every", "60")
        show("once a minute", polls, cpu - start)
        with psycopg.connect(url) as database:
            database.execute("UPDATE systems SET due_at = now()")
        polls, cpu = poll(url, UNLIMITED_SECONDS, "--every", "1")
        show("as often as possible", polls, cpu - start)


if __name__ == "__main__":
    main()
