"""Django's PostgreSQL backend, cheaper where each request pays: a look at whether the kept
connection still lives, and statements that are planned once."""

import select
from typing import Any

from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper


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

    def prepared_cursor(self) -> CursorWrapper:
        """A cursor whose statements PostgreSQL parses and plans once for a connection.

        For a few fixed statements only. A condition that a partial index needs must stand in the
        statement itself: a parameter's value is not known when it is planned.
        """
        self.close_if_health_check_failed()
        self.ensure_connection()
        with self.wrap_database_errors:
            cursor = base.ServerBindingCursor(self.connection)  # type: ignore[call-arg]
            wrapped: CursorWrapper = self._prepare_cursor(cursor)  # type: ignore[attr-defined]
        return wrapped
