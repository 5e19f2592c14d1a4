"""The cost of each thing that a claim avoids: whole requests in one process, in turn.

    python benchmarks/claim_parts.py [REQUESTS a turn, default 150] [ROUNDS, default 9]

Calls the WSGI application without a web server or network. CPU is that of this process alone; the
time includes PostgreSQL's work and its wait for the disk.
"""

import io
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import psycopg
from scratch import environment, scratch_database

DEFAULTS = [150, 9]
BODY = json.dumps({"worker_id": "van-1"}).encode()
FILL = """
    INSERT INTO tasks (from_station_id, to_station_id, qty)
    SELECT 1 + n % 500, 501 + n % 499, 5 FROM generate_series(1, {}) AS n
"""


def request(application: Any) -> None:
    statuses: list[str] = []
    answer = application(
        {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/dispatch/next",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(BODY)),
            "wsgi.input": io.BytesIO(BODY),
            "wsgi.errors": sys.stderr,
            "wsgi.url_scheme": "http",
        },
        lambda status, _: statuses.append(status),
    )
    b"".join(answer)
    answer.close()
    if statuses != ["200 OK"]:
        raise SystemExit(f"A claim returned {statuses}.")


def variants() -> dict[str, Callable[[], Any]]:
    """Patches that put back one thing each."""
    from django.conf import settings
    from django.db.backends.postgresql.base import DatabaseWrapper as Django

    from baywheels.database.base import DatabaseWrapper
    from dispatch import services
    from dispatch.models import Task
    from dispatch.services import claims

    def patched(target: Any, name: str, value: Any) -> Callable[[], Any]:
        return lambda: mock.patch.object(target, name, value)

    task = Task(id=1, from_station_id=1, to_station_id=2, qty=5, status="assigned", worker_id="v")
    task.created_at = datetime(2026, 5, 4, 8, 30, tzinfo=UTC)
    compile_again = claims.claim_statement.__wrapped__
    return {
        "as it is": patched(claims, "claim_statement", claims.claim_statement),
        "statement compiled each time": patched(claims, "claim_statement", compile_again),
        "BATCH_STATEMENTS=false": patched(settings, "BATCH_STATEMENTS", False),
        "SELECT 1 before each request": patched(DatabaseWrapper, "is_usable", Django.is_usable),
        "no database at all": patched(services, "claim_next_task", lambda *_, **__: task),
    }


def main() -> None:
    given = [int(each) for each in sys.argv[1:]]
    number, rounds = [*given, *DEFAULTS[len(given) :]]
    with scratch_database() as url:
        os.environ.update(environment(url, API_AUTH="open", ALLOWED_HOSTS="127.0.0.1"))
        from baywheels.wsgi import application

        patches = variants()
        with psycopg.connect(url) as database:
            database.execute(FILL.format(len(patches) * (rounds + 1) * (number + 10)))
            database.execute("ANALYZE tasks")
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in patches}
        for turn in range(rounds + 1):
            for name, patch in patches.items():
                with patch():
                    for _ in range(5):
                        request(application)
                    cpu, start = time.process_time(), time.perf_counter()
                    for _ in range(number):
                        request(application)
                    taken = time.process_time() - cpu, time.perf_counter() - start
                # The first round warms up.
                if turn:
                    measured[name].append((taken[0] / number * 1000, taken[1] / number * 1000))
    print(f"{'a claim':30} {'CPU ms':>8} {'ms':>8}   compared")
    base = measured["as it is"]
    for name, each in measured.items():
        cpu_ms, wall_ms = (statistics.median(column) for column in zip(*each, strict=True))
        ratios = [
            statistics.median(one[i] / own[i] for one, own in zip(each, base, strict=True))
            for i in (0, 1)
        ]
        print(f"{name:30} {cpu_ms:8.2f} {wall_ms:8.2f}   CPU {ratios[0]:.2f} x  {ratios[1]:.2f} x")


if __name__ == "__main__":
    main()
