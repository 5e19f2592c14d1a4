"""The report of 31 days with 1,000,000 tasks, as a command and as the console's page.

    python benchmarks/reports.py [TASKS] [ROUNDS]

A twentieth of the tasks was released and claimed again by another crew. There are 50 crews and 20
areas, and no station data. Needs 2 GB of disk.
"""

import statistics
import sys
import time
from collections.abc import Callable

import psycopg
from scratch import Browser, manage, scratch_database, served

FIRST, LAST = "2026-10-01", "2026-10-31"
FILL = """
    CREATE TEMP TABLE plan AS
    SELECT n, n %% 20 = 0 AS twice, 'van-' || n %% 50 AS crew, 'van-' || (n + 7) %% 50 AS other,
           at, at + wait AS claimed,
           at + wait + (n %% 20 = 0)::int * interval '40 minutes' AS last_claimed
    FROM generate_series(1, %(tasks)s) AS n,
         LATERAL (SELECT timestamptz '2026-10-01 00:00Z' + n * interval '31 days' / %(tasks)s,
                         (5 + n %% 37) * interval '1 minute') AS t (at, wait);
    INSERT INTO stations (id, system, name, lat, lon, area)
    SELECT n, 'benchmark', 'Station ' || n, 37.7 + n * 0.001, -122.4, 'Area ' || n %% 20
    FROM generate_series(1, 1000) AS n;
    INSERT INTO tasks (from_station_id, to_station_id, qty, reason, status, worker_id, attempt,
                       created_at, assigned_at, completed_at, moved_qty)
    SELECT 1 + n %% 500, 501 + n %% 499, 5, 'Station ' || n %% 997 || ' is full', 'completed',
           CASE WHEN twice THEN other ELSE crew END, 1 + twice::int, at, last_claimed,
           last_claimed + interval '21 minutes', 5
    FROM plan ORDER BY n;
    INSERT INTO task_events (at, kind, task_id, suggestion_id, attempt, worker_id, actor, details)
    SELECT at, kind, n, n, attempt, worker_id, 'benchmark', details::jsonb FROM (
        SELECT at, 'approved', n, 0, NULL, '{"warnings": [], "suggested_at": "2026-10-01"}'
        FROM plan
        UNION ALL SELECT claimed, 'claimed', n, 1, crew, '{}' FROM plan
        UNION ALL SELECT claimed + interval '30 minutes', 'released', n, 1, crew,
                         '{"reason": "The lease has expired."}' FROM plan WHERE twice
        UNION ALL SELECT last_claimed, 'claimed', n, 2, other, '{}' FROM plan WHERE twice
        UNION ALL SELECT last_claimed + interval '21 minutes', 'completed', n, 1 + twice::int,
                         CASE WHEN twice THEN other ELSE crew END, '{"moved_qty": 5}' FROM plan
    ) AS happened (at, kind, n, attempt, worker_id, details) ORDER BY at
"""


def fill(url: str, tasks: int) -> None:
    start = time.perf_counter()
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("SET synchronous_commit = off")
        for statement in (FILL % {"tasks": tasks}).split(";"):
            database.execute(statement)
        database.execute("VACUUM ANALYZE")
    print(f"{tasks:,} tasks entered in {time.perf_counter() - start:.0f} s", flush=True)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(name: str, rounds: int, call: Callable[[], object]) -> None:
    each = [seconds(call) for _ in range(rounds)]
    print(
        f"{name:16} {statistics.median(each):6.2f} s  of", *map("{:.2f}".format, each), flush=True
    )


def main() -> None:
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    path = f"/admin/kpi/?from={{}}&to={LAST}"
    with scratch_database() as url:
        fill(url, tasks)
        command = ("kpi", "--from", FIRST, "--to", LAST, "--json")
        measure("command", rounds, lambda: manage(url, *command))
        with served(url, API_AUTH="open", WEB_CONCURRENCY="1", WEB_THREADS="1") as port:
            browser = Browser(url, port)
            measure("page", rounds, lambda: browser.get(path.format(FIRST)))
            measure("page of a day", rounds, lambda: browser.get(path.format(LAST)))


if __name__ == "__main__":
    main()
