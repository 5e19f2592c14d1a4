"""The contract's operations over HTTP, compared with the contract's own design.

    python benchmarks/over_http.py [SECONDS a turn, default 5] [ROUNDS, default 5]

16 persistent connections (wrk, on the same machine), two server processes each, and a backlog of
60,000 ready and 100,000 completed tasks, in a separate database for each, in turns:

    contract   FastAPI and SQLAlchemy as the contract describes them (contract/app.py)
    tuned     the same with an index, 8 threads and a connection for each client
    ours       gunicorn baywheels.wsgi, with its defaults and two processes
    no database  ours, with a claim that uses none (claims only)
    pgbench    our claim's statement, without HTTP or Python (claims only)

Ours approves with no station's bikes known, as the contract does. Two more turns are about the
guard: "chain", without counts, where each move begins at the station where the last one ends, and
"counts known", with those of all stations.

Needs wrk. Figures are medians of the rounds, and ratios are medians of the rounds' ratios.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from scratch import STATIONS, claim_statement, copied, programs, scratch_cluster, served, wait_for

from deploy import private

Turn = Callable[[], dict[str, Any]]

DEFAULTS = [5, 5]
CONNECTIONS = 16
PROCESSES = 2
READY, COMPLETED, OPEN = 60_000, 100_000, 60_000
HERE = Path(__file__).parent
CONTRACT = HERE / "contract"

BACKLOG = """
    INSERT INTO tasks (from_station_id, to_station_id, qty, reason, status, worker_id,
                       created_at {ours})
    SELECT 1 + n % 500, 501 + n % 499, 5, 'Station 100 is full, Station 200 needs bikes',
           'completed', 'van-' || n % 50, at {values}
    FROM generate_series(1, {completed}) AS n,
         LATERAL (SELECT now() - n * interval '1 second') AS t (at);
    INSERT INTO tasks (from_station_id, to_station_id, qty, reason, status, created_at)
    SELECT 1 + n % 500, 501 + n % 499, 5, 'Station 100 is full, Station 200 needs bikes',
           'ready', now() - n * interval '1 second'
    FROM generate_series(1, {ready}) AS n;
    INSERT INTO suggestions (from_station_id, to_station_id, qty, reason, created_at)
    SELECT 1 + n % 500, 501 + n % 499, 5, 'Station 100 is full, Station 200 needs bikes', now()
    FROM generate_series(1, {open}) AS n
"""
# Moves 2001 to 2002, 2002 to 2003 ...: concurrent approvals share stations, but never a move.
CHAIN = """
    INSERT INTO suggestions (from_station_id, to_station_id, qty, reason, created_at)
    SELECT 2001 + n %% 500, 2002 + n %% 500, 5, 'Each move begins where the last one ends', now()
    FROM generate_series(1, %s) AS n
    RETURNING id
"""
HOLD = "UPDATE tasks SET status = 'assigned', worker_id = 'van-1' {also} WHERE status = 'ready'"
OURS = {"ours": ", attempt, assigned_at, completed_at, moved_qty", "values": ", 1, at, at, 5"}
THEIRS = {"ours": "", "values": ""}


def fill(url: str, columns: dict[str, str]) -> None:
    with psycopg.connect(url, autocommit=True) as database:
        for statement in BACKLOG.format(
            **columns, completed=COMPLETED, ready=READY, open=OPEN
        ).split(";"):
            database.execute(statement)
        database.execute("VACUUM ANALYZE")


# The servers


def contract_python() -> str:
    """Python of a virtual environment with the contract's packages, created on first use."""
    folder = CONTRACT / ".venv"
    python = str(folder / "bin" / "python")
    if not (folder / "complete").exists():
        print("Installing the contract's packages, once ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        wanted = str(CONTRACT / "requirements.txt")
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", wanted], check=True)
        (folder / "complete").touch()
    return python


@contextmanager
def contract_served(url: str, tuned: bool) -> Iterator[int]:
    port = private.free_port()
    environment = {
        **os.environ,
        "CONTRACT_DATABASE_URL": url,
        **({"TUNED": "1"} if tuned else {}),
    }
    python = contract_python()
    create = [python, "-c", "import app; app.create_tables()"]
    subprocess.run(create, cwd=CONTRACT, env=environment, check=True)
    fill(url, THEIRS)
    command = [python, "-m", "uvicorn", "app:app", "--workers", str(PROCESSES)]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--log-level", "warning", "--no-access-log"],
        cwd=CONTRACT,
        env=environment,
    )
    try:
        wait_for(port, server)
        yield port
    finally:
        server.terminate()
        server.wait()


# The load


