"""Reads the tables of the original service, which this one replaces.

Its times have no zone and are UTC, its statuses may be the names of an enum (READY), and its tasks
may be completed without a worker.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg.rows import class_row
from psycopg.sql import SQL, Identifier

from ..exceptions import Refusal
from ..models import INT4_MAX, TEXT_LENGTH, WORKER_ID_LENGTH, TaskStatus

BATCH = 1000
CONNECT_SECONDS = 10
YEARS = range(2000, 9000)
# JavaScript clients read larger ones wrongly, and an id at the end of bigint would be the last one.
LARGEST_ID = 2**53 - 1
STATUSES = (TaskStatus.READY, TaskStatus.ASSIGNED, TaskStatus.COMPLETED)

SUGGESTIONS = "suggestions"
# Later versions of the original moved their tasks and gave the old name to another table.
TASK_TABLES = ("backend_tasks", "tasks")
COLUMNS = SQL("id, from_station_id, to_station_id, qty, reason, created_at")


@dataclass
class OriginalRow:
    """A suggestion, or with `status` a task. `created_at` None: unknown."""

    id: int
    from_station_id: int
    to_station_id: int
    qty: int
    reason: str | None
    created_at: datetime | None
    status: str = ""
    worker_id: str | None = None

    def __post_init__(self) -> None:
        if self.created_at is not None and self.created_at.tzinfo is None:
            self.created_at = self.created_at.replace(tzinfo=UTC)
        self.status = self.status.lower()

    def fault(self) -> str | None:
        """The first rule of this service that the row breaks."""
        rules = {
            "its id is not from 1 to 2^53 - 1": 1 <= self.id <= LARGEST_ID,
            "a station is not a number from 0": all(
                isinstance(station, int) and 0 <= station <= INT4_MAX
                for station in (self.from_station_id, self.to_station_id)
            ),
            "its stations are the same": self.from_station_id != self.to_station_id,
            "its qty is not 1 or more": isinstance(self.qty, int) and 1 <= self.qty <= INT4_MAX,
            f"its reason has over {TEXT_LENGTH:,} characters": len(self.reason or "")
            <= TEXT_LENGTH,
            f"its worker_id has over {WORKER_ID_LENGTH} characters": len(self.worker_id or "")
            <= WORKER_ID_LENGTH,
            "its created_at is not in the years 2000 to 8999": self.created_at is None
            or self.created_at.year in YEARS,
            f"its status is {self.status}": self.status in ("", *STATUSES),
        }
        return next((fault for fault, holds in rules.items() if not holds), None)


class Original:
    """A snapshot of the original's database. `task_table`: the table with its tasks."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        if self._has(SUGGESTIONS) and self._has("task_events"):
            raise Refusal("This is a database of this service, not of the original one.")
        found = [table for table in TASK_TABLES if self._has(table)]
        if not found or not self._has(SUGGESTIONS):
            raise Refusal("The original's database has no tables suggestions and tasks.")
        self.task_table = found[0]

    def suggestions(self) -> Iterator[list[OriginalRow]]:
        return self._batches(SQL("SELECT {} FROM suggestions ORDER BY id").format(COLUMNS))

    def tasks(self) -> Iterator[list[OriginalRow]]:
        select = SQL(
            "SELECT {}, coalesce(nullif(status::text, ''), 'missing') AS status, worker_id"
            " FROM {} ORDER BY id"
        )
        return self._batches(select.format(COLUMNS, Identifier(self.task_table)))

    def highest_id(self, table: str) -> int:
        select = SQL("SELECT coalesce(max(id), 0) FROM {}").format(Identifier(table))
        row = self.connection.execute(select).fetchone()
        return int(row[0]) if row else 0

    def _has(self, table: str) -> bool:
        row = self.connection.execute("SELECT to_regclass(%s)", [table]).fetchone()
        return bool(row and row[0])

    def _batches(self, select: Any) -> Iterator[list[OriginalRow]]:
        # A named cursor is the server's: this process never holds more than a batch.
        with self.connection.cursor("original", row_factory=class_row(OriginalRow)) as cursor:
            cursor.execute(select)
            while rows := cursor.fetchmany(BATCH):
                yield rows


@contextmanager
def open_original(url: str) -> Iterator[Original]:
    """Connect, read-only. Refusal: the database cannot be read."""
    # SQLAlchemy's addresses name a driver.
    if not re.match(r"postgres(ql)?(\+\w+)?://", url):
        raise Refusal("DATABASE_URL must be of the form postgresql://user:password@host:5432/name.")
    address = re.sub(r"^\w+(\+\w+)?", "postgresql", url, count=1)
    try:
        with psycopg.connect(
            address, client_encoding="utf8", connect_timeout=CONNECT_SECONDS
        ) as connection:
            connection.read_only = True
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            yield Original(connection)
    except psycopg.ProgrammingError as error:
        # libpq quotes parts of an address that it cannot parse, the password among them.
        why = "its address is malformed" if error.sqlstate is None else one_line(error)
        raise Refusal(f"The original's database cannot be read: {why}.") from None
    except (psycopg.Error, UnicodeDecodeError) as error:
        raise Refusal(f"The original's database cannot be read: {one_line(error)}.") from None


def one_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
