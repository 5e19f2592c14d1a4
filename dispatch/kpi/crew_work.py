"""Reads the work of each crew in each area, day by day, from the events."""

from collections import defaultdict
from datetime import date

import msgspec
from django.db import connection

from ..models.events import LEASE_EXPIRED
from .periods import Period

# `former`: the event before that began the task's wait for a crew, or the crew's work on it. It is
# looked up if the period begins between the two. The area of a pruned task is in its first event.
READ_WORK = """
    WITH happened AS (
        SELECT id, kind, at, task_id, worker_id, details,
               lag(kind) OVER task AS former, lag(at) OVER task AS former_at
        FROM task_events
        WHERE at >= %s AND at < %s AND kind IN (
            'approved', 'created', 'claimed', 'reassigned', 'released', 'completed', 'late_report')
        WINDOW task AS (PARTITION BY task_id, kind = 'late_report' ORDER BY id)
    ),
    measured AS (
        SELECT (happened.at AT TIME ZONE %s)::date AS day,
               happened.worker_id, happened.kind, details,
               happened.kind IN ('claimed', 'reassigned') AS claimed,
               coalesce(former, earlier.kind) AS former,
               extract(epoch FROM coalesce((details->>'completed_at')::timestamptz, happened.at)
                       - coalesce(former_at, earlier.at))::int AS seconds,
               coalesce(tasks.area, (
                   SELECT entry.details->>'area' FROM task_events AS entry
                   WHERE entry.task_id = happened.task_id AND kind IN ('approved', 'created')
                   ORDER BY entry.id LIMIT 1
               ), '') AS area,
               coalesce(tasks.system, '') AS system
        FROM happened
        LEFT JOIN tasks ON tasks.id = happened.task_id
        LEFT JOIN LATERAL (
            SELECT kind, at FROM task_events
            WHERE former IS NULL AND task_id = happened.task_id AND id < happened.id
              AND kind IN ('approved', 'created', 'claimed', 'reassigned', 'released')
            ORDER BY id DESC LIMIT 1
        ) AS earlier ON true
        WHERE happened.kind NOT IN ('approved', 'created')
    )
    SELECT day, coalesce(worker_id, ''), area, system,
           count(*) FILTER (WHERE claimed),
           count(*) FILTER (WHERE kind = 'completed'),
           coalesce(sum((details->>'moved_qty')::int) FILTER (WHERE kind = 'completed'), 0),
           count(*) FILTER (WHERE kind = 'released'),
           count(*) FILTER (WHERE kind = 'released' AND details->>'reason' = %s),
           count(*) FILTER (WHERE kind = 'late_report'),
           array_agg(seconds) FILTER (WHERE claimed AND former IN ('approved', 'created')),
           array_agg(seconds) FILTER (WHERE claimed AND former = 'released'),
           array_agg(seconds) FILTER (
               WHERE kind = 'completed' AND former IN ('claimed', 'reassigned'))
    FROM measured GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""


class CrewWork(msgspec.Struct, frozen=True, gc=False):
    """The work of one crew on the tasks of one area on a day. `system`: empty for pruned tasks.

    `lease_ended`: how many of the released ones. In seconds: `from_approval` until the first claim,
    `from_release` until a later one, and `working` from a claim to its completion.
    """

    worker_id: str
    area: str
    system: str = ""
    claimed: int = 0
    completed: int = 0
    bikes: int = 0
    released: int = 0
    lease_ended: int = 0
    late_reports: int = 0
    from_approval: list[int] = []
    from_release: list[int] = []
    working: list[int] = []


def read_crew_work(period: Period) -> dict[date, list[CrewWork]]:
    """Return each day's work by crew, area and system, no combination twice on a day."""
    found = defaultdict(list)
    zone = str(period.zone)
    with connection.cursor() as cursor:
        cursor.execute(READ_WORK, [period.start, period.end, zone, LEASE_EXPIRED])
        for day, *known, approval, release, working in cursor.fetchall():
            times = (each or [] for each in (approval, release, working))
            found[day].append(CrewWork(*known, *times))
    return found
