"""Bulk insertion of suggestions: staged with COPY, merged in one transaction.

An exception from the producer of the rows undoes everything. The transaction stays open while the
rows are consumed, so the producer must not be slow.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import Any

import msgspec
from django.db import connection, transaction

from ..exceptions import Refusal
from ..models import SOURCE_LENGTH, EventKind, TaskEvent
from ..texts import is_printable
from .doubts import Doubts, find_doubts
from .locks import lock_source
from .suggestion_rows import SuggestionRow


@dataclass(frozen=True, kw_only=True)
class IngestResult(Doubts):
    """Counts of moves, in addition to those of `Doubts`.

    `removed`: open suggestions that a replacing input no longer names. `repeated`: earlier rows of
    a move that the input names again. `under_way`: skipped, because a task already makes the move.
    `decided`: skipped, because the suggestion was approved or rejected while the input was read.
    """

    inserted: int
    refreshed: int
    removed: int
    repeated: int
    under_way: int
    decided: int


STAGE = """
    CREATE TEMP TABLE staged (
        line bigint GENERATED ALWAYS AS IDENTITY,
        from_station_id int, to_station_id int, qty int, reason text,
        priority smallint, expires_at timestamptz,
        suggestion_id bigint
    )
"""
# Noted before the input is read. A suggestion that is missing later was decided in the meantime,
# and the input is too old to propose it again.
NOTE_OPEN = """
    CREATE TEMP TABLE opened AS
    SELECT id, from_station_id, to_station_id FROM suggestions WHERE source = %(source)s
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
DROP_UNDER_WAY = """
    DELETE FROM staged USING tasks
    WHERE tasks.status IN ('ready', 'assigned')
      AND tasks.from_station_id = staged.from_station_id
      AND tasks.to_station_id = staged.to_station_id
"""
STAGED_MOVES = "SELECT from_station_id, to_station_id, expires_at FROM staged"
MATCH = """
    UPDATE staged SET suggestion_id = first.id
    FROM (
        SELECT min(id) AS id, from_station_id, to_station_id FROM opened GROUP BY 2, 3
    ) AS first
    WHERE staged.from_station_id = first.from_station_id
      AND staged.to_station_id = first.to_station_id
"""
COUNT = """
    SELECT count(*) - count(suggestion_id),
           count(suggestion_id),
           CASE WHEN %(replace)s
                THEN (SELECT count(*) FROM opened) - count(suggestion_id) ELSE 0 END
    FROM staged
"""
# Rows are always locked in id order, so two transactions cannot deadlock.
LOCK_OPEN = """
    SELECT count(*) FROM (
        SELECT id FROM suggestions
        WHERE id IN (SELECT id FROM opened)
          AND (%(replace)s OR id IN (SELECT suggestion_id FROM staged))
        ORDER BY id FOR UPDATE OF suggestions
    ) AS locked
"""
# A priority set by a dispatcher is kept.
REFRESH = """
    UPDATE suggestions SET qty = staged.qty, reason = staged.reason, expires_at = staged.expires_at,
           priority = CASE WHEN EXISTS (
               SELECT FROM task_events
               WHERE kind = 'prioritized' AND task_events.suggestion_id = suggestions.id
           ) THEN suggestions.priority ELSE staged.priority END
    FROM staged WHERE suggestions.id = staged.suggestion_id
"""
REMOVE = """
    DELETE FROM suggestions USING opened
    WHERE %(replace)s AND suggestions.id = opened.id AND NOT EXISTS (
        SELECT FROM staged WHERE staged.suggestion_id = suggestions.id
    )
"""
INSERT = """
    INSERT INTO suggestions
           (from_station_id, to_station_id, qty, reason, priority, expires_at, source)
    SELECT from_station_id, to_station_id, qty, reason, priority, expires_at, %(source)s
    FROM staged WHERE suggestion_id IS NULL ORDER BY line
"""
CLEAN_UP = "DROP TABLE staged, opened"


