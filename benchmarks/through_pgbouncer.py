"""Claims through PgBouncer, compared with direct ones.

    python benchmarks/through_pgbouncer.py [SECONDS a turn, default 5] [ROUNDS, default 5]

16 persistent connections (wrk, on the same machine), gunicorn with two processes, the same backlog,
in turns. Uses deploy/pgbouncer.ini. Needs wrk and pgbouncer. Figures are medians of the rounds, and
ratios are medians of the rounds' ratios.
"""

import os
import sys
from functools import partial
from typing import Any

import scratch
from beside import arguments, print_table, require
from over_http import OURS, PROCESSES, fill, rounds_of, wrk

from deploy import private

SETTINGS = {"API_AUTH": "open", "LOG_LEVEL": "INFO", "WEB_CONCURRENCY": str(PROCESSES)}


def main() -> None:
    seconds, rounds = arguments()
    require("wrk", "pgbouncer")
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
            print_table(rounds_of("claim", turns, rounds))


if __name__ == "__main__":
    print(f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}")
    main()
