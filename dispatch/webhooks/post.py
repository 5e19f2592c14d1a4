"""One POST: to a checked address, without redirects or proxies, limited in time and size."""

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse

from ..services import Answer
from ..texts import printable
from .addresses import HTTP_PORT, HTTPS_PORT, Forbidden, Networks, Target, resolve

# Seconds for the whole exchange, from the connection to the last byte.
DEADLINE = 15.0
LARGEST_ANSWER = 16_384
SHOWN = 1000
TOO_LONG = "It took longer than {:g} seconds."


class PinnedConnection(HTTPConnection):
    """Connects to the target's address. The certificate must be valid for the target's name."""

    def __init__(self, target: Target, timeout: float) -> None:
        self.default_port = HTTPS_PORT if target.is_tls else HTTP_PORT
        super().__init__(target.host, target.port, timeout=timeout)
        self.target = target

    def connect(self) -> None:
        place = (self.target.address, self.target.port)
        self.sock = socket.create_connection(place, self.timeout)
        if self.target.is_tls:
            context = ssl.create_default_context()
            # The deadline can cut a handshake only if the socket is known before it.
            self.sock = context.wrap_socket(
                self.sock, server_hostname=self.target.host, do_handshake_on_connect=False
            )
            self.sock.do_handshake()

    def cut(self) -> None:
        """End the reading or writing of another thread."""
        if self.sock is not None:
            with suppress(OSError):
                # SSLSocket's own method would first discard the encryption.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allowed: Networks = (),
    deadline: float = DEADLINE,
) -> Answer:
    """Send it. An answer without a status says why there is none."""
    end = time.monotonic() + deadline
    too_long = TOO_LONG.format(deadline)
    try:
        target = resolve(url, allowed)
        if (left := end - time.monotonic()) <= 0:
            return Answer(None, too_long)
        return exchange(PinnedConnection(target, left), body, headers, end)
    except Forbidden as error:
        return Answer(None, str(error))
    except (OSError, HTTPException, ValueError) as error:
        late = time.monotonic() >= end
        return Answer(None, too_long if late else f"{type(error).__name__}: {error}"[:SHOWN])


def exchange(
    connection: PinnedConnection, body: bytes, headers: Mapping[str, str], end: float
) -> Answer:
    # A server that sends a byte now and then never meets the socket's own timeout.
    timer = threading.Timer(max(0, end - time.monotonic()), connection.cut)
    timer.start()
    try:
        connection.request("POST", connection.target.path, body, dict(headers))
        response = connection.getresponse()
        text = response.read(LARGEST_ANSWER)
        if time.monotonic() >= end:
            raise TimeoutError
        return answer_of(response, text)
    finally:
        timer.cancel()
        connection.close()


def answer_of(response: HTTPResponse, content: bytes) -> Answer:
    text = printable(content.decode("utf-8", "replace")[:SHOWN], " ")
    return Answer(response.status, text, retry_after(response.headers.get("Retry-After", "")))


def retry_after(value: str) -> float:
    """Seconds from the header: a number or a date. 0: none, or one that is not understood."""
    if value.isascii() and value.isdigit():
        return float(value[:9])
    with suppress(ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return 0.0
