"""What is known of the stations that a move touches."""

from collections.abc import Collection, Iterable
from datetime import timedelta

from django.conf import settings

from ..planning.inventory import Room
from .rows import Row, run

# Bikes that an ended task moved after the count are promised still: the count has not seen them.
# Without a count nothing is added up: of what is not known nothing can be promised.
# No fresh count is older than max_age: that bound alone is one that an index of completions
# can use, without which each station's whole past is read (500 stations: 11 ms instead of 450).
ROOMS = """
    SELECT wanted.id, coalesce(stations.name, '#' || wanted.id),
           known.bikes, known.docks, coalesce(going_out, 0), coalesce(coming_in, 0),
           coalesce(known.in_service, true), EXISTS (SELECT FROM station_status) AS counted
    FROM ({stations}) AS wanted (id)
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


def rooms_statement(stations: str = "SELECT unnest(%s::integer[])") -> str:
    """`stations`: a query of their ids."""
    return ROOMS.format(stations=stations, max_age=f"{settings.STATUS_MAX_AGE_MINUTES} minutes")


def rooms_of(station_ids: Collection[int]) -> dict[int, Room]:
    """One for each, in one query; its numbers are None without a count that is fresh enough."""
    [rows] = run((rooms_statement(), [list(station_ids)]))
    return rooms_from(rows)


def rooms_from(rows: Iterable[Row]) -> dict[int, Room]:
    return {station_id: Room(*of) for station_id, *of in rows}
