"""Django's PostgreSQL backend, with a cheaper look at whether a kept connection still lives."""

import select
from typing import Any

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    connection: Any

    def is_usable(self) -> bool:
        """Whether the server has hung up, or said anything at all to a client that asked nothing.

        Django asks with a `SELECT 1` before each request: a twelfth of a claim's time, for what
        the socket knows (benchmarks/README.md).
        """
        if self.connection is None or self.connection.closed:
            return False
        watched = select.poll()
        watched.register(self.connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        return not watched.poll(0)
