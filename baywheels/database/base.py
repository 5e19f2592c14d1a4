"""Django's PostgreSQL backend, cheaper where each request pays (a look at whether the kept
connection still lives, and statements that travel together), and patient when PostgreSQL has no
connection to spare."""

import select
import time
from collections.abc import Sequence
from typing import Any

from django.db.backends.postgresql import base

from .batch import BatchClient, Row, Statement

LONGEST_WAIT = 2.0
PAUSE = 0.1
# libpq tells why it was turned away in words only, without the code (53300). What a server says in
# another language is not waited for.
NONE_TO_SPARE = (
    "too many clients",
    "too many connections",
    "remaining connection slots are reserved",
    "no more connections allowed",
)


def has_none_to_spare(error: Exception) -> bool:
    """Whether the server lives, and turned us away only because others hold its connections."""
    return any(words in str(error) for words in NONE_TO_SPARE)


class Shortage:
    """Since when this process is turned away: what its threads wait for together.

    Were it each thread's own time, a request behind others would wait for theirs too.
    """

    began = met = float("-inf")

    def seconds(self) -> float:
        """Of a server that is full just now."""
        now = time.monotonic()
        if now - self.met > LONGEST_WAIT:
            self.began = now
        self.met = now
        return now - self.began

    def end(self) -> None:
        self.met = float("-inf")


shortage = Shortage()


class DatabaseWrapper(base.DatabaseWrapper):
    connection: Any
    batch_client: BatchClient

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Waits a little for a connection that others hold."""
        while True:
            try:
                connection = super().get_new_connection(conn_params)
            except self.Database.OperationalError as error:
                if not has_none_to_spare(error) or shortage.seconds() + PAUSE > LONGEST_WAIT:
                    raise
            else:
                shortage.end()
                # A pooler that has no cursors of a session has no prepared statements, either.
                prepares = not self.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
                self.batch_client = BatchClient(connection, prepares=prepares)
                return connection
            time.sleep(PAUSE)

    def is_usable(self) -> bool:
        """Whether the server has hung up, or said anything at all to a client that asked nothing.

        Django asks with a `SELECT 1` before each request, for what the socket knows
        (docs/performance.md).
        """
        if self.connection is None or self.connection.closed:
            return False
        watched = select.poll()
        watched.register(self.connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        return not watched.poll(0)

    def run_batch(self, *statements: Statement) -> list[list[Row]]:
        """The rows of each of these statements, which are sent together: see `BatchClient`.

        Who watches statements with `execute_wrapper` sees each one by itself; then, without a
        transaction, those before a failure count.
        """
        if self.execute_wrappers:
            return [self.run_one(*each) for each in statements]
        self.validate_no_broken_transaction()
        self.close_if_health_check_failed()
        self.ensure_connection()
        started = time.monotonic()
        with self.wrap_database_errors:
            rows = self.batch_client.run(statements)
        if self.queries_logged:
            taken = f"{time.monotonic() - started:.3f}"
            self.queries_log.extend({"sql": text, "time": taken} for text, _ in statements)
        return rows

    def run_one(self, text: str, parameters: Sequence[Any]) -> list[Row]:
        with self.cursor() as cursor:
            cursor.execute(text, parameters)
            return cursor.fetchall() if cursor.description else []
