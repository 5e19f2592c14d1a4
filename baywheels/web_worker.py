"""gunicorn's threaded worker with two changes that its settings cannot make."""

import time
from socket import socket

from gunicorn.workers.gthread import ThreadWorker

PAUSE_SECONDS = 0.002


class WebWorker(ThreadWorker):
    """Shares new connections with the other workers, and loses none when it stops.

    Clients keep their connections, so a worker that accepts a whole burst leaves the others idle
    until those clients leave. `reuse_port` balances less evenly, and the kernel resets connections
    that a killed worker has not accepted.

    A stock worker that stops keeps its listener open without accepting from it: a proxy still
    connects, and its requests are reset at the end.
    """

    def accept(self, listener: socket) -> None:
        connections = self.nr_conns
        super().accept(listener)
        # Not if another worker was faster, or there is no other.
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
