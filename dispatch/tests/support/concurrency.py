"""Two connections at once: one holds a lock while the other is observed."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

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


# Those that this connection holds up, directly or through each other. Counting any wait for a lock
# would also count a wait of an instant, such as that for a table to grow.
HELD_UP = """
    WITH RECURSIVE waiting AS (
        SELECT pid, application_name, query, pg_blocking_pids(pid) AS blockers
        FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
    ),
    held_up AS (
        SELECT * FROM waiting WHERE pg_backend_pid() = ANY(blockers)
        UNION
        SELECT waiting.* FROM waiting JOIN held_up ON held_up.pid = ANY(waiting.blockers)
    )
    SELECT pid, application_name, query FROM held_up
"""


class HeldUp(NamedTuple):
    """A session that waits for a lock."""

    pid: int
    application_name: str
    statement: str


def held_up() -> list[HeldUp]:
    """Return the sessions that wait until this connection ends its transaction."""
    with connection.cursor() as cursor:
        # Within one transaction the view would always show the same moment.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(HELD_UP)
        return [HeldUp(*row) for row in cursor.fetchall()]


def wait_until_blocked(future: Future, count: int = 1) -> None:
    """Return when this connection holds up `count` others. Fail if the call ends instead."""
    deadline = time.monotonic() + 50
    while time.monotonic() < deadline:
        if future.done():
            raise AssertionError(f"It did not wait: {future.exception() or future.result()!r}")
        if len(found := held_up()) >= count:
            return
        time.sleep(0.01)
    raise AssertionError(f"This connection does not hold up {count}: {found}")
