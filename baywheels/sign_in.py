"""One password at a time: hashing takes half a second of CPU, on the threads that serve crews."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

LONGEST_WAIT = 1.0
RETRY_AFTER_SECONDS = 2

turn = Lock()


@contextmanager
def take_turn() -> Iterator[bool]:
    """Wait up to a second for other sign-ins of this process. Yield True if none is running."""
    is_ours = turn.acquire(timeout=LONGEST_WAIT)
    try:
        yield is_ours
    finally:
        if is_ours:
            turn.release()