def wrk(port: int, operation: str, seconds: int, first: int = 1) -> dict[str, Any]:
    done = subprocess.run(
        [
            *("wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "--timeout", "30s"),
            *("-s", str(HERE / "load.lua"), f"http://127.0.0.1:{port}"),
        ],
        env={**os.environ, "OPERATION": operation, "FIRST": str(first)},
        capture_output=True,
        text=True,
        check=True,
    )
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if measured["refused"] or measured["lost"]:
        raise SystemExit(f"{operation}: {measured}")
    return {"rate": measured["requests"] / measured["seconds"], **measured}


def pgbench(url: str, seconds: int) -> dict[str, Any]:
    script = claim_statement(url)
    done = subprocess.run(
        [
            *(str(programs() / "pgbench"), "-n", "-c", str(CONNECTIONS), "-j", "1"),
            *("-M", "prepared", "-T", str(seconds), "-f", "/dev/stdin", url),
        ],
        input=script,
        capture_output=True,
        text=True,
        check=True,
    )
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    return {"rate": float(rate[1]) if rate else 0.0}


def then_vacuumed(url: str, turn: Turn) -> dict[str, Any]:
    """Vacuum after each turn, so that none meets another's dead rows or their autovacuum."""
    measured = turn()
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("VACUUM tasks, suggestions")
    return measured


class Ids:
    """The next ids to approve or complete at one server."""

    def __init__(self, url: str, also: str, approved: int = 0) -> None:
        self.url = url
        self.also = also
        self.approved = approved

    def first(self, operation: str) -> int:
        if operation == "approve":
            return self.approved + 1
        with psycopg.connect(self.url, autocommit=True) as database:
            # Claim beforehand, so that only completions are measured.
            database.execute(HOLD.format(also=self.also))
            row = database.execute("SELECT min(id) FROM tasks WHERE status = 'assigned'").fetchone()
        return int(row[0]) if row else 1

    def sent(self, operation: str, measured: dict[str, Any]) -> None:
        if operation == "approve":
            # wrk has more requests in flight when it stops.
            self.approved += measured["requests"] + 4 * CONNECTIONS


def rounds_of(
    operation: str, turns: dict[str, Turn], rounds: int
) -> dict[str, list[dict[str, Any]]]:
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in turns}
    for turn in range(rounds + 1):
        for name, run in turns.items():
            measured = run()
            # The first round warms up.
            if turn:
                print(operation, turn, name, json.dumps(measured), flush=True)
                results[name].append(measured)
    return results


def print_table(operation: str, results: dict[str, list[dict[str, Any]]]) -> None:
    print(f"\n{operation:12} {'a second':>9} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8}   ours is")
    for name, each in results.items():
        figures = [
            statistics.median(one[key] for one in each) if key in each[0] else None
            for key in ("rate", "p50", "p95", "p99")
        ]
        ratio = statistics.median(
            mine["rate"] / theirs["rate"]
            for mine, theirs in zip(results["ours"], each, strict=True)
        )
        columns = " ".join(f"{'' if each is None else f'{each:.1f}':>8}" for each in figures)
        print(f"{name:12}  {columns}   {ratio:.2f} x")
    print(flush=True)


def claims(
    urls: dict[str, str], ports: dict[str, int], bare: int, seconds: int, rounds: int
) -> None:
    turns: dict[str, Turn] = {
        name: partial(then_vacuumed, urls[name], partial(wrk, port, "claim", seconds))
        for name, port in ports.items()
    }
    turns["no database"] = partial(wrk, bare, "claim", seconds)
    limit = urls["for_pgbench"]
    turns["pgbench"] = partial(then_vacuumed, limit, partial(pgbench, limit, seconds))
    print_table("claim", rounds_of("claim", turns, rounds))


def add_chain(url: str) -> int:
    """Insert the chain's suggestions. Return the id before the first one."""
    with psycopg.connect(url, autocommit=True) as database:
        first = min(number for [number] in database.execute(CHAIN, [OPEN]))
        database.execute("VACUUM ANALYZE")
    return int(first) - 1


def by_id(urls: dict[str, str], ports: dict[str, int], seconds: int, rounds: int) -> None:
    also = {"ours": ", attempt = 1, assigned_at = now()"}
    ids = {name: Ids(urls[name], also.get(name, "")) for name in ports}
    chain = {name: Ids(urls[name], "", approved=add_chain(urls[name])) for name in ports}

    def take(name: str, operation: str, ids: Ids) -> dict[str, Any]:
        turn = partial(wrk, ports[name], operation, seconds, ids.first(operation))
        measured = then_vacuumed(urls[name], turn)
        ids.sent(operation, measured)
        return measured

    def measure(title: str, operation: str, ids: dict[str, Ids]) -> None:
        turns: dict[str, Turn] = {
            name: partial(take, name, operation, each) for name, each in ids.items()
        }
        print_table(title, rounds_of(title, turns, rounds))

    measure("approve", "approve", ids)
    measure("chain", "approve", chain)
    with psycopg.connect(urls["ours"], autocommit=True) as database:
        database.execute(STATIONS)
        database.execute("VACUUM ANALYZE")
    measure("counts known", "approve", {name: ids[name] for name in ("tuned", "ours")})
    measure("complete", "complete", ids)


def main() -> None:
    given = [int(each) for each in sys.argv[1:]]
    seconds, rounds = [*given, *DEFAULTS[len(given) :]]
    if not shutil.which("wrk"):
        raise SystemExit("wrk is needed: apt-get install wrk")
    ours = {"API_AUTH": "open", "WEB_CONCURRENCY": str(PROCESSES), "LOG_LEVEL": "INFO"}
    with ExitStack() as stack:
        cluster = stack.enter_context(scratch_cluster())
        urls = {name: cluster(name) for name in ("ours", "contract", "tuned")}
        fill(urls["ours"], OURS)
        # Its own database: it would claim all ready tasks before the others have their turns.
        urls["for_pgbench"] = copied(urls["ours"], "for_pgbench")
        ports = {
            "contract": stack.enter_context(contract_served(urls["contract"], tuned=False)),
            "tuned": stack.enter_context(contract_served(urls["tuned"], tuned=True)),
            "ours": stack.enter_context(served(urls["ours"], **ours)),
        }
        bare = stack.enter_context(
            served(urls["ours"], application="without_database", PYTHONPATH=str(HERE), **ours)
        )
        claims(urls, ports, bare, seconds, rounds)
        by_id(urls, ports, seconds, rounds)


if __name__ == "__main__":
    print(f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}")
    main()
