"""PostgreSQL, as far as the service depends on it."""

from collections.abc import Iterator

from django.db import connection
from prometheus_client.metrics_core import Metric

from .samples import gauge

SESSIONS = """
    SELECT coalesce(state, 'unknown'), coalesce(wait_event_type, '') = 'Lock', count(*),
           min(xact_start)
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
      AND pid <> pg_backend_pid()
    GROUP BY 1, 2
"""
TABLES = """
    SELECT relname, n_dead_tup, n_live_tup FROM pg_stat_user_tables
    WHERE relname IN ('tasks', 'suggestions', 'task_events', 'claim_keys')
      AND pg_table_is_visible(relid)
"""
# 0 for a standby that is up to date: replay_lag is null when there is nothing to replay. A role
# without pg_read_all_stats sees neither state nor lag. Backups are not standbys.
STANDBYS = """
    SELECT application_name, coalesce(extract(epoch FROM replay_lag), 0), state IS NULL
    FROM pg_stat_replication
    WHERE coalesce(application_name, '') NOT IN ('pg_basebackup', 'pg_receivewal')
"""
# Nothing on a standby, which usually archives nothing, or with archive_mode off.
ARCHIVE = """
    SELECT coalesce(last_archived_time, pg_postmaster_start_time()), last_failed_time,
           trunc(pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')
                 / pg_size_bytes(current_setting('wal_segment_size')))
    FROM pg_stat_archiver
    WHERE NOT pg_is_in_recovery() AND current_setting('archive_mode') <> 'off'
"""


def fetch(query: str) -> list[tuple]:  # type: ignore[type-arg]
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def database() -> Iterator[Metric]:
    sessions = fetch(SESSIONS)
    states = sorted({state for state, *_ in sessions} | {"active", "idle", "idle in transaction"})
    yield gauge(
        "dispatch_database_connections",
        "Connections of clients to the database, by state.",
        (([each], sum(n for state, _, n, _ in sessions if state == each)) for each in states),
        ["state"],
    )
    [[most]] = fetch("SELECT current_setting('max_connections')::int")
    yield gauge("dispatch_database_max_connections", "Connections allowed.", [((), most)])
    waiting = sum(number for _, waits, number, _ in sessions if waits)
    yield gauge(
        "dispatch_database_lock_waits", "Connections that wait for a lock.", [((), waiting)]
    )
    oldest = min((start for *_, start in sessions if start), default=None)
    yield gauge(
        "dispatch_database_oldest_transaction_timestamp_seconds",
        "Start of the longest open transaction.",
        [((), oldest)],
    )
    yield from rows_of_tables()
    yield from standbys()


def rows_of_tables() -> Iterator[Metric]:
    tables = fetch(TABLES)
    for name, column, text in (("dead", 1, "Dead"), ("live", 2, "Live")):
        yield gauge(
            f"dispatch_database_{name}_rows",
            f"{text} rows of the busiest tables, as PostgreSQL estimates.",
            (([row[0]], row[column]) for row in tables),
            ["table"],
        )


def standbys() -> Iterator[Metric]:
    """No series if there are standbys whose state this role may not see."""
    seen = fetch(STANDBYS)
    is_hidden = any(hidden for *_, hidden in seen)
    yield gauge(
        "dispatch_database_standbys",
        "Standbys that are connected.",
        [((), None if is_hidden else len(seen))],
    )
    yield gauge(
        "dispatch_database_replication_lag_seconds",
        "How far each standby lags behind.",
        (([name], lag) for name, lag, hidden in seen if not hidden),
        ["standby"],
    )


def archive() -> Iterator[Metric]:
    for archived, failed, segments in fetch(ARCHIVE):
        yield gauge(
            "dispatch_database_archived_timestamp_seconds",
            "Last success of archive_command; before the first, the start of PostgreSQL.",
            [((), archived)],
        )
        yield gauge(
            "dispatch_database_archive_failed_timestamp_seconds",
            "Last failure of archive_command.",
            [((), failed)],
        )
        yield gauge(
            "dispatch_database_wal_segments",
            "Segments of the write-ahead log that have been filled.",
            [((), segments)],
        )
