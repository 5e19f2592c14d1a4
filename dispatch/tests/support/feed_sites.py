"""Real servers with the feeds of systems, each on a loopback address of its own."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .feeds import a_station, a_status

Answer = Callable[["Site", Any], None]


class Site:
    """A system's server. `answer` responds to each request for its status."""

    def __init__(self, name: str, host: str) -> None:
        self.name = name
        self.answer: Answer = answer_well
        self.requests: list[tuple[str, float]] = []
        self.closing = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.rpartition("/")[2]
                site.requests.append((path, time.monotonic()))
                with suppress(BrokenPipeError, ConnectionResetError):
                    if path == "station_status":
                        site.answer(site, self)
                    else:
                        respond(self, site.document(path))

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer((host, 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://{host}:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=[0.05])

    def document(self, name: str) -> dict[str, Any]:
        match name:
            case "gbfs.json":
                names = ("station_information", "station_status")
                return {"feeds": [{"name": each, "url": f"{self.url}/{each}"} for each in names]}
            case "station_information":
                return {"stations": [a_station(f"{self.name}-{n}") for n in range(3)]}
        now = int(time.time())
        rows = [a_status(f"{self.name}-{n}", last_reported=now) for n in range(3)]
        return {"stations": rows}

    def polls(self) -> list[float]:
        """Return the times of the requests for the status."""
        return [at for path, at in self.requests if path == "station_status"]

    def stop(self) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def respond(handler: Any, data: Any, status: int = 200, **headers: str) -> None:
    body = json.dumps({"last_updated": int(time.time()), "ttl": 0, "data": data}).encode()
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def answer_well(site: Site, handler: Any) -> None:
    respond(handler, site.document("station_status"))


def hang(site: Site, handler: Any) -> None:
    site.closing.wait(120)


def fail(site: Site, handler: Any) -> None:
    respond(handler, {}, 500)


def refuse(site: Site, handler: Any) -> None:
    respond(handler, {}, 429, Retry_After="3600")


def answer_badly(site: Site, handler: Any) -> None:
    respond(handler, {"stations": "none"})


@contextmanager
def serving(number: int) -> Iterator[list[Site]]:
    sites = [Site(f"s{n}", f"127.0.1.{n + 1}") for n in range(number)]
    for site in sites:
        site.thread.start()
    try:
        yield sites
    finally:
        for site in sites:
            site.stop()
