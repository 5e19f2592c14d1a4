"""Reads what became of the moves that suggestions led to."""

from collections import defaultdict
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from .periods import Period
from .sources import Moves

# A move is judged if polls came without a gap for the hours after it. It did not hold if an outage
# began in these hours, or began before the move and outlasted them.
READ_MOVES = """
    WITH done AS (
        SELECT events.source, (at AT TIME ZONE %(zone)s)::date AS day,
               from_station_id, to_station_id,
               coalesce((details->>'completed_at')::timestamptz, at) AS began,
               coalesce((details->>'completed_at')::timestamptz, at) + %(hours)s AS ended
        FROM task_events AS events LEFT JOIN tasks ON tasks.id = task_id
        WHERE at >= %(start)s AND at < %(end)s AND kind = 'completed'
          AND events.suggestion_id IS NOT NULL AND (details->>'moved_qty')::int > 0
    ),
    followed AS (
        SELECT *, EXISTS (
            SELECT FROM feed_watches JOIN stations USING (system)
            WHERE stations.id = to_station_id AND started_at <= began AND ended_at >= ended
        ) AS judged
        FROM done
    )
    SELECT day, source, count(*), count(*) FILTER (WHERE judged),
           count(*) FILTER (WHERE judged AND EXISTS (
               SELECT FROM (VALUES (to_station_id, 'empty'), (from_station_id, 'full'))
                    AS ends (station, lacking)
               WHERE EXISTS (
                   SELECT FROM station_outages
                   WHERE station_id = station AND kind = lacking
                     AND started_at > began AND started_at <= ended
               ) OR (
                   SELECT kind = lacking AND coalesce(ended_at, 'infinity') > ended
                   FROM station_outages WHERE station_id = station AND started_at <= began
                   ORDER BY started_at DESC LIMIT 1
               )
           ))
    FROM followed GROUP BY day, source ORDER BY day, source
"""


def read_moves(period: Period) -> dict[date, list[Moves]]:
    """Return each day's completed moves by source."""
    parameters: dict[str, Any] = {
        "zone": str(period.zone),
        "start": period.start,
        "end": period.end,
        "hours": timedelta(hours=settings.HIT_RATE_HOURS),
    }
    found = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(READ_MOVES, parameters)
        for day, *of in cursor.fetchall():
            found[day].append(Moves(*of))
    return found
