from collections.abc import Iterator
from contextlib import contextmanager


class Refusal(Exception):
    """A rule forbids the operation. The message is one sentence for the caller."""


class NotFound(Refusal):
    """The suggestion, task or other row does not exist, or no longer does."""


class Conflict(Refusal):
    """The row exists, but its state does not allow the operation."""


class IdempotencyKeyReused(Refusal):
    """An idempotency key was sent again with a different request."""


class UnknownStations(Refusal):
    """A move names stations that no feed has listed, and UNKNOWN_STATIONS is "refuse"."""


class DatabaseUnavailable(Refusal):
    """PostgreSQL does not answer. Commands print the message on one line."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"The database is not available: {' '.join(str(error).split())}")


@contextmanager
def os_errors_as_refusals(name: str) -> Iterator[None]:
    """Report an operating system's error in one line that names the file."""
    try:
        yield
    except OSError as error:
        raise Refusal(f"{name}: {error.strerror or error}.") from error
