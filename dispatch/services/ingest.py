"""Bulk entry of suggestions: staged with COPY, merged into the table in one transaction."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Annotated

import msgspec
from django.db import connection, transaction

from ..exceptions import Refusal
from ..models import INT4_MAX, PRIORITY_MAX, PRIORITY_MIN, EventKind, Suggestion, TaskEvent
from .locks import advisory_lock

# PostgreSQL reads none from it on.
WIDEST_OFFSET = timedelta(hours=16)
StationId = Annotated[int, msgspec.Meta(ge=0, le=INT4_MAX)]


class SuggestionRow(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One suggested move as an ML job writes it. `qty` in bikes; `expires_at` with a time zone,
    None: never.

    What is decoded or converted (`msgspec.convert`) is checked in full. The constructor checks
    neither types nor ranges; PostgreSQL does.
    """

    from_station_id: StationId
    to_station_id: StationId
    qty: Annotated[int, msgspec.Meta(ge=1, le=INT4_MAX)]
    reason: Annotated[str, msgspec.Meta(max_length=2000)]
    priority: Annotated[int, msgspec.Meta(ge=PRIORITY_MIN, le=PRIORITY_MAX)] = 0
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None

    def __post_init__(self) -> None:
        if self.from_station_id == self.to_station_id:
            raise ValueError("from_station_id and to_station_id must differ")
        if not self.reason.strip():
            raise ValueError("reason: must not be empty")
        if not is_storable(self.reason):
            raise ValueError("reason: has a NUL or half a surrogate pair, which cannot be stored")
        if self.expires_at is not None:
            if self.expires_at.tzinfo is None:
                raise ValueError("expires_at: needs a time zone")
            if abs(self.expires_at.utcoffset() or timedelta()) >= WIDEST_OFFSET:
                raise ValueError("expires_at: the time zone's offset must be below 16 hours")
            if not 2000 < self.expires_at.year < 8999:
                raise ValueError("expires_at: the year must be from 2001 to 8998")


def is_storable(text: str) -> bool:
    """PostgreSQL's text holds every character but NUL; half a surrogate pair is none."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= c < "\ue000" for c in text))


@dataclass(frozen=True)
class IngestResult:
    """Counts of moves.

    `removed`: open ones that a replacing input no longer names. `repeated`: given more than once
    in the input, the last one counts. `under_way`: passed over, because a task makes that move
    already. `decided`: approved or rejected while the input was read, and so not entered again.
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
# As it is before the input is read: what is gone from it later, somebody has decided meanwhile,
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
# In id order, like whoever else takes several suggestions, so that two cannot deadlock.
LOCK_OPEN = """
    SELECT count(*) FROM (
        SELECT id FROM suggestions
        WHERE id IN (SELECT id FROM opened)
          AND (%(replace)s OR id IN (SELECT suggestion_id FROM staged))
        ORDER BY id FOR UPDATE OF suggestions
    ) AS locked
"""
# A priority that a dispatcher has set stands.
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
    """Enter a job's suggestions, all or none; any number of rows in flat memory.

    A move that the source already has open is refreshed and keeps its id and age. `replace`
    also removes the source's open suggestions that `rows` does not name; readers see the old set
    or the new one. No rows at all would remove them all: Refusal, unless `allow_empty`.
    A move that a ready or assigned task makes already counts as not given, unless
    `include_under_way`.
    `dry_run` counts, and waits for nobody. What `rows` raises undoes everything.

    The transaction is open while `rows` is consumed: it must not come from a slow producer. Its
    first row is asked for when the source has its turn.
    """
    check_source(source, replace)
    run = Run(source, replace)
    if not dry_run:
        # Two ingests of one source would both find the same move missing.
        advisory_lock(f"ingest {source}")
    stage(run, rows, allow_empty)
    repeated = run(DROP_REPEATED)
    under_way = 0 if include_under_way else run(DROP_UNDER_WAY)
    counts = count(run) if dry_run else merge(run)
    result = IngestResult(repeated=repeated, under_way=under_way, **counts)
    run(CLEAN_UP)
    if not dry_run:
        details = {"replace": replace, **asdict(result)}
        TaskEvent.objects.create(
            kind=EventKind.INGESTED, actor=actor, source=source, details=details
        )
    return result


@dataclass(frozen=True)
class Run:
    source: str
    replace: bool

    def __call__(self, statement: str) -> int:
        """Execute it; the number of rows that it changed."""
        with connection.cursor() as cursor:
            cursor.execute(statement, asdict(self))
            return int(cursor.rowcount)


def check_source(source: str, replace: bool) -> None:
    if replace and not source:
        raise Refusal("To replace needs a source: without a name it would be everybody's.")
    longest = Suggestion._meta.get_field("source").max_length or 0
    if len(source) > longest or not source.isprintable() or source != source.strip():
        raise Refusal(
            f"A source is at most {longest} printable characters, without spaces around them."
        )


def stage(run: Run, rows: Iterable[SuggestionRow], allow_empty: bool) -> None:
    run(STAGE)
    run(NOTE_OPEN)
    if not copy_rows(rows) and run.replace and not allow_empty:
        raise Refusal(
            f"No rows would remove all suggestions of {run.source!r}: allow it if it is meant."
        )
    run("ANALYZE staged, opened")


def copy_rows(rows: Iterable[SuggestionRow]) -> int:
    number = 0
    # Who makes the rows may ask the database for them before the first, which a COPY would forbid.
    rows = iter(rows)
    first = list(islice(rows, 1))
    # Django translates psycopg's errors in execute(), but not in copy().
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for row in chain(first, rows):
            number += 1
            copy.write_row(msgspec.structs.astuple(row))
    return number


def match(run: Run) -> int:
    """How many rows propose a move that was open when the input began."""
    matched = run(MATCH)
    run("ANALYZE staged (suggestion_id)")
    return matched


def count(run: Run) -> dict[str, int]:
    match(run)
    with connection.cursor() as cursor:
        cursor.execute(COUNT, asdict(run))
        inserted, refreshed, removed = cursor.fetchone()
    return {"inserted": inserted, "refreshed": refreshed, "removed": removed, "decided": 0}


def merge(run: Run) -> dict[str, int]:
    matched = match(run)
    run(LOCK_OPEN)
    # It passes over the matched ones that are gone by now.
    refreshed = run(REFRESH)
    return {
        "inserted": run(INSERT),
        "refreshed": refreshed,
        "removed": run(REMOVE),
        "decided": matched - refreshed,
    }
