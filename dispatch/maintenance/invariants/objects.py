"""Sequences and indexes. `fix` is the statement that repairs each."""

from .invariant import Invariant

SEQUENCES_BEHIND = """
    SELECT sequence, last_drawn, highest,
        format('SELECT setval(%L, %s)', sequence, highest) AS fix
    FROM sequences_behind()
"""
# A running build holds this lock on the table, and every role may see it. A failed REINDEX leaves
# its copy, a failed CREATE INDEX the index itself.
INVALID_INDEXES = """
    SELECT index.relname AS index, indrelid::regclass::text AS table, format(
        CASE
            WHEN index.relname ~ '_cc(new|old)[0-9]*$' THEN 'DROP INDEX CONCURRENTLY %I'
            ELSE 'REINDEX INDEX CONCURRENTLY %I'
        END, index.relname
    ) AS fix
    FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
    WHERE NOT indisvalid AND index.relkind = 'i'
        AND index.relnamespace = current_schema()::regnamespace
        AND NOT EXISTS (
            SELECT FROM pg_locks WHERE locktype = 'relation' AND relation = indrelid
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND mode = 'ShareUpdateExclusiveLock' AND granted
        )
"""
OBJECTS = [
    Invariant(
        "sequence_is_not_behind",
        "Ids were written that their sequence has not given yet. The next insert makes up for it;"
        " the statement under `fix` does so now.",
        SEQUENCES_BEHIND,
    ),
    Invariant(
        "index_is_valid",
        "The build of an index failed: queries do not use it, and writes still pay for it. If a"
        " migration is due, `migrate` builds it again; otherwise the statement under `fix` does.",
        INVALID_INDEXES,
    ),
]
