"""The backend of production, on the embedded server: the first connection starts it."""

from typing import Any

from django.core.management.base import CommandError
from django.db.utils import OperationalError

from baywheels.database import base
from baywheels.embedded.cluster import DEFAULT, DevDbError


class EmbeddedDatabaseError(OperationalError, CommandError):
    """A request fails with it as with any lost database; a command ends with its one line."""


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        try:
            DEFAULT.check_socket_dir()
            try:
                return super().get_new_connection(conn_params)
            except self.Database.OperationalError as error:
                if base.has_none_to_spare(error):
                    raise
                # Another process may start it meanwhile: connect again whatever this one did.
                DEFAULT.start()
        except DevDbError as error:
            raise EmbeddedDatabaseError(str(error)) from error
        return super().get_new_connection(conn_params)
