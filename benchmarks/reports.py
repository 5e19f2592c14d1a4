"""The report of 366 days with 1,000,000 tasks, as a command and as the console's page.

    python benchmarks/reports.py [TASKS] [ROUNDS]

A twentieth of the tasks was released and claimed again by another crew. There are 50 crews, 20
areas and 520 stations, each with six outages a day and a poll each minute. Needs 5 GB of disk.
"""

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import psycopg
from scratch import Browser, manage, scratch_database, served

FIRST, MONTH, LAST = "2025-10-01", "2026-09-01", "2026-10-01"
FILL = """
    CREATE TEMP TABLE plan AS
    SELECT n, n %% 20 = 0 AS twice, 'van-' || n %% 50 AS crew, 'van-' || (n + 7) %% 50 AS other,
           at, at + wait AS claimed, work,
           at + wait + (n %% 20 = 0)::int * interval '40 minutes' AS last_claimed
    FROM generate_series(1, %(tasks)s) AS n,
         LATERAL (SELECT timestamptz '2025-10-01 00:00Z' + n * interval '366 days' / %(tasks)s,
                         (300 + n * 79 %% 2400) * interval '1 second',
                         (600 + n * 131 %% 1800) * interval '1 second') AS t (at, wait, work);
    INSERT INTO stations (id, system, name, lat, lon, area)
    SELECT n, 'benchmark', 'Station ' || n, 37.7 + n %% 26 * 0.004, -122.4 + n / 26 * 0.005,
           'Area ' || n %% 20
    FROM generate_series(1, 520) AS n;
    INSERT INTO station_status (station_id, bikes, docks)
    SELECT n, 5, 5 FROM generate_series(1, 520) AS n;
    INSERT INTO feed_watches (system, started_at, ended_at)
    VALUES ('benchmark', '2025-10-01 00:00Z', '2026-10-01 23:59Z');
    INSERT INTO status_polls (system, at, in_service, empty, "full")
    SELECT 'benchmark', at, 520, 40 + extract(hour FROM at)::int, 20
    FROM generate_series(timestamptz '2025-10-01 00:00Z', '2026-10-01 23:59Z', '1 minute') AS at;
    INSERT INTO station_outages (station_id, kind, started_at, ended_at)
    SELECT station, CASE WHEN n %% 3 = 0 THEN 'full' ELSE 'empty' END, at,
           at + (5 + (station * 7 + day * 13 + n * 29) %% 50) * interval '1 minute'
    FROM generate_series(0, 365) AS day, generate_series(1, 520) AS station,
         generate_series(0, 5) AS n,
         LATERAL (SELECT timestamptz '2025-10-01 00:00Z' + day * interval '1 day'
                         + (n * 240 + station * 11 %% 185) * interval '1 minute') AS t (at);
    INSERT INTO tasks (from_station_id, to_station_id, qty, reason, status, worker_id, attempt,
                       created_at, assigned_at, completed_at, moved_qty, suggestion_id)
    SELECT 1 + n %% 260, 261 + n %% 259, 5, 'Station ' || n %% 520 || ' is full', 'completed',
           CASE WHEN twice THEN other ELSE crew END, 1 + twice::int, at, last_claimed,
           last_claimed + work, 5, n
    FROM plan ORDER BY n;
    INSERT INTO task_events (at, kind, task_id, suggestion_id, attempt, worker_id, actor, source,
                             details)
    SELECT at, kind, n, n, attempt, worker_id, 'benchmark', 'ml-' || n %% 3, details::jsonb
    FROM (
        SELECT at, 'approved', n, 0, NULL, '{"warnings": [], "suggested_at": "2026-10-01"}'
        FROM plan
        UNION ALL SELECT claimed, 'claimed', n, 1, crew, '{}' FROM plan
        UNION ALL SELECT claimed + interval '30 minutes', 'released', n, 1, crew,
                         '{"reason": "The lease has expired."}' FROM plan WHERE twice
        UNION ALL SELECT last_claimed, 'claimed', n, 2, other, '{}' FROM plan WHERE twice
        UNION ALL SELECT last_claimed + work, 'completed', n, 1 + twice::int,
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
        f"{name:18} {statistics.median(each):6.2f} s  of", *map("{:.2f}".format, each), flush=True
    )


def main() -> None:
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with scratch_database() as url:
        fill(url, tasks)
        measure("month, no rollups", 1, lambda: manage(url, *command(MONTH)))
        measure("rollup", 1, lambda: manage(url, "rollup"))
        measure_reports(url, rounds)


def measure_reports(url: str, rounds: int) -> None:
    measure("command", rounds, lambda: manage(url, *command(FIRST)))
    with served(url, API_AUTH="open", WEB_CONCURRENCY="1", WEB_THREADS="1") as port:
        browser = Browser(url, port)
        for name, first in (("page", FIRST), ("page of a month", MONTH), ("page of a day", LAST)):
            measure(name, rounds, partial(browser.get, f"/admin/kpi/?from={first}&to={LAST}"))


def command(first: str) -> tuple[str, ...]:
    return "kpi", "--from", first, "--to", LAST, "--json"


if __name__ == "__main__":
    main()
