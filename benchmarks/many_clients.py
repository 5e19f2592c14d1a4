"""Five hundred clients at once, and a database with too few connections for its server.

    python benchmarks/many_clients.py [SECONDS a turn, default 10] [ROUNDS, default 3]

Claims on gunicorn with two processes of eight threads. First by wrk with 500 connections: their
waits, and the number of connections to PostgreSQL meanwhile. Then by 64 clients, while PostgreSQL
allows the server's role 8 connections for 16 threads, and while another process takes those 8 now
and then: the waits for each status. Needs wrk.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psycopg
from scratch import scratch_database, served

DEFAULTS = [10, 3]
CONNECTIONS, FEWER = 500, 64
THREADS, GRANTED = 16, 8
READY = 200_000
ROLE = "benchmark_web"
FILL = """
    INSERT INTO tasks (from_station_id, to_station_id, qty)
    SELECT 1 + n % 500, 501 + n % 499, 5 FROM generate_series(1, {}) AS n
"""
GRANT = f"""
    CREATE ROLE {ROLE} LOGIN CONNECTION LIMIT {GRANTED};
    GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE};
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {ROLE}
"""
CONNECTED = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
      AND pid <> pg_backend_pid()
"""
BODY = json.dumps({"worker_id": "van-1"})


class Watch(threading.Thread):
    """Records the highest number of connections to PostgreSQL."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.most = 0
        self.enough = threading.Event()

    def run(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as database:
            while not self.enough.wait(0.1):
                row = database.execute(CONNECTED).fetchone()
                self.most = max(self.most, int(row[0]) if row else 0)


@contextmanager
def watched(url: str) -> Iterator[Watch]:
    watch = Watch(url)
    watch.start()
    try:
        yield watch
    finally:
        watch.enough.set()
        watch.join()


def wrk(port: int, seconds: int) -> dict[str, Any]:
    """Unlike `many_claims` it can drive 500 connections, but it only counts refusals."""
    script = str(Path(__file__).with_name("load.lua"))
    done = subprocess.run(
        [
            *("wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "--timeout", "30s"),
            *("-s", script, f"http://127.0.0.1:{port}"),
        ],
        env={**os.environ, "OPERATION": "claim"},
        capture_output=True,
        text=True,
        check=True,
    )
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def claims_until(port: int, end: float) -> list[tuple[int, float]]:
    """Status and milliseconds of each request. Status 0: no answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    answers = []
    while (start := time.monotonic()) < end:
        status = 0
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/dispatch/next", BODY, headers)
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except OSError:
            connection.close()
        answers.append((status, (time.monotonic() - start) * 1000))
    return answers


def many_claims(port: int, seconds: int) -> dict[str, Any]:
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(FEWER) as pool:
        calls = [pool.submit(claims_until, port, end) for _ in range(FEWER)]
        answers = [answer for call in calls for answer in call.result()]
    by_status: dict[int, list[float]] = {}
    for status, took in answers:
        by_status.setdefault(status, []).append(took)
    return {
        str(status): {"answers": len(times), **percentiles(times)}
        for status, times in sorted(by_status.items())
    }


def percentiles(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    at = {"p50": 0.5, "p99": 0.99, "most": 1.0}
    return {name: round(ordered[int((len(times) - 1) * part)], 1) for name, part in at.items()}


@contextmanager
def others_come_and_go(url: str) -> Iterator[None]:
    """Take all of the role's connections for half of each second."""
    enough = threading.Event()

    def come_and_go() -> None:
        while not enough.is_set():
            held = []
            for _ in range(GRANTED):
                try:
                    held.append(psycopg.connect(url))
                except psycopg.OperationalError:
                    break
            enough.wait(0.5)
            for connection in held:
                connection.close()
            enough.wait(0.5)

    other = threading.Thread(target=come_and_go)
    other.start()
    try:
        yield
    finally:
        enough.set()
        other.join()


def measure_many(url: str, seconds: int, rounds: int, settings: dict[str, str]) -> None:
    results = []
    with served(url, **settings) as port:
        for turn in range(rounds + 1):
            with watched(url) as watch:
                measured = wrk(port, seconds)
            measured["connected"] = watch.most
            # The first round warms up.
            if turn:
                print("many", turn, json.dumps(measured), flush=True)
                results.append(measured)
    print(f"\n{CONNECTIONS} clients, {THREADS} threads")
    for name in ("p50", "p95", "p99"):
        print(f"{name:24} {statistics.median(each[name] for each in results):9.1f} ms")
    rate = statistics.median(each["requests"] / each["seconds"] for each in results)
    print(f"{'claims a second':24} {rate:9.1f}")
    for name in ("refused", "lost"):
        print(f"{name:24} {sum(each[name] for each in results):9}")
    most = max(each["connected"] for each in results)
    print(f"{'connections, at most':24} {most:9}\n", flush=True)


def measure_short(url: str, seconds: int, rounds: int, settings: dict[str, str]) -> None:
    limited = url.replace("://postgres@", f"://{ROLE}@")
    print(f"{FEWER} clients, {THREADS} threads, {GRANTED} connections")
    with served(limited, **settings) as port:
        for turn in range(1, rounds + 1):
            print("short", turn, json.dumps(many_claims(port, seconds)), flush=True)
    print(f"\nWithout persistent connections, while others take all {GRANTED} half of the time")
    with served(limited, **settings, CONN_MAX_AGE="0") as port, others_come_and_go(limited):
        for turn in range(1, rounds + 1):
            print("taken", turn, json.dumps(many_claims(port, seconds)), flush=True)


def main() -> None:
    given = [int(each) for each in sys.argv[1:]]
    seconds, rounds = [*given, *DEFAULTS[len(given) :]]
    if not shutil.which("wrk"):
        raise SystemExit("wrk is needed: apt-get install wrk")
    settings = {"API_AUTH": "open", "WEB_CONCURRENCY": "2", "WEB_THREADS": str(THREADS // 2)}
    # WARNING would log a line for each 503.
    settings["LOG_LEVEL"] = "ERROR"
    with scratch_database() as url:
        with psycopg.connect(url, autocommit=True) as database:
            database.execute(FILL.format(READY))
            for statement in GRANT.split(";"):
                database.execute(statement)
            database.execute("VACUUM ANALYZE tasks")
        measure_many(url, seconds, rounds, settings)
        measure_short(url, seconds, rounds, settings)


if __name__ == "__main__":
    print(f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}")
    main()
