"""Python's own client of the web, held to a deadline and to the web.

The deadline holds for each byte, also of the headers: a server may send one every nine seconds.
"""

import http.client
import io
import socket
import time
import urllib.request
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from .documents import BadFeed

# Seconds, for one wait.
WAIT = 10.0


class Deadlined(io.RawIOBase):
    def __init__(self, sock: socket.socket, end: float) -> None:
        self.sock, self.end = sock, end
        # It keeps the socket open when the connection has let go of it.
        self.file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.sock.settimeout(min(WAIT, left))
        return self.file.readinto(buffer)

    def close(self) -> None:
        self.file.close()
        super().close()


class Response(http.client.HTTPResponse):
    def __init__(self, end: float, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(Deadlined(sock, end))


class Web(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def __init__(self, end: float) -> None:
        super().__init__()
        self.response = partial(Response, end)

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self.connect(http.client.HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self.connect(http.client.HTTPSConnection), req)

    def connect(self, kind: type[http.client.HTTPConnection]) -> Any:
        def make(host: str, **options: Any) -> http.client.HTTPConnection:
            connection = kind(host, **options)
            connection.response_class = self.response  # type: ignore[assignment]
            return connection

        return make


class OnlyToTheWeb(urllib.request.HTTPRedirectHandler):
    max_redirections = 5

    def redirect_request(  # noqa: PLR0917
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise BadFeed(f"{req.host}: it redirects to something else than http or https.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def opener(end: float) -> urllib.request.OpenerDirector:
    """Without the library's readers of files, of ftp and of data in addresses."""
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        Web(end),
        OnlyToTheWeb(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        director.add_handler(handler)
    return director
