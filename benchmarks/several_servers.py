"""Claims from two gunicorn masters behind nginx, compared with one server of two processes.

    python benchmarks/several_servers.py [SECONDS a turn, default 5] [ROUNDS, default 5]

16 persistent connections (wrk, on the same machine) claim from the same backlog, in turns:

    one server   gunicorn with two processes, asked directly
    behind nginx the same behind nginx: shows the cost of nginx itself
    two servers  two masters of one process each, behind nginx

Uses deploy/nginx.conf. Needs wrk and nginx. Figures are medians of the rounds, and ratios are
medians of the rounds' ratios.
"""

import os
import sys
from functools import partial
from typing import Any

import scratch
from beside import arguments, print_table, require
from over_http import OURS, fill, rounds_of, wrk

from deploy import private

SETTINGS = {"API_AUTH": "open", "LOG_LEVEL": "INFO", "BEHIND_PROXY": "true"}


def main() -> None:
    seconds, rounds = arguments()
    require("wrk", "nginx")
    two, one = ({**SETTINGS, "WEB_CONCURRENCY": number} for number in ("2", "1"))
    with scratch.scratch_database() as url:
        fill(url, OURS)
        with (
            scratch.served(url, **two) as direct,
            scratch.served(url, **one) as first,
            scratch.served(url, **one) as second,
            private.nginx([direct, direct]) as before_one,
            private.nginx([first, second]) as before_two,
        ):
            ports = {
                "one server": direct,
                "behind nginx": int(before_one.rpartition(":")[2]),
                "two servers": int(before_two.rpartition(":")[2]),
            }
            turns: dict[str, Any] = {
                name: partial(wrk, port, "claim", seconds) for name, port in ports.items()
            }
            print_table(rounds_of("claim", turns, rounds))


if __name__ == "__main__":
    print(f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}")
    main()
