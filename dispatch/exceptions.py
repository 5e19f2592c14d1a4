from collections.abc import Iterator
from contextlib import contextmanager


class Refusal(Exception):
    """A rule forbids the operation. The message is one sentence for the caller.

    `code`: by which a crew's phone chooses its own text. None: a code of the HTTP status.
    """

    code: str | None = None


class NotFound(Refusal):
    """The suggestion, task or other row does not exist, or no longer does."""


class Conflict(Refusal):
    """The row exists, but its state does not allow the operation."""


class CodeRefused(NotFound):
    """A phone gave a code that is unknown, spent or expired. Strangers do not learn which."""

    code = "wrong_code"


class TooManyTries(Refusal):
    """Too many wrong codes. `wait`: seconds until the next one may be tried."""

    code = "too_many_tries"

    def __init__(self, wait: int) -> None:
        super().__init__("Too many wrong codes. Try again later.")
        self.wait = wait


class InactiveCrew(Conflict):
    """The roster says that the crew gets no tasks."""

    code = "inactive"


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
