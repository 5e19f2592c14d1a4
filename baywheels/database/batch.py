"""Statements that travel to PostgreSQL together, in one round trip.

docs/batch-client.md says why this exists, what it costs, and how to switch it off.
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
from psycopg.types.datetime import TimestamptzLoader

from .cursor import comment

Row = tuple[Any, ...]
# The text, and a parameter for each %s in it.
Statement = tuple[str, Sequence[Any]]
Command = Callable[[], None]
# Django's cursor begins a transaction in the same way.
BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED"
COMMIT = b"COMMIT"
# A table changed under a prepared statement, or it was deallocated.
OUTDATED = (errors.FeatureNotSupported, errors.InvalidSqlStatementName)


class BatchClient:
    """Sends batches on one connection.

    `prepares`: PostgreSQL parses and plans each text once per connection. That suits few, fixed
    texts. Every parameter needs a type, from its column or from a cast. A value that a partial
    index depends on belongs in the text: the plan is made without the parameters.
    """

    def __init__(self, connection: Connection[Any], *, prepares: bool) -> None:
        self.connection = connection
        self.prepares = prepares
        context = connection.cursor()
        # Django's loader is Python code. This one returns times in the session's zone, which Django
        # sets to UTC.
        context.adapters.register_loader("timestamptz", TimestamptzLoader)
        # Shared by all batches, because it caches how each type is read.
        self.transformer = Transformer(context)
        self.names: dict[str, bytes] = {}
        self.numbers = count()

    def run(self, statements: Sequence[Statement], *, commit: bool = False) -> list[list[Row]]:
        """Return the rows of each statement.

        Raises the first statement's error; later statements are not executed. A transaction's
        BEGIN travels with its first batch, and with `commit`, its COMMIT with this one.
        OperationalError: also once after a table has changed under a prepared statement.
        """
        commands = self.begin()
        answers: list[int] = []
        new: dict[str, bytes] = {}
        for text, parameters in statements:
            formats = [PyFormat.TEXT] * len(parameters)
            values = self.transformer.dump_sequence(parameters, formats)
            commands += self.commands(text, values, new)
            answers.append(len(commands) - 1)
        if commit:
            commands.append(partial(self.connection.pgconn.send_query_params, COMMIT, None))
        results = self.exchange(commands)
        for result in results:
            if result.status == ExecStatus.FATAL_ERROR:
                raise self.error(result)
        self.names.update(new)
        return [self.rows(results[each]) for each in answers]

    def error(self, result: PGresult) -> errors.Error:
        error = errors.error_from_result(result, self.connection.info.encoding)
        if self.names and isinstance(error, OUTDATED):
            # Prepare all of them again. Nothing was changed, so the client can simply retry.
            self.names.clear()
            return errors.OperationalError(str(error))
        return error

    def begin(self) -> list[Command]:
        status = self.connection.pgconn.transaction_status
        if self.connection.autocommit or status != TransactionStatus.IDLE:
            return []
        return [partial(self.connection.pgconn.send_query_params, BEGIN, None)]

    def commands(
        self, text: str, values: Sequence[abc.Buffer | None], new: dict[str, bytes]
    ) -> list[Command]:
        pgconn = self.connection.pgconn
        if not self.prepares:
            text_of_request = comment().encode() + numbered(text)
            return [partial(pgconn.send_query_params, text_of_request, values)]
        name = self.names.get(text) or new.get(text)
        if name:
            return [partial(pgconn.send_query_prepared, name, values)]
        # Names are never reused: a failed batch may have prepared its first statements.
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
            # A later statement would take an unread result for its own.
            self.connection.close()
            raise
        return results

    def results(self) -> abc.PQGen[list[PGresult]]:
        """One result for each command, and the error that ended the pipeline, if one did."""
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
    """The text with $1, $2 ... for each %s.

    ValueError: it has another %. Django's cursor reads %% as %, PostgreSQL reads two operators.
    """
    if "%" in text.replace("%s", ""):
        raise ValueError(f"The only % that a batched statement may contain is %s: {text}")
    places = count(1)
    return re.sub("%s", lambda _: f"${next(places)}", text).encode()
