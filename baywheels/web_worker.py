"""gunicorn's threaded worker, taking turns with its siblings at new connections."""

import time
from socket import socket

from gunicorn.workers.gthread import ThreadWorker

PAUSE = 0.002


class TurnTakingWorker(ThreadWorker):
    """Leaves the next connection to the others for 2 ms after it took one.

    Clients keep their connections. Without the pause the process that wakes first may take a whole
    burst of them, and the others stay idle for as long as those last (docs/performance.md).
    """

    pauses_until = 0.0

    def accept(self, listener: socket) -> None:
        held = self.nr_conns
        super().accept(listener)
        # Another process may have been sooner.
        if self.nr_conns > held and self.cfg.workers > 1:
            self.pauses_until = time.monotonic() + PAUSE
            self.set_accept_enabled(False)

    def set_accept_enabled(self, enabled: bool | None) -> None:
        super().set_accept_enabled(bool(enabled) and not self.pauses_until)

    def wait_for_and_dispatch_events(self, timeout: float | None) -> None:
        super().wait_for_and_dispatch_events(PAUSE if self.pauses_until else timeout)
        # Looked at nowhere else: it must not wait for long while it does not accept.
        if time.monotonic() >= self.pauses_until:
            self.pauses_until = 0.0
