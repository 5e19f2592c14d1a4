"""The board's page, an approval on it and an unchanged refresh, in time and compressed bytes.

    python benchmarks/board.py [ROUNDS, default 9]

Two generated cities: 518 stations with 91 suggestions, and 2,200 with 500. One client on the same
machine asks one after another, as a browser does:

    page         the board's page until its first byte; with all scripts, styles and places
    approval     a suggestion approved by the board's button, with the redirect to the answer
    unchanged    a refresh that finds nothing new

Figures are medians of the rounds. Bytes are bodies as sent. Styles and scripts that the server does
not compress (there are no files of `collectstatic`) are compressed here.
"""

import gzip
import re
import sys
import time
from http.client import HTTPResponse
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import urljoin

import psycopg
import scratch

BOARD, STATE = "/admin/board/", "/admin/board/state.json"
CITIES = [(518, 91), (2200, 500)]
# Stations in three areas. All suggestions fit; the other stations are empty to full in turn.
CITY = """
    INSERT INTO stations (id, system, name, lat, lon, capacity)
    SELECT n, 'benchmark', 'Street ' || n %% 89 || ' at Avenue ' || n / 89,
        37.3 + n %% 3 * 0.25 + n / 60 * 0.0015, -122.4 + n %% 60 * 0.0015, 20
    FROM generate_series(1, %(stations)s) AS n;
    INSERT INTO station_status (station_id, bikes, docks, as_of)
    SELECT n, bikes, 20 - bikes, now()
    FROM generate_series(1, %(stations)s) AS n,
        LATERAL (
            SELECT CASE WHEN n > %(suggestions)s + 2 THEN n * 7 %% 21 ELSE 10 END AS bikes
        ) AS status;
    INSERT INTO station_feeds (system, kind, source, read_at)
    VALUES ('benchmark', 'status', 'benchmark', now());
    INSERT INTO suggestions (from_station_id, to_station_id, qty, reason, priority, source)
    SELECT n, n + 1, 1 + n %% 3, 'From a full station to an empty one', n %% 60, 'benchmark'
    FROM generate_series(1, %(suggestions)s) AS n;
    INSERT INTO tasks (from_station_id, to_station_id, qty, reason)
    SELECT n, n + 2, 1 + n %% 3, 'From a full station to an empty one'
    FROM generate_series(1, 30) AS n;
"""


class Answer(NamedTuple):
    """`first_byte` and `seconds` since the request; `size` of the body as sent."""

    first_byte: float
    seconds: float
    size: int
    body: bytes
    response: HTTPResponse


class Client(scratch.Browser):
    """Asks as a browser does, for compressed answers."""

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> Answer:
        sent = {"Cookie": self.cookies, "Accept-Encoding": "gzip", **headers}
        started = time.perf_counter()
        self.connection.request(method, path, body, sent)
        response = self.connection.getresponse()
        first_byte = time.perf_counter() - started
        data = response.read()
        seconds = time.perf_counter() - started
        size = len(data)
        if response.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        return Answer(first_byte, seconds, size, data, response)


def assets_of(client: Client, page: str) -> int:
    """The compressed bytes of all files that the page loads."""
    waiting = re.findall(r'(?:href|src)="([^"]*/static/[^"]*)"', page)
    waiting += re.findall(r'data-places="([^"]*)"', page)
    sizes: dict[str, int] = {}
    while waiting:
        path = waiting.pop()
        if path in sizes:
            continue
        answer = client.ask("GET", path)
        compressed = "Content-Encoding" in answer.response.headers
        sizes[path] = answer.size if compressed else len(gzip.compress(answer.body))
        if path.endswith(".js"):
            names = re.findall(r'from "(\./[^"]+)"', answer.body.decode())
            waiting += [urljoin(path, name) for name in names]
    return sum(sizes.values())


def approve(client: Client, page: str, address: str) -> tuple[float, int]:
    """Seconds and bytes of the button's POST and of the answer that it leads to."""
    token = re.findall(r'name="csrfmiddlewaretoken" value="([^"]*)"', page)[0]
    body = f"csrfmiddlewaretoken={token}&board=1"
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json, text/html;q=0.9",
    }
    post = client.ask("POST", address, body, **headers)
    if cookie := re.search(r"messages=[^;]*", post.response.headers.get("Set-Cookie", "")):
        client.cookies += f"; {cookie[0]}"
    answer = client.ask("GET", post.response.headers["Location"], **headers)
    client.cookies = re.sub(r"; messages=[^;]*", "", client.cookies)
    if b"approved as" not in answer.body:
        raise SystemExit(f"{address} was not approved: {answer.body[:300]!r}")
    return post.seconds + answer.seconds, post.size + answer.size


def measure(client: Client, rounds: int) -> dict[str, float]:
    page = client.get(BOARD)
    pages = [client.ask("GET", BOARD) for _ in range(rounds)]
    addresses = re.findall(r'formaction="([^"]*/approve/)"', page)[:rounds]
    approvals = [approve(client, page, address) for address in addresses]
    version = client.ask("GET", STATE).response.headers["ETag"]
    refreshes = [
        client.ask("GET", STATE, **{"If-None-Match": version}).seconds for _ in range(rounds)
    ]
    html = median(answer.size for answer in pages)
    return {
        "first byte, ms": 1000 * median(answer.first_byte for answer in pages),
        "page, KB": html / 1000,
        "all, KB": (html + assets_of(client, page)) / 1000,
        "approval, ms": 1000 * median(seconds for seconds, _ in approvals),
        "approval, KB": median(size for _, size in approvals) / 1000,
        "unchanged, ms": 1000 * median(refreshes),
    }


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    for stations, suggestions in CITIES:
        with scratch.scratch_database() as url:
            with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as db:
                db.execute(CITY, {"stations": stations, "suggestions": suggestions})
                db.execute("ANALYZE")
            with scratch.served(url) as port:
                figures: dict[str, Any] = measure(Client(url, port), rounds)
        print(f"\n{stations:,} stations, {suggestions} suggestions")
        for name, figure in figures.items():
            print(f"  {name:16}{figure:8.1f}")


if __name__ == "__main__":
    main()
