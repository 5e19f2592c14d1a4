"""Approving, proposing and ingesting many rows at once.

    python benchmarks/bulk.py [ROUNDS, default 5] [ROWS to ingest, default 1000000; 0 for none]

A thousand suggestions are approved in the console (gunicorn with a signed-in user), by the service
at once and one by one, and proposed over HTTP. 1,000 stations have fresh counts, so that the guard
has work to do. Then ingest.py runs on the same database.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psycopg
from scratch import STATIONS, Browser, environment, manage, scratch_database, served

DEFAULTS = [5, 1_000_000]
MANY = 1000
SUGGEST = """
    INSERT INTO suggestions (from_station_id, to_station_id, qty, reason, source)
    SELECT 1 + n % 500, 501 + n % 499, 5, 'Station ' || n || ' is full', 'benchmark'
    FROM generate_series(1, {}) AS n RETURNING id
"""
# Removes the open tasks of the previous round.
CLEAN = "TRUNCATE suggestions, tasks; UPDATE station_status SET as_of = now()"
SERVICE = """
import sys, time
from dispatch import services
from dispatch.models import Suggestion
ids = list(Suggestion.objects.order_by("id").values_list("id", flat=True))
services.approve_suggestion(ids.pop(), actor="benchmark")
start = time.perf_counter()
{call}
print((time.perf_counter() - start) * 1000)
"""
AT_ONCE = 'services.approve_suggestions(ids, actor="benchmark")'
ONE_BY_ONE = 'for each in ids: services.approve_suggestion(each, actor="benchmark")'


class Bulk:
    """The measured operations; each returns milliseconds."""

    def __init__(self, url: str, port: int) -> None:
        self.url = url
        self.browser = Browser(url, port)
        self.database = psycopg.connect(url, autocommit=True)
        for statement in STATIONS.split(";"):
            self.database.execute(statement)

    def suggested(self, number: int) -> list[int]:
        for statement in CLEAN.split(";"):
            self.database.execute(statement)
        ids = [row[0] for row in self.database.execute(SUGGEST.format(number)).fetchall()]
        self.database.execute("ANALYZE suggestions, tasks")
        return ids

    def approve_in_console(self) -> float:
        fields = [("_selected_action", str(each)) for each in self.suggested(MANY)]
        listed = "/admin/dispatch/suggestion/"
        page = self.browser.get(listed)
        start = time.perf_counter()
        self.browser.post_form(listed, page, [("action", "approve_selected"), *fields])
        took = (time.perf_counter() - start) * 1000
        row = self.database.execute("SELECT count(*) FROM tasks").fetchone()
        if row != (MANY,):
            raise SystemExit(f"{row} suggestions were approved instead of {MANY}.")
        return took

    def approve(self, call: str) -> float:
        self.suggested(MANY + 1)
        code = SERVICE.format(call=call)
        return float(manage(self.url, "shell", "--no-imports", "--command", code))

    def approve_at_once(self) -> float:
        return self.approve(AT_ONCE)

    def approve_one_by_one(self) -> float:
        return self.approve(ONE_BY_ONE)

    def propose_new(self) -> float:
        self.suggested(0)
        return self.propose()

    def propose(self) -> float:
        """Propose moves that are already open: each row is refreshed."""
        moves = [
            {
                "from_station_id": 1 + n % 500,
                "to_station_id": 501 + n // 500,
                "qty": 5,
                "reason": f"Station {n} is full",
            }
            for n in range(MANY)
        ]
        body = json.dumps(moves)
        start = time.perf_counter()
        self.browser.post_json("/suggestions", body)
        return (time.perf_counter() - start) * 1000


def measure(bulk: Bulk, rounds: int) -> None:
    turns = {
        "approve 1,000 in the console": bulk.approve_in_console,
        "approve_suggestions(1,000)": bulk.approve_at_once,
        "1,000 x approve_suggestion": bulk.approve_one_by_one,
        "POST /suggestions, 1,000 new": bulk.propose_new,
        "POST /suggestions, 1,000 again": bulk.propose,
    }
    results: dict[str, list[float]] = {name: [] for name in turns}
    for turn in range(rounds + 1):
        for name, run in turns.items():
            took = run()
            # The first round warms up.
            if turn:
                print("bulk", turn, json.dumps({"what": name, "ms": round(took, 1)}), flush=True)
                results[name].append(took)
    print()
    for name, each in results.items():
        print(f"{name:32} {statistics.median(each):8.0f} ms")
    pairs = zip(
        results["1,000 x approve_suggestion"], results["approve_suggestions(1,000)"], strict=True
    )
    ratio = statistics.median(single / together for single, together in pairs)
    print(f"{'at once is':32} {ratio:8.1f} x as fast as one by one\n", flush=True)


def ingest(url: str, rows: int) -> None:
    script = str(Path(__file__).with_name("ingest.py"))
    subprocess.run([sys.executable, script, str(rows)], env=environment(url), check=True)


def main() -> None:
    given = [int(each) for each in sys.argv[1:]]
    rounds, rows = [*given, *DEFAULTS[len(given) :]]
    with scratch_database() as url:
        with served(url, API_AUTH="open", WEB_CONCURRENCY="1") as port:
            measure(Bulk(url, port), rounds)
        if rows:
            ingest(url, rows)


if __name__ == "__main__":
    print(f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}")
    main()
