"""The deadline of an exchange with a server, in any thread."""

import socket
import time
from contextlib import suppress
from threading import Lock, Timer
from types import TracebackType
from typing import Self

from .documents import BadFeed


class Deadline:
    """Cuts the watched connections after so many seconds.

    A server that sends a byte now and then never meets a socket's own timeout.
    """

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.watched: list[socket.socket] = []
        self.lock = Lock()
        self.timer = Timer(seconds, self.cut)
        self.timer.daemon = True

    def __enter__(self) -> Self:
        self.timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.timer.cancel()
        with self.lock:
            for each in self.watched:
                each.close()
            self.watched.clear()

    @property
    def left(self) -> float:
        return self.end - time.monotonic()

    def check(self, pause: float = 0) -> None:
        """BadFeed: it is over, or would be after a pause of so many seconds."""
        if self.left <= pause:
            raise BadFeed("it took too long.")

    def watch(self, connection: socket.socket) -> None:
        """Keep a duplicate: TLS replaces the socket of the connection."""
        with self.lock:
            self.watched.append(connection.dup())
        if self.left <= 0:
            self.cut()

    def cut(self) -> None:
        with self.lock:
            for each in self.watched:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
