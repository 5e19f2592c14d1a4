"""Recognizes the errors of an unavailable or damaged database."""

from types import TracebackType
from typing import TYPE_CHECKING

from django.db.utils import DatabaseErrorWrapper, Error, OperationalError

if TYPE_CHECKING:
    from .base import DatabaseWrapper

# SQLSTATE classes: lost connections, and those that an administrator or a shutdown ended.
LOST = ("08", "57P")
# A read-only session, which a standby's always is, and two timeouts that end the session. Django
# would report these three as InternalError.
UNFIT = ("25006", "25P03", "25P04")
# Unreadable pages or indexes, and a missing table or column: the database is not migrated, or was
# restored only in part.
DAMAGED = ("XX", "42P01", "42703")


def means_damage(error: BaseException | None) -> bool:
    """True for an error of the database that is neither the request's fault nor temporary."""
    state = getattr(error.__cause__, "sqlstate", None) if isinstance(error, Error) else None
    return (state or "").startswith(DAMAGED)


class UnavailableErrors(DatabaseErrorWrapper):
    """Raises OperationalError if the connection is lost or unfit, and drops the connection.

    A kept connection to a former primary would refuse every write until it is too old.
    """

    wrapper: "DatabaseWrapper"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and self.means_unavailable(error):
            self.wrapper.drop()
            raise OperationalError(*error.args).with_traceback(traceback) from error
        super().__exit__(kind, error, traceback)

    def means_unavailable(self, error: BaseException) -> bool:
        if not isinstance(error, self.wrapper.Database.Error):
            return False
        state = error.sqlstate or ""
        is_lost = self.wrapper.connection is not None and self.wrapper.connection.closed
        return is_lost or state in UNFIT or state.startswith(LOST)
