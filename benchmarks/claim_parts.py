"""What each thing that a claim goes without would cost it: whole requests in one process, by turns.

    python benchmarks/claim_parts.py [REQUESTS a turn, default 150] [ROUNDS, default 9]

No web server and no network: the WSGI application is called. CPU is that of this process alone,
the time includes PostgreSQL's work and its wait for the disk.
"""

import io
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast
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
    said: list[str] = []
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
        lambda status, _: said.append(status),
    )
    b"".join(answer)
    answer.close()
    if said != ["200 OK"]:
        raise SystemExit(f"A claim answered {said}.")


def variants() -> dict[str, Callable[[], Any]]:
    """Each a patch that puts back one thing."""
    from django.db import connection
    from django.db.backends.postgresql.base import DatabaseWrapper as Django

    from baywheels.database.base import DatabaseWrapper
    from baywheels.database.batch import Row, Statement
    from dispatch import services
    from dispatch.models import Task
    from dispatch.services import claims

    def one_by_one(*statements: Statement) -> list[list[Row]]:
        return [cast(DatabaseWrapper, connection).run_one(*each) for each in statements]

    def patched(target: Any, name: str, value: Any) -> Callable[[], Any]:
        return lambda: mock.patch.object(target, name, value)

    task = Task(id=1, from_station_id=1, to_station_id=2, qty=5, status="assigned", worker_id="v")
    task.created_at = datetime(2026, 5, 4, 8, 30, tzinfo=UTC)
    compiled_anew = claims.claim_statement.__wrapped__
    return {
        "as it is": patched(claims, "claim_statement", claims.claim_statement),
        "statement compiled anew": patched(claims, "claim_statement", compiled_anew),
        "Django's cursor": patched(claims, "run", one_by_one),
        "SELECT 1 before": patched(DatabaseWrapper, "is_usable", Django.is_usable),
        "no database at all": patched(services, "claim_next_task", lambda *_, **__: task),
    }


def main() -> None:
    given = [int(each) for each in sys.argv[1:]]
    number, rounds = [*given, *DEFAULTS[len(given) :]]
    with scratch_database() as url:
        os.environ.update(environment(url, API_AUTH="open", ALLOWED_HOSTS="127.0.0.1"))
        from baywheels.wsgi import application

        ways = variants()
        with psycopg.connect(url) as database:
            database.execute(FILL.format(len(ways) * (rounds + 1) * (number + 10)))
            database.execute("ANALYZE tasks")
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for turn in range(rounds + 1):
            for name, way in ways.items():
                with way():
                    for _ in range(5):
                        request(application)
                    cpu, start = time.process_time(), time.perf_counter()
                    for _ in range(number):
                        request(application)
                    taken = time.process_time() - cpu, time.perf_counter() - start
                # The first round warms up.
                if turn:
                    measured[name].append((taken[0] / number * 1000, taken[1] / number * 1000))
    print(f"{'a claim':26} {'CPU ms':>8} {'ms':>8}   beside as it is")
    base = measured["as it is"]
    for name, each in measured.items():
        cpu_ms, wall_ms = (statistics.median(column) for column in zip(*each, strict=True))
        ratios = [
            statistics.median(one[i] / own[i] for one, own in zip(each, base, strict=True))
            for i in (0, 1)
        ]
        print(f"{name:26} {cpu_ms:8.2f} {wall_ms:8.2f}   CPU {ratios[0]:.2f} x  {ratios[1]:.2f} x")


if __name__ == "__main__":
    main()
