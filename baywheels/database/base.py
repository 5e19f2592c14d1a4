"""Django's PostgreSQL backend with a few additions.

It waits briefly when PostgreSQL has no connection to spare, but not forever for an answer. It
checks kept connections without a query, drops those that a failover has made useless, and sends
several statements in one round trip.
"""

import select
import time
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base
from django.utils.functional import cached_property
from psycopg import IsolationLevel

from .batch import BatchClient, Row, Statement, numbered
from .connection import Connection
from .cursor import RequestCursor
from .unavailable import UnavailableErrors

LONGEST_WAIT = 2.0
PAUSE = 0.1
# libpq reports a refused connection in words only, without the code 53300. Messages in other
# languages are not recognized.
NO_CONNECTION_TO_SPARE = (
    "too many clients",
    "too many connections",
    "remaining connection slots are reserved",
    "no more connections allowed",
)


def has_none_to_spare(error: Exception) -> bool:
    """True if the server runs and refused us only because others hold all its connections."""
    return any(words in str(error) for words in NO_CONNECTION_TO_SPARE)


class Shortage:
    """The time since this process was first refused a connection.

    Shared by all threads: with a timer each, queued requests would wait for the sum of them.
    """

    began = last_refusal = float("-inf")

    def seconds(self) -> float:
        """Record a refusal. Returns the seconds since the first one of this shortage."""
        now = time.monotonic()
        if now - self.last_refusal > LONGEST_WAIT:
            self.began = now
        self.last_refusal = now
        return now - self.began

    def end(self) -> None:
        self.last_refusal = float("-inf")


shortage = Shortage()


class DatabaseWrapper(base.DatabaseWrapper):
    connection: Any
    batch_client: BatchClient

    def get_connection_params(self) -> dict[str, Any]:
        return {**super().get_connection_params(), "cursor_factory": RequestCursor}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Wait up to LONGEST_WAIT seconds for a connection if others hold all of them."""
        while True:
            try:
                connection = self.connect_once(conn_params)
            except self.Database.OperationalError as error:
                if not has_none_to_spare(error) or shortage.seconds() + PAUSE > LONGEST_WAIT:
                    raise
            else:
                shortage.end()
                self.batch_client = BatchClient(connection, prepares=settings.PREPARE_STATEMENTS)
                return connection
            time.sleep(PAUSE)

    def connect_once(self, conn_params: dict[str, Any]) -> Connection:
        """Connect. Transactions are READ COMMITTED, whatever the database's default is.

        Locked rows must be read as they are after the wait for the lock.
        """
        connection = Connection.connect(**conn_params)
        connection.isolation_level = self.isolation_level = IsolationLevel.READ_COMMITTED
        connection.answer_timeout = self.settings_dict.get("ANSWER_TIMEOUT")
        return connection

    @cached_property
    def wrap_database_errors(self) -> UnavailableErrors:
        return UnavailableErrors(self)

    def drop(self) -> None:
        """Close the connection. An open transaction then ends without a statement."""
        in_transaction = self.connection is not None and not self.autocommit
        self.close()
        self.closed_in_transaction |= in_transaction

    def is_usable(self) -> bool:
        """False if the server closed the connection or sent unsolicited data.

        Replaces Django's `SELECT 1` before each request by a look at the socket
        (docs/performance.md).
        """
        if self.connection is None or self.connection.closed:
            return False
        watched = select.poll()
        watched.register(self.connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        return not watched.poll(0)

    def run_batch(self, *statements: Statement, last: bool = False) -> list[list[Row]]:
        """Return the rows of each statement, sent together by the `BatchClient`.

        `last`: the transaction ends with them, so its COMMIT travels with them. Only the outermost
        `atomic` block commits.

        They are sent one at a time if BATCH_STATEMENTS is off, or if an `execute_wrapper` is to
        see each of them. Then, outside a transaction, those before a failed one stay committed.
        """
        for text, _ in statements:
            numbered(text)
        if self.execute_wrappers or not settings.BATCH_STATEMENTS:
            return [self.run_one(*each) for each in statements]
        self.close_if_health_check_failed()
        # A new connection forgets the transaction that ended with the former one.
        self.ensure_connection()
        self.validate_no_broken_transaction()
        started = time.monotonic()
        with self.wrap_database_errors:
            rows = self.batch_client.run(statements, commit=last and len(self.atomic_blocks) == 1)
        if self.queries_logged:
            taken = f"{time.monotonic() - started:.3f}"
            self.queries_log.extend({"sql": text, "time": taken} for text, _ in statements)
        return rows

    def run_one(self, text: str, parameters: Sequence[Any]) -> list[Row]:
        with self.cursor() as cursor:
            cursor.execute(text, parameters)
            return cursor.fetchall() if cursor.description else []
