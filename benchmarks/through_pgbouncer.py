"""Claims through PgBouncer, with the shipped file, beside direct ones, by turns.

    python benchmarks/through_pgbouncer.py [SECONDS a turn, default 5] [ROUNDS, default 5]

16 kept-open connections (wrk, on the same machine), gunicorn with two processes, the same backlog.
Needs wrk and pgbouncer. Each figure is the median of the rounds, each ratio that of the rounds'
ratios.
"""

import os
import sys
from functools import partial
from typing import Any

import scratch
from beside import arguments, needed, told
from over_http import OURS, PROCESSES, fill, rounds_of, wrk

from deploy import private

SETTINGS = {"API_AUTH": "open", "LOG_LEVEL": "INFO", "WEB_CONCURRENCY": str(PROCESSES)}


def main() -> None:
    seconds, rounds = arguments()
    needed("wrk", "pgbouncer")
    with scratch.scratch_database() as url, private.pgbouncer(url) as pooled:
        fill(url, OURS)
        with (
            scratch.served(url, **SETTINGS) as direct,
            scratch.served(pooled, BEHIND_PGBOUNCER="true", **SETTINGS) as through,
        ):
            turns: dict[str, Any] = {
                name: partial(wrk, port, "claim", seconds)
                for name, port in {"direct": direct, "pgbouncer": through}.items()
            }
            told(rounds_of("claim", turns, rounds))


if __name__ == "__main__":
    print(f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}")
    main()
