from collections.abc import Iterator
from contextlib import contextmanager


class Refusal(Exception):
    """The domain says no. The message is one sentence for the person who asked."""


class NotFound(Refusal):
    """There is no such suggestion or task (any more)."""


class Conflict(Refusal):
    """It is there, but not in a state that allows this."""


class IdempotencyKeyReused(Refusal):
    """An idempotency key came again with another request."""


class DatabaseUnavailable(Refusal):
    """PostgreSQL does not answer. In one line, for commands."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"The database is not available: {' '.join(str(error).split())}")


@contextmanager
def os_errors_as_refusals(name: str) -> Iterator[None]:
    """Report an operating system's error in one line that names the file."""
    try:
        yield
    except OSError as error:
        raise Refusal(f"{name}: {error.strerror or error}.") from error
