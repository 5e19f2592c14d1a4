"""Station capacities for approvals, and the locks that protect them.

Approvals must not promise the same bikes or docks twice, so two of them may not decide on one
station's count at the same time. Each holds an advisory lock on its stations until it commits:
exclusive where a station has a recent status, shared where it has none. Approvals of stations
without counts have nothing to share out and do not wait for each other.

A poll may bring a count after an approval chose a shared lock. Counts are read after the locks, so
the approval sees it (`StaleLocks`) and starts over with exclusive locks: it must not decide on a
count without one, nor ignore the count, because others may have promised its bikes already. If the
count comes even later, it is as if the approval came first: an approval that reads the count
needs the exclusive lock, waits for that approval, and finds its task.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta

from django.conf import settings

from ..planning.inventory import StationCapacity
from ..planning.verdicts import Limits
from .rows import Row, Statement, run

Pair = tuple[int, int]

# Moves of one pair take turns, too: the second must see the first one's task to warn of it.
# All approvals lock in the same order, so they cannot deadlock: moves by name, then stations by
# number, as earlier versions do, which may still run during a deploy.
LOCK_MOVES = """
    SELECT station_id, exclusive,
           CASE WHEN exclusive THEN pg_advisory_xact_lock(hashtextextended(name, 0))
                ELSE pg_advisory_xact_lock_shared(hashtextextended(name, 0)) END
    FROM (
        SELECT NULL AS station_id, 'move ' || source || ' ' || target AS name, true AS exclusive
        FROM unnest(%s::integer[], %s::integer[]) AS pairs (source, target)
        UNION ALL
        SELECT wanted.id, 'station ' || wanted.id,
               %s OR EXISTS (
                   SELECT FROM station_status
                   WHERE station_id = wanted.id
                     AND as_of >= clock_timestamp() - interval '{max_age}'
               )
        FROM unnest(%s::integer[]) AS wanted (id)
        ORDER BY station_id NULLS FIRST, name
    ) AS locks
"""
# A completed task still counts until a status is newer than it: that count has not seen its bikes.
# Without a recent status, promises are not summed: there is no count to subtract them from.
# Any recent status is younger than max_age. Bounding completions by it, too, lets an index serve:
# otherwise each station's whole history is read (500 stations: 450 ms instead of 11).
CAPACITIES = """
    SELECT wanted.id, coalesce(stations.name, 'Station ' || wanted.id),
           known.bikes, known.docks, coalesce(going_out, 0), coalesce(coming_in, 0),
           coalesce(known.in_service, true),
           CASE WHEN stations.id IS NULL THEN NOT EXISTS (SELECT FROM stations)
                ELSE stations.gone_at IS NULL END AS in_feed,
           EXISTS (SELECT FROM station_status) AS monitored,
           stations.lat, stations.lon, coalesce(stations.area, ''), coalesce(stations.system, '')
    FROM unnest(%s::integer[]) AS wanted (id)
    LEFT JOIN stations USING (id)
    LEFT JOIN station_status AS known
        ON known.station_id = wanted.id AND known.as_of >= clock_timestamp() - interval '{max_age}'
    CROSS JOIN LATERAL (
        SELECT sum(qty) FILTER (WHERE from_station_id = wanted.id),
               sum(qty) FILTER (WHERE to_station_id = wanted.id)
        FROM (
            SELECT from_station_id, to_station_id, qty FROM tasks
            WHERE status IN ('ready', 'assigned')
              AND (from_station_id = wanted.id OR to_station_id = wanted.id)
            UNION ALL
            SELECT from_station_id, to_station_id, moved_qty FROM tasks
            WHERE status = 'completed' AND completed_at > now() - interval '{max_age}'
              AND completed_at > known.as_of
              AND coalesce(reported_completed_at, completed_at) > known.as_of
              AND (from_station_id = wanted.id OR to_station_id = wanted.id)
        ) AS moves (from_station_id, to_station_id, qty)
        WHERE known.as_of IS NOT NULL
    ) AS promised (going_out, coming_in)
"""


def max_age() -> timedelta:
    return timedelta(minutes=settings.STATUS_MAX_AGE_MINUTES)


def limits() -> Limits:
    return Limits(settings.MOVE_MAX_KM, settings.VAN_CAPACITY, settings.MOVE_MIN_BIKES)


class StaleLocks(Exception):
    """A station got a count after its lock was chosen."""


def lock_statement(moves: Collection[Pair], *, exclusive: bool) -> Statement:
    """Lock these moves and their stations; `exclusive`: all of them, with or without a count."""
    sources, targets = columns(moves)
    return with_max_age(LOCK_MOVES), [sources, targets, exclusive, stations_of(moves)]


def capacities_statement(station_ids: Collection[int]) -> Statement:
    return with_max_age(CAPACITIES), [list(station_ids)]


def with_max_age(statement: str) -> str:
    # Part of the text: the planner would not estimate from a prepared statement's parameter.
    return statement.format(max_age=f"{settings.STATUS_MAX_AGE_MINUTES} minutes")


def columns(moves: Collection[Pair]) -> tuple[list[int], list[int]]:
    return [source for source, _ in moves], [target for _, target in moves]


def stations_of(moves: Collection[Pair]) -> list[int]:
    return sorted({station_id for move in moves for station_id in move})


def capacities_of(station_ids: Collection[int]) -> dict[int, StationCapacity]:
    """The capacity of each station, in one query."""
    [rows] = run(capacities_statement(station_ids))
    return capacities_from(rows)


def capacities_from(rows: Iterable[Row]) -> dict[int, StationCapacity]:
    return {station_id: StationCapacity(*values) for station_id, *values in rows}


def check_locks_cover(locks: Iterable[Row], capacities: Mapping[int, StationCapacity]) -> None:
    """StaleLocks: a count was read under a shared lock. `locks`: rows of `lock_statement`."""
    for station_id, exclusive, _ in locks:
        if not exclusive and capacities[station_id].bikes is not None:
            raise StaleLocks
