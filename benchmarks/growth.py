"""Claims, lists, searches and pruning with many rows besides the queue.

    python benchmarks/growth.py [--all]

Claims: the service's own statement on one connection, in turns in databases with 0, 100,000 and
1,000,000 completed tasks (10,000,000 with --all), with 1,000,000 ready ones, and with 100,000 rows
that died under an open snapshot. They do not wait for the disk: that wait is the same for all, and
varies most. Lists: gunicorn on the databases with 100,000 and 1,000,000. Needs 3 GB of disk for
some minutes, 12 GB with --all.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import psycopg
from scratch import Browser, claim_statement, copied, manage, scratch_cluster, served

READY, SUGGESTIONS = 20_000, 20_000
CLAIMS, ROUNDS, LOOKS = 300, 7, 15
DEAD = 100_000
SOME = 100_000
MILLION = 1_000_000

# A completed task every half minute: a million make a year.
FILL = """
    INSERT INTO tasks (from_station_id, to_station_id, qty, reason, status, worker_id, attempt,
                       created_at, assigned_at, completed_at, moved_qty)
    SELECT 1 + n % 500, 501 + n % 499, 5, 'Station ' || n % 997 || ' is full', 'completed',
           'van-' || n % 50, 1, at, at, at, 5
    FROM generate_series(1, {completed}) AS n,
         LATERAL (SELECT now() - n * interval '30 seconds') AS t (at);
    INSERT INTO tasks (from_station_id, to_station_id, qty, reason, created_at)
    SELECT 1 + n % 500, 501 + n % 499, 5, 'Station ' || n % 997 || ' is empty',
           now() - n * interval '1 second'
    FROM generate_series(1, {ready}) AS n
"""
INDEXES = """
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    WHERE indrelid = 'tasks'::regclass AND NOT indisunique
"""
SUGGEST = """
    INSERT INTO suggestions (from_station_id, to_station_id, qty, reason, source)
    SELECT 1 + n % 500, 501 + n % 499, 5, 'Station ' || n % 997 || ' is full', 'benchmark'
    FROM generate_series(1, {}) AS n
"""
# Leaves the head of the queue as that many claims would.
KILL = """
    UPDATE tasks SET status = 'assigned', worker_id = 'van-1', attempt = 1, assigned_at = now()
    WHERE id IN (SELECT id FROM tasks WHERE status = 'ready'
                 ORDER BY priority DESC, created_at, id LIMIT {})
