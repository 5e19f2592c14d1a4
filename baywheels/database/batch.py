"""Statements that travel to PostgreSQL together, and are answered together.

psycopg's own pipeline waits for the socket at each statement, and for the answer to a BEGIN: it
costs as much as sending them one by one. This one waits once, and its statements are planned once:
a claim by Django's cursor takes half as long again (docs/performance.md).
"""

import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import count
from typing import Any

from psycopg import Connection, abc, errors
from psycopg.adapt import PyFormat, Transformer
from psycopg.generators import fetch_many, send
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

Row = tuple[Any, ...]
Statement = tuple[str, Sequence[Any]]
Command = Callable[[], None]
# A prepared statement whose columns have changed, or that somebody has deallocated.
OUTDATED = (errors.FeatureNotSupported, errors.InvalidSqlStatementName)


class BatchClient:
    """Of one connection. `prepares`: PostgreSQL parses and plans each text once, not each time.

    For a few fixed texts, whose parameters have types by themselves or by a cast. A condition that
    a partial index needs must stand in the text: a parameter is not known when it is planned.
    """

    def __init__(self, connection: Connection[Any], *, prepares: bool) -> None:
        self.connection = connection
        self.prepares = prepares
        # One for all: it finds out how to read each type once.
        self.transformer = Transformer(connection)
        self.names: dict[str, bytes] = {}
        self.numbers = count()

    def run(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """The rows of each. What the first one to fail says is raised; those after it do not run.

        The BEGIN of a transaction that has not begun yet travels with them, of the server's default
        isolation. OperationalError: also once after a table was changed under a prepared statement.
        """
        commands = self.begin()
        answers: list[int] = []
        new: dict[str, bytes] = {}
        for text, parameters in statements:
            formats = [PyFormat.TEXT] * len(parameters)
            values = self.transformer.dump_sequence(parameters, formats)
            commands += self.commands(text, values, new)
            answers.append(len(commands) - 1)
        results = self.exchange(commands)
        for result in results:
            if result.status == ExecStatus.FATAL_ERROR:
                raise self.error(result)
        self.names.update(new)
        return [self.rows(results[each]) for each in answers]

    def error(self, result: PGresult) -> errors.Error:
        error = errors.error_from_result(result, self.connection.info.encoding)
        if self.names and isinstance(error, OUTDATED):
            # To be prepared anew. Nothing has happened: asking again is all it takes.
            self.names.clear()
            return errors.OperationalError(str(error))
        return error

    def begin(self) -> list[Command]:
        status = self.connection.pgconn.transaction_status
        if self.connection.autocommit or status != TransactionStatus.IDLE:
            return []
        return [partial(self.connection.pgconn.send_query_params, b"BEGIN", None)]

    def commands(
        self, text: str, values: Sequence[abc.Buffer | None], new: dict[str, bytes]
    ) -> list[Command]:
        pgconn = self.connection.pgconn
        if not self.prepares:
            return [partial(pgconn.send_query_params, numbered(text), values)]
        name = self.names.get(text) or new.get(text)
        if name:
            return [partial(pgconn.send_query_prepared, name, values)]
        # Never one that was used: of a batch that failed, the first statements are prepared.
        name = new[text] = b"baywheels_%d" % next(self.numbers)
        return [
            partial(pgconn.send_prepare, name, numbered(text)),
            partial(pgconn.send_query_prepared, name, values),
        ]

    def exchange(self, commands: Sequence[Command]) -> list[PGresult]:
        pgconn = self.connection.pgconn
        pgconn.enter_pipeline_mode()
        try:
            for command in commands:
                command()
            pgconn.pipeline_sync()
            results = self.connection.wait(self.results())
            if pgconn.status == ConnStatus.OK:
                pgconn.exit_pipeline_mode()
        except BaseException:
            # An answer that was not read would be taken for that of a later statement.
            self.connection.close()
            raise
        return results

    def results(self) -> abc.PQGen[list[PGresult]]:
        """One for each command; and what failed at the end of the pipeline, or ended it."""
        pgconn = self.connection.pgconn
        yield from send(pgconn)
        results: list[PGresult] = []
        while pgconn.status == ConnStatus.OK:
            answered = yield from fetch_many(pgconn)
            if answered and answered[-1].status == ExecStatus.PIPELINE_SYNC:
                break
            results += answered
        return results

    def rows(self, result: PGresult) -> list[Row]:
        self.transformer.set_pgresult(result)
        return self.transformer.load_rows(0, result.ntuples, tuple)


@cache
def numbered(text: str) -> bytes:
    """With $1, $2 ... as PostgreSQL has them."""
    places = count(1)
    return re.sub("%s", lambda _: f"${next(places)}", text).encode()
