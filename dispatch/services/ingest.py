"""Bulk entry of suggestions: staged with COPY, merged into the table in one transaction."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated

import msgspec
from django.db import connection, transaction

from ..models import PRIORITY_MAX, PRIORITY_MIN, EventKind, TaskEvent

INT4_MAX = 2_147_483_647
StationId = Annotated[int, msgspec.Meta(ge=0, le=INT4_MAX)]


class SuggestionRow(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One suggested move as an ML job writes it. `qty` in bikes; `expires_at` with a time zone,
    None: never."""

    from_station_id: StationId
    to_station_id: StationId
    qty: Annotated[int, msgspec.Meta(ge=1, le=INT4_MAX)]
    # PostgreSQL's text holds every character but NUL.
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2000, pattern=r"\A[^\x00]+\Z")]
    priority: Annotated[int, msgspec.Meta(ge=PRIORITY_MIN, le=PRIORITY_MAX)] = 0
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None

    def __post_init__(self) -> None:
        if self.from_station_id == self.to_station_id:
            raise ValueError("from_station_id and to_station_id must differ")


@dataclass(frozen=True)
class IngestResult:
    """Counts of moves. `repeated`: given more than once in the input, the last one counts."""

    inserted: int
    refreshed: int
    removed: int
    repeated: int


STAGE = """
    CREATE TEMP TABLE staged (
        line bigint GENERATED ALWAYS AS IDENTITY,
        from_station_id int, to_station_id int, qty int, reason text,
        priority smallint, expires_at timestamptz,
        suggestion_id bigint
    ) ON COMMIT DROP
"""
COPY = """
    COPY staged (from_station_id, to_station_id, qty, reason, priority, expires_at) FROM STDIN
"""
DROP_REPEATED = """
    DELETE FROM staged USING (
        SELECT from_station_id, to_station_id, max(line) AS line
        FROM staged GROUP BY 1, 2 HAVING count(*) > 1
    ) AS last
    WHERE staged.from_station_id = last.from_station_id
      AND staged.to_station_id = last.to_station_id AND staged.line < last.line
"""
# Two ingests of one source take turns: both would find the same move missing.
TAKE_TURNS = "SELECT pg_advisory_xact_lock(hashtextextended('ingest ' || %(source)s, 0))"
# In id order, like whoever else takes several suggestions, so that two cannot deadlock; and in a
# statement of its own: the next one sees what became of the rows that this one waited for.
LOCK_OPEN = """
    SELECT count(*) FROM (
        SELECT id FROM suggestions
        WHERE source = %(source)s AND (%(replace)s OR EXISTS (
            SELECT FROM staged
            WHERE staged.from_station_id = suggestions.from_station_id
              AND staged.to_station_id = suggestions.to_station_id
        ))
        ORDER BY id FOR UPDATE
    ) AS locked
"""
REFRESH = """
    WITH open AS (
        SELECT min(id) AS id, from_station_id, to_station_id
        FROM suggestions WHERE source = %(source)s GROUP BY 2, 3
    ), refreshed AS (
        UPDATE suggestions SET qty = staged.qty, reason = staged.reason,
               priority = staged.priority, expires_at = staged.expires_at
        FROM staged JOIN open USING (from_station_id, to_station_id)
        WHERE suggestions.id = open.id
        RETURNING suggestions.id, staged.line
    )
    UPDATE staged SET suggestion_id = refreshed.id
    FROM refreshed WHERE staged.line = refreshed.line
"""
REMOVE = """
    DELETE FROM suggestions WHERE %(replace)s AND source = %(source)s AND NOT EXISTS (
        SELECT FROM staged WHERE staged.suggestion_id = suggestions.id
    )
"""
INSERT = """
    INSERT INTO suggestions
           (from_station_id, to_station_id, qty, reason, priority, expires_at, source)
    SELECT from_station_id, to_station_id, qty, reason, priority, expires_at, %(source)s
    FROM staged WHERE suggestion_id IS NULL ORDER BY line
"""


@transaction.atomic(durable=True)
def ingest_suggestions(
    rows: Iterable[SuggestionRow],
    *,
    source: str,
    actor: str,
    replace: bool = False,
    dry_run: bool = False,
) -> IngestResult:
    """Enter a job's suggestions, all or none; any number of rows in flat memory.

    A move that the source already has open is refreshed and keeps its id and age. `replace`
    also removes the source's open suggestions that `rows` does not name; readers see the old set
    or the new one. `dry_run` counts and changes nothing. What `rows` raises undoes everything.
    """
    with connection.cursor() as cursor:
        cursor.execute(STAGE)
        with cursor.copy(COPY) as copy:
            for row in rows:
                copy.write_row(msgspec.structs.astuple(row))
        cursor.execute("ANALYZE staged")

        def run(statement: str) -> int:
            cursor.execute(statement, {"source": source, "replace": replace})
            return int(cursor.rowcount)

        repeated = run(DROP_REPEATED)
        run(TAKE_TURNS)
        run(LOCK_OPEN)
        result = IngestResult(
            refreshed=run(REFRESH),
            removed=run(REMOVE),
            inserted=run(INSERT),
            repeated=repeated,
        )
    if dry_run:
        transaction.set_rollback(True)
    else:
        TaskEvent.objects.create(
            kind=EventKind.INGESTED,
            actor=actor,
            details={"source": source, **asdict(result)},
        )
    return result
