from typing import Any

from django.core.management.commands import migrate
from django.db import connections

from ..base import check_encoding

LOCK = "SELECT pg_advisory_lock(hashtextextended('migrate', 0))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('migrate', 0))"


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        """Like Django's, but one at a time: two at once would create the same table twice."""
        check_encoding(connections[options["database"]])
        with connections[options["database"]].cursor() as cursor:
            cursor.execute(LOCK)
            try:
                super().handle(*args, **options)
            finally:
                cursor.execute(UNLOCK)
