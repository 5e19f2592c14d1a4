"""The production backend on the embedded server, which the first connection starts."""

from typing import Any

from django.core.management.base import CommandError
from django.db.utils import OperationalError

from baywheels.database import base
from baywheels.embedded.cluster import DEFAULT, DevDbError


class EmbeddedDatabaseError(OperationalError, CommandError):
    """Turn a failed start into a database error for requests, or one line for commands."""


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        try:
            DEFAULT.check_socket_dir()
            try:
                return super().get_new_connection(conn_params)
            except self.Database.OperationalError as error:
                if base.has_none_to_spare(error):
                    raise
                # Connect again even if this call did not start it: another process may have.
                DEFAULT.start()
        except DevDbError as error:
            raise EmbeddedDatabaseError(str(error)) from error
        return super().get_new_connection(conn_params)
