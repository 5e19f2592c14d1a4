"""gunicorn's threaded worker with changes that its settings cannot make."""

import json
import time
from collections.abc import Callable, Iterable
from socket import socket
from typing import TYPE_CHECKING, Any

from gunicorn import util
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import ThreadWorker

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream

PAUSE_SECONDS = 0.002
CHUNK = 65_536
MOST_DISCARDED_CHUNKS = 160
REFUSALS = {
    414: "The address is too long.",
    431: "The request headers are too large.",
    500: "Something went wrong; the error has been logged.",
}


def write_refusal(sock: socket, status_int: int, reason: str, mesg: str) -> None:  # noqa: ARG001
    """Send gunicorn's own refusals, which never reach the application, in the service's form."""
    body = json.dumps({"detail": REFUSALS.get(status_int, "The request is malformed.")})
    util.write_nonblock(
        sock,
        (
            f"HTTP/1.1 {status_int} {reason}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode(),
    )


util.write_error = write_refusal


def discard(body: "InputStream") -> bool:
    """Read the rest of the body that the application left. False: it is too long, or broken."""
    try:
        return any(not body.read(CHUNK) for _ in range(MOST_DISCARDED_CHUNKS))
    except (ParseException, OSError):
        return False


def finishing_bodies(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Announce `Connection: close` if the next request could not follow this one's body.

    The stock worker says keep-alive, and then closes the connection if much of the body is unread.
    Clients that are still sending do not read the response, so moderate bodies are read first.
    """

    def finished(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        def start(*response: Any) -> Any:
            if not discard(environ["wsgi.input"]):
                # The method of gunicorn's own response.
                start_response.__self__.force_close()
            return start_response(*response)

        return application(environ, start)

    return finished


class WebWorker(ThreadWorker):
    """Shares new connections with the other workers, and loses none when it stops.

    Clients keep their connections, so a worker that accepts a whole burst leaves the others idle
    until those clients leave. `reuse_port` balances less evenly, and the kernel resets connections
    that a killed worker has not accepted.

    A stock worker that stops keeps its listener open without accepting from it: a proxy still
    connects, and its requests are reset at the end.
    """

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.wsgi = finishing_bodies(self.wsgi)

    def accept(self, listener: socket) -> None:
        connections = self.nr_conns
        super().accept(listener)
        # The accept fails if another worker was faster.
        if self.nr_conns > connections and self.cfg.workers > 1:
            time.sleep(PAUSE_SECONDS)

    def set_accept_enabled(self, enabled: bool | None) -> None:
        super().set_accept_enabled(enabled)
        if not (enabled or (self.alive and self.is_parent_alive())):
            # gunicorn may call this again, after the listeners were closed.
            for listener in self.sockets:
                if listener.fileno() != -1:
                    self.drain(listener)
                    listener.close()

    def drain(self, listener: socket) -> None:
        """Accept the connections that are in the backlog."""
        connections = -1
        while self.nr_conns > connections:
            connections = self.nr_conns
            super().accept(listener)
