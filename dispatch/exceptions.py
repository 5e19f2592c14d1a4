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
