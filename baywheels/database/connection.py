from typing import Any

import psycopg
from psycopg import errors
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus


class Connection(psycopg.Connection[Any]):
    """Waits at most `answer_timeout` seconds for each answer; None: forever.

    PostgreSQL's own timeouts need a server that runs, and `tcp_user_timeout` a silent network: a
    frozen server's kernel still acknowledges what it receives.
    """

    answer_timeout: float | None = None

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        if timeout is None:
            timeout = self.answer_timeout
        try:
            return super().wait(gen, interval, timeout)
        except errors.OperationalError:
            # A later statement would take the late answer for its own.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.close()
            raise