"""
LISTS = {
    "GET /suggestions": "/suggestions",
    "GET /suggestions, limit=100": "/suggestions?limit=100",
    "GET /tasks": "/tasks",
    "GET /tasks, ended": "/tasks?status=completed",
    "GET /tasks, a station's": "/tasks?station_id=77",
    "GET /tasks, a worker's": "/tasks?worker_id=van-7",
    "console, suggestions": "/admin/dispatch/suggestion/",
    "console, tasks": "/admin/dispatch/task/",
    "console, tasks, page 100": "/admin/dispatch/task/?p=100",
    "console, tasks ended": "/admin/dispatch/task/?status__exact=completed",
    "console, tasks of a year": "/admin/dispatch/task/?created_at__year=2026",
    "console, waiting longest": "/admin/dispatch/task/?attention=waiting",
    "console, search a station": "/admin/dispatch/task/?q=77",
    "console, search a word": "/admin/dispatch/task/?q=empty",
    "console, search an unknown word": "/admin/dispatch/task/?q=nowhere",
    "console, search both": "/admin/dispatch/task/?q=77+full",
}


def fill(url: str, completed: int, ready: int) -> None:
    """Rebuilds the indexes afterwards, which takes a third of the time."""
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("SET maintenance_work_mem = '512MB'")
        indexes = database.execute(INDEXES).fetchall()
        for name, _ in indexes:
            database.execute(f"DROP INDEX {name}")
        for statement in FILL.format(completed=completed, ready=ready).split(";"):
            database.execute(statement)
        for _, definition in indexes:
            database.execute(definition)
        database.execute("VACUUM ANALYZE tasks")


# Claims


def claims(database: psycopg.Connection, statement: str, number: int = CLAIMS) -> float:
    """Their median, in milliseconds."""
    return statistics.median(
        milliseconds(lambda: database.execute(statement).fetchone()) for _ in range(number)
    )


def buffers(database: psycopg.Connection, statement: str) -> int:
    """The buffers that one claim touches. The claim is rolled back."""
    with database.transaction(force_rollback=True):
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
        row = database.execute(explain).fetchone()
    plan = row[0][0]["Plan"] if row else {}
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def connected(url: str) -> psycopg.Connection:
    return psycopg.connect(url, autocommit=True, options="-c synchronous_commit=off")


def measure_claims(urls: dict[str, str], statement: str) -> None:
    databases = {name: connected(url) for name, url in urls.items()}
    medians: dict[str, list[float]] = {name: [] for name in databases}
    for turn in range(ROUNDS + 1):
        for name, database in databases.items():
            median = claims(database, statement)
            # The first round warms up.
            if turn:
                print("claims", turn, json.dumps({"behind": name, "ms": round(median, 3)}))
                medians[name].append(median)
    print(f"\n{'claims among':32} {'ms':>8} {'buffers':>8}   compared")
    for name, each in medians.items():
        ratios = zip(each, medians["nothing"], strict=True)
        ratio = statistics.median(mine / none for mine, none in ratios)
        touched = buffers(databases[name], statement)
        print(f"{name:32} {statistics.median(each):8.3f} {touched:8}   {ratio:.2f} x")
    for database in databases.values():
        database.close()
    print(flush=True)


def measure_dead_rows(url: str, statement: str) -> None:
    with connected(url) as database, psycopg.connect(url) as report:

        def show(what: str) -> None:
            median, touched = claims(database, statement, 50), buffers(database, statement)
            print(f"{what:40} {median:8.3f} ms {touched:8} buffers", flush=True)

        show("claims before")
        report.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        report.execute("SELECT count(*) FROM tasks")
        database.execute(KILL.format(DEAD))
        show(f"{DEAD:,} dead under an open snapshot")
        report.rollback()
        claims(database, statement, 1)
        show("the snapshot closed")
        database.execute("VACUUM tasks")
        show("after VACUUM")
    print()


# Lists


def measure_lists(small: str, large: str) -> None:
    for url in (small, large):
        with psycopg.connect(url, autocommit=True) as database:
            database.execute(SUGGEST.format(SUGGESTIONS))
            database.execute("VACUUM ANALYZE")
    one = {"API_AUTH": "open", "WEB_CONCURRENCY": "1", "WEB_THREADS": "1"}
    with served(small, **one) as small_port, served(large, **one) as large_port:
        browsers = Browser(small, small_port), Browser(large, large_port)
        print(f"{'ms, tasks completed:':32} {SOME:>9,} {MILLION:>9,}   ratio")
        for name, path in LISTS.items():
            measure_list(name, path, browsers)
    print()


def measure_list(name: str, path: str, browsers: tuple[Browser, Browser]) -> None:
    pairs = []
    for turn in range(LOOKS + 1):
        pair = [milliseconds(partial(browser.get, path)) for browser in browsers]
        if turn:
            pairs.append(pair)
    few, many = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratio = statistics.median(many / few for few, many in pairs)
    print(f"{name:32} {few:9.1f} {many:9.1f}   {ratio:.2f} x", flush=True)


def milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def measure_prune(url: str) -> None:
    start = time.perf_counter()
    said = manage(url, "prune", "--older-than", "2d").splitlines()[-1]
    print(f"{'prune':32} {time.perf_counter() - start:8.1f} s   {said}")


def main() -> None:
    sizes = [SOME, MILLION, *([10 * MILLION] if "--all" in sys.argv[1:] else [])]
    with scratch_cluster() as cluster:
        empty = cluster("ours")
        wanted = {"nothing": (0, READY)}
        wanted |= {f"{size:,} completed": (size, READY) for size in sizes}
        wanted |= {f"{MILLION:,} ready": (0, MILLION), "dead": (0, DEAD + READY)}
        urls = {}
        for number, (name, (completed, ready)) in enumerate(wanted.items()):
            urls[name] = copied(empty, f"growth_{number}")
            fill(urls[name], completed, ready)
        statement = claim_statement(empty)
        dead = urls.pop("dead")
        measure_claims(urls, statement)
        measure_dead_rows(dead, statement)
        measure_lists(urls[f"{SOME:,} completed"], urls[f"{MILLION:,} completed"])
        measure_prune(urls[f"{MILLION:,} completed"])


if __name__ == "__main__":
    print(f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}")
    main()
