"""Two connections at once: one holds a lock while the other is observed."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from django.db import connection, connections, transaction


def in_own_connection(function: Callable, *args, **kwargs):
    try:
        return function(*args, **kwargs)
    finally:
        connections.close_all()


@contextmanager
def background() -> Iterator[Callable[..., Future]]:
    """Run calls beside the test, each on a connection of its own."""
    with ThreadPoolExecutor(16) as pool:
        yield lambda function, *args, **kwargs: pool.submit(
            in_own_connection, function, *args, **kwargs
        )


@contextmanager
def open_transaction() -> Iterator[None]:
    """A transaction that services can run in: their work is committed when it ends, not before."""
    block = transaction.atomic()
    # Django's TestCase sets this too. Otherwise a durable operation refuses to be nested.
    block._from_testcase = True
    with block:
        yield


@contextmanager
def no_event_is_written() -> Iterator[None]:
    """Operations on a task stop before they write their event, with the task locked."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE task_events IN SHARE MODE")
        yield


def wait_until_blocked(future: Future, count: int = 1) -> None:
    """Return when `count` connections wait for a lock. Fail if the call ends instead."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if future.done():
            raise AssertionError(f"It did not wait: {future.exception() or future.result()!r}")
        with connection.cursor() as cursor:
            # Within one transaction the view would always show the same moment.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0] >= count:
                return
    raise AssertionError("Nothing waits for a lock.")
