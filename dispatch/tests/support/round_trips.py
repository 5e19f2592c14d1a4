"""Count round trips to PostgreSQL, BEGIN and COMMIT included, in libpq's trace."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def round_trips_counted() -> Iterator[Callable[[], int]]:
    """Yield a function that returns the number of round trips, once the block has ended."""
    connection.ensure_connection()
    pgconn = connection.connection.pgconn
    with tempfile.TemporaryFile() as trace:
        lines: list[bytes] = []
        pgconn.trace(trace.fileno())
        try:
            # The server ends its answer to each message or batch with one ReadyForQuery.
            yield lambda: sum(b"ReadyForQuery" in line for line in lines)
        finally:
            pgconn.untrace()
            trace.seek(0)
            lines += trace.readlines()