@transaction.atomic(durable=True)
def ingest_suggestions(
    rows: Iterable[SuggestionRow],
    *,
    source: str,
    actor: str,
    replace: bool = False,
    allow_empty: bool = False,
    include_under_way: bool = False,
    dry_run: bool = False,
) -> IngestResult:
    """Insert a job's suggestions, all or none; any number of rows in constant memory.

    A move that the source already has open is refreshed and keeps its id and age. `replace` also
    removes the source's open suggestions that `rows` does not name; readers see either the old set
    or the new one. Refusal: `replace` without any rows, unless `allow_empty`; or a move from one
    system to another. UnknownStations: no feed has listed one of the stations, and UNKNOWN_STATIONS
    is "refuse".
    `include_under_way`: also moves that a ready or assigned task already makes; otherwise skipped.
    `dry_run`: only count, without waiting for locks.

    The first row is requested when the source's lock is held.
    """
    check_source(source, replace)
    if not dry_run:
        lock_source(source)
    run = Run(source, replace)
    stage(run, rows, allow_empty)
    result = enter(run, include_under_way, dry_run)
    if not dry_run:
        record_ingest(run, result, actor)
    return result


@dataclass(frozen=True)
class Run:
    source: str
    replace: bool

    def __call__(self, statement: str) -> int:
        """Execute the statement and return the number of rows that it changed."""
        with connection.cursor() as cursor:
            cursor.execute(statement, asdict(self))
            return int(cursor.rowcount)


def check_source(source: str, replace: bool) -> None:
    if replace and not source:
        raise Refusal(
            "Replacing needs a source. Without one, it would remove other jobs' suggestions."
        )
    if len(source) > SOURCE_LENGTH or not is_printable(source) or source != source.strip():
        raise Refusal(
            f"A source has at most {SOURCE_LENGTH} printable characters"
            " and no spaces at its beginning or end."
        )


def stage(run: Run, rows: Iterable[SuggestionRow], allow_empty: bool) -> None:
    run(STAGE)
    run(NOTE_OPEN)
    if not copy_rows(rows) and run.replace and not allow_empty:
        raise Refusal(
            f"The input has no rows. This would remove all suggestions of {run.source!r};"
            " allow an empty input if that is intended."
        )
    run("ANALYZE staged, opened")


def copy_rows(rows: Iterable[SuggestionRow]) -> int:
    number = 0
    # The producer may query the database before its first row; during a COPY it could not.
    rows = iter(rows)
    first = list(islice(rows, 1))
    # Django translates psycopg's errors in execute(), but not in copy().
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for row in chain(first, rows):
            number += 1
            copy.write_row(msgspec.structs.astuple(row))
    return number


def enter(run: Run, include_under_way: bool, dry_run: bool) -> IngestResult:
    repeated = run(DROP_REPEATED)
    under_way = 0 if include_under_way else run(DROP_UNDER_WAY)
    doubts = find_doubts(STAGED_MOVES)
    doubts.refuse_unknown_stations()
    counts = count(run) if dry_run else merge(run)
    run(CLEAN_UP)
    return IngestResult(repeated=repeated, under_way=under_way, **counts, **asdict(doubts))


def record_ingest(run: Run, result: IngestResult, actor: str) -> None:
    details = {"replace": run.replace, **asdict(result)}
    TaskEvent.objects.create(
        kind=EventKind.INGESTED, actor=actor, source=run.source, details=details
    )


def match(run: Run) -> int:
    """Match rows to the suggestions that were already open; return the number of matches."""
    matched = run(MATCH)
    run("ANALYZE staged (suggestion_id)")
    return matched


def count(run: Run) -> dict[str, Any]:
    match(run)
    with connection.cursor() as cursor:
        cursor.execute(COUNT, asdict(run))
        inserted, refreshed, removed = cursor.fetchone()
    return {"inserted": inserted, "refreshed": refreshed, "removed": removed, "decided": 0}


def merge(run: Run) -> dict[str, Any]:
    matched = match(run)
    run(LOCK_OPEN)
    # Matched suggestions that have been decided by now are not in the table any more.
    refreshed = run(REFRESH)
    return {
        "inserted": run(INSERT),
        "refreshed": refreshed,
        "removed": run(REMOVE),
        "decided": matched - refreshed,
    }
