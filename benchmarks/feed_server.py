"""Serves the feeds of many systems on the addresses 127.0.0.1 to 127.0.0.250.

    python benchmarks/feed_server.py PORT STATIONS

/SYSTEM/gbfs.json is the discovery document of any system. In each answer a tenth of the stations
have another number of bikes than before.
"""

import json
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

ANSWERS = count()
TTL = 0
STARTED = int(time.time())


def discovery(base: str, _: int) -> dict[str, Any]:
    names = ("station_information", "station_status")
    return {"feeds": [{"name": name, "url": f"{base}/{name}"} for name in names]}


def information(base: str, stations: int) -> dict[str, Any]:
    system = base.rpartition("/")[2]
    rows = [
        {
            "station_id": f"{system}-{n}",
            "name": f"Station {n}",
            "lat": 37.7 + n / 1000,
            "lon": -122.4,
            "capacity": 20,
        }
        for n in range(stations)
    ]
    return {"stations": rows}


def status(base: str, stations: int) -> dict[str, Any]:
    system, answer = base.rpartition("/")[2], next(ANSWERS)
    rows = [
        {
            "station_id": f"{system}-{n}",
            "num_bikes_available": (bikes := (n + (answer + n) // 10) % 21),
            "num_docks_available": 20 - bikes,
            "num_bikes_disabled": 0,
            "num_docks_disabled": 0,
            "is_installed": True,
            "is_renting": True,
            "is_returning": True,
            "last_reported": STARTED,
        }
        for n in range(stations)
    ]
    return {"stations": rows}


DOCUMENTS: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "gbfs.json": discovery,
    "station_information": information,
    "station_status": status,
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stations = 0

    def do_GET(self) -> None:
        base, _, name = self.path.rpartition("/")
        data = DOCUMENTS.get(name, discovery)(f"http://{self.headers['Host']}{base}", self.stations)
        whole = {"last_updated": int(time.time()), "ttl": TTL, "version": "2.3", "data": data}
        body = json.dumps(whole).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    Handler.stations = int(sys.argv[2])
    Server(("", int(sys.argv[1])), Handler).serve_forever()
