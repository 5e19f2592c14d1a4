"""Two gunicorn masters behind nginx, with the shipped file, beside one of two processes, by turns.

    python benchmarks/several_servers.py [SECONDS a turn, default 5] [ROUNDS, default 5]

Claims over 16 kept-open connections (wrk, on the same machine), from the same backlog:

    one server   gunicorn, two processes, asked directly
    behind nginx the same, with nginx before it: what nginx itself costs
    two servers  two masters of one process each, behind nginx

Needs wrk and nginx. Each figure is the median of the rounds, each ratio that of the rounds' ratios.
"""

import os
import sys
from functools import partial
from typing import Any

import scratch
from beside import arguments, needed, told
from over_http import OURS, fill, rounds_of, wrk

from deploy import private

SETTINGS = {"API_AUTH": "open", "LOG_LEVEL": "INFO", "BEHIND_PROXY": "true"}


def main() -> None:
    seconds, rounds = arguments()
    needed("wrk", "nginx")
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
            told(rounds_of("claim", turns, rounds))


if __name__ == "__main__":
    print(f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}")
    main()
