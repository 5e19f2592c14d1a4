"""The cost of a token and of metrics: claims with API_AUTH=required, with METRICS_TOKEN, and
with neither, in turn on the same database.

    python benchmarks/claim_with_token.py [CLAIMS a round, default 400] [ROUNDS, default 9]

One connection to one process with one thread, one request after the other.
"""

import json
import statistics
import sys
import time
from http.client import HTTPConnection

import psycopg
from scratch import manage, scratch_database, served

DEFAULTS = [400, 9]
BODY = json.dumps({"worker_id": "van-1"})
FILL = """
    INSERT INTO tasks (from_station_id, to_station_id, qty)
    SELECT 1 + n % 500, 501 + n % 499, 5 FROM generate_series(1, {}) AS n
"""


def claims(port: int, number: int, headers: dict[str, str]) -> list[float]:
    """The milliseconds of each claim."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    times = []
    for _ in range(number):
        start = time.perf_counter()
        connection.request("POST", "/dispatch/next", BODY, headers)
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - start) * 1000)
        if answer.status != 200:
            raise SystemExit(f"A claim returned {answer.status}.")
    connection.close()
    return times


def main() -> None:
    given = [int(each) for each in sys.argv[1:]]
    number, rounds = [*given, *DEFAULTS[len(given) :]]
    one = {"WEB_CONCURRENCY": "1", "WEB_THREADS": "1"}
    plain = {"Content-Type": "application/json"}
    with scratch_database() as url:
        with psycopg.connect(url) as database:
            database.execute(FILL.format(3 * (rounds + 1) * number))
            database.execute("ANALYZE tasks")
        role = ("--role", "worker", "--worker-id", "van-1")
        with_token = {
            **plain,
            "Authorization": f"Token {manage(url, 'create_token', 'van', *role)}",
        }
        with (
            served(url, API_AUTH="open", **one) as open_port,
            served(url, API_AUTH="required", **one) as token_port,
            served(url, API_AUTH="open", METRICS_TOKEN="benchmark" * 2, **one) as metrics_port,
        ):
            medians: dict[str, list[float]] = {"open": [], "token": [], "metrics": []}
            for turn in range(rounds + 1):
                measured = {
                    "open": claims(open_port, number, plain),
                    "token": claims(token_port, number, with_token),
                    "metrics": claims(metrics_port, number, plain),
                }
                # The first round warms up.
                for name, times in measured.items() if turn else ():
                    medians[name].append(statistics.median(times))
    for name, values in medians.items():
        ratios = (mine / plain for mine, plain in zip(values, medians["open"], strict=True))
        print(
            f"{name:8} {statistics.median(values):6.2f} ms a claim, "
            f"{statistics.median(ratios):.2f} x open"
        )


if __name__ == "__main__":
    main()
