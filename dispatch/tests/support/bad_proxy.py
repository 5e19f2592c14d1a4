"""A network that a test can break: an HTTP proxy between clients and a server, rule by rule.

    with bad_network(server.url) as network:
        network.rule("POST /crew/api/next", lose_answer)
        ... clients use network.url ...
        network.clear()

Browsers treat http://127.0.0.1 as a secure context. Each request has a connection of its own, so a
rule holds from the next request on.
"""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

UPSTREAM_SECONDS = 60
HOP_BY_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding"}


class Answer:
    """A complete HTTP answer."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class Exchange:
    """A request and what became of it. `answer` is the server's, None if it was never asked."""

    def __init__(self, upstream: str, method: str, path: str, headers: HTTPMessage, body: bytes):
        self.upstream = upstream
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.answer: Answer | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def forward(self) -> Answer:
        """Send the request to the server and return its answer."""
        address = urlsplit(self.upstream)
        line = HTTPConnection(address.hostname or "", address.port, timeout=UPSTREAM_SECONDS)
        try:
            # Host stays the proxy's: the server compares it with Origin.
            headers = {name: value for name, value in self.headers.items() if is_end_to_end(name)}
            line.request(self.method, self.path, self.body or None, headers)
            response = line.getresponse()
            kept = [field for field in response.getheaders() if is_end_to_end(field[0])]
            self.answer = Answer(response.status, kept, response.read())
        finally:
            line.close()
        return self.answer


# The treatment of a request: returns the answer for the client, or None to cut the connection.
Behaviour = Callable[[Exchange], Answer | None]


def is_end_to_end(header: str) -> bool:
    return header.lower() not in HOP_BY_HOP


def pass_on(exchange: Exchange) -> Answer | None:
    return exchange.forward()


def lose_request(exchange: Exchange) -> Answer | None:
    """Cut the connection before the server sees the request."""
    return None


def lose_answer(exchange: Exchange) -> Answer | None:
    """Cut the connection after the server has done the work."""
    exchange.forward()
    return None


def delay(seconds: float, then: Behaviour = pass_on) -> Behaviour:
    """Wait before the server sees the request."""

    def behaviour(exchange: Exchange) -> Answer | None:
        time.sleep(seconds)
        return then(exchange)

    return behaviour


def hold(until: threading.Event, then: Behaviour = pass_on) -> Behaviour:
    """Keep the request until the event is set."""

    def behaviour(exchange: Exchange) -> Answer | None:
        until.wait(UPSTREAM_SECONDS)
        return then(exchange)

    return behaviour


def answer_with(status: int, body: str, **headers: str) -> Behaviour:
    """Answer in place of the server, which never sees the request."""
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return lambda _: Answer(status, fields, body.encode())


def unavailable(seconds: int) -> Behaviour:
    return answer_with(
        503,
        '{"detail": "Not available."}',
        Content_Type="application/json",
        X_Request_ID="proxy",
        Retry_After=str(seconds),
    )


def rewrite(change: Callable[[bytes], bytes]) -> Behaviour:
    """Change the body of the server's answer."""

    def behaviour(exchange: Exchange) -> Answer | None:
        answer = exchange.forward()
        return Answer(answer.status, answer.headers, change(answer.body))

    return behaviour


def once(behaviour: Behaviour) -> Behaviour:
    """Only for the first request that the rule matches."""
    first = threading.Lock()

    def limited(exchange: Exchange) -> Answer | None:
        return behaviour(exchange) if first.acquire(blocking=False) else exchange.forward()

    return limited


# The answer of a hotel's network until its guest has signed in.
LOGIN_PAGE = "<!DOCTYPE html><title>Hotel</title><h1>Welcome! Please log in.</h1>"
login_page = answer_with(200, LOGIN_PAGE, Content_Type="text/html; charset=utf-8")
redirect_to_login = answer_with(302, "", Location="/hotel/login")


class BadNetwork:
    """The running proxy. `exchanges` are all requests whose answer is decided, in order."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.exchanges: list[Exchange] = []
        self._rules: list[tuple[re.Pattern[str], Behaviour]] = []
        self._changed = threading.Condition()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.connect()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def rule(self, pattern: str, behaviour: Behaviour) -> None:
        """Treat requests whose "METHOD /path?query" begins so in this way. The newest rule wins."""
        self._rules = [(re.compile(pattern), behaviour), *self._rules]

    def clear(self) -> None:
        """Drop all rules."""
        self._rules = []

    def disconnect(self) -> None:
        """Refuse connections, as a stopped server does."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def connect(self) -> None:
        if self._server:
            return
        self._server = Listener(("127.0.0.1", self._port), handler_for(self))
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    def matching(self, pattern: str) -> list[Exchange]:
        """Return the exchanges so far whose "METHOD /path?query" begins with the pattern."""
        with self._changed:
            return [each for each in self.exchanges if re.match(pattern, str(each))]

    def wait_for(self, pattern: str, count: int = 1, seconds: float = 30) -> list[Exchange]:
        """Wait until so many matching requests have their answers decided, since the start."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.matching(pattern)) >= count, seconds):
                seen = [str(each) for each in self.exchanges]
                raise AssertionError(f"{pattern}: fewer than {count} of {seen}")
        return self.matching(pattern)

    def behaviour_for(self, exchange: Exchange) -> Behaviour:
        rules = (each for pattern, each in self._rules if pattern.match(str(exchange)))
        return next(rules, pass_on)

    def record(self, exchange: Exchange) -> None:
        with self._changed:
            self.exchanges.append(exchange)
            self._changed.notify_all()


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request, client_address) -> None:
        """Clients hang up: that is no error here."""


def handler_for(network: BadNetwork) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65_537)
            self.close_connection = True
            if not self.raw_requestline or not self.parse_request():
                return
            self.close_connection = True
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            exchange = Exchange(network.upstream, self.command, self.path, self.headers, body)
            try:
                answer = network.behaviour_for(exchange)(exchange)
            except (OSError, HTTPException):
                # The server is down or hung up.
                answer = None
            # First the record: a test may read it as soon as the client has its answer.
            network.record(exchange)
            self.cut() if answer is None else self.deliver(answer)

        def deliver(self, answer: Answer) -> None:
            self.send_response_only(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer.body)

        def cut(self) -> None:
            # With unread data the client sees a reset; without, an empty answer.
            self.connection.shutdown(socket.SHUT_RDWR)

    return Handler


@contextmanager
def bad_network(upstream: str) -> Iterator[BadNetwork]:
    """Run a proxy to the server at this address."""
    network = BadNetwork(upstream)
    try:
        yield network
    finally:
        network.disconnect()
