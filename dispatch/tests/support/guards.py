"""Remove one guard, to show that a test fails without it.

Locks are removed from the text of each statement on its way to PostgreSQL, whatever its origin.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from django.db import connection
from django.db.backends.signals import connection_created

from dispatch.services import tasks

ROW_LOCK = re.compile(r'\bFOR (NO KEY )?UPDATE( OF "?\w+"?)?( SKIP LOCKED)?')
ADVISORY_LOCK = re.compile(r"\bpg_advisory_xact_lock(_shared)?")


@contextmanager
def without_row_locks() -> Iterator[None]:
    with statements_rewritten(lambda sql: ROW_LOCK.sub("", sql)):
        yield


@contextmanager
def without_advisory_locks() -> Iterator[None]:
    with statements_rewritten(lambda sql: ADVISORY_LOCK.sub("", sql)):
        yield


@contextmanager
def without_locks() -> Iterator[None]:
    with without_row_locks(), without_advisory_locks():
        yield


@contextmanager
def without_completion_check() -> Iterator[None]:
    with patch.object(tasks, "completion_refusal", lambda *_: None):
        yield


@contextmanager
def statements_rewritten(rewrite: Callable[[str], str]) -> Iterator[None]:
    """Rewrite the statements of this connection and of those that are opened meanwhile."""

    def send(execute, sql, params, many, context):
        return execute(rewrite(sql), params, many, context)

    def install(connection, **_):
        if send not in connection.execute_wrappers:
            connection.execute_wrappers.append(send)

    connection_created.connect(install)
    try:
        with connection.execute_wrapper(send):
            yield
    finally:
        connection_created.disconnect(install)
