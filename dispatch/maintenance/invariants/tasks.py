"""Tasks, and their histories."""

from .invariant import Invariant

# Each event of a task, with the state before and after it. A run is an event that sets the state
# and the following events that do not. Events get their ids under the task's lock, so the ids are
# in the order of the events.
HISTORY = """
    WITH events AS (
        SELECT *, CASE
            WHEN kind IN ('approved', 'created', 'released') THEN 'ready'
            WHEN kind IN ('claimed', 'reassigned') THEN 'assigned'
            WHEN kind IN ('completed', 'cancelled') THEN kind
            WHEN kind = 'undone' THEN 'cancelled'
        END AS state
        FROM task_events WHERE task_id IS NOT NULL
    ), runs AS (
        SELECT *, count(state) OVER (PARTITION BY task_id ORDER BY id) AS run FROM events
    ), carried AS (
        SELECT *, max(state) OVER (PARTITION BY task_id, run) AS state_after FROM runs
    ), history AS (
        SELECT *, lag(state_after) OVER (PARTITION BY task_id ORDER BY id) AS state_before
        FROM carried
    ), latest AS (
        SELECT DISTINCT ON (task_id) task_id, id, kind, state_after
        FROM history ORDER BY task_id, id DESC
    )
"""


def with_history(select: str) -> str:
    return HISTORY + select


TASKS = [
    Invariant(
        "task_is_well_formed",
        "A task contradicts itself: its status, worker, times or counts.",
        """
        SELECT id AS task_id, rule, status, worker_id
        FROM tasks, LATERAL (VALUES
            ('it moves bikes', qty >= 1),
            ('its stations differ', from_station_id <> to_station_id),
            ('its stations are not negative', least(from_station_id, to_station_id) >= 0),
            ('its priority is in range', priority BETWEEN -100 AND 100),
            ('created_at is a date', created_at >= '2000-01-01Z' AND created_at < '9000-01-01Z'),
            ('it has worker and time unless ready', CASE status
                WHEN 'ready' THEN worker_id IS NULL AND assigned_at IS NULL
                WHEN 'cancelled' THEN (worker_id IS NULL) = (assigned_at IS NULL)
                ELSE worker_id IS NOT NULL AND assigned_at IS NOT NULL
            END),
            ('its worker has a name', worker_id IS DISTINCT FROM ''),
            ('it has a lease only while assigned',
                status = 'assigned' OR lease_expires_at IS NULL),
            ('its lease begins with the claim',
                coalesce(lease_expires_at >= assigned_at, true)),
            ('it has a completion only when completed',
                (status = 'completed') = (completed_at IS NOT NULL)
                AND (status = 'completed') = (moved_qty IS NOT NULL)),
            ('it has a cancelling only when cancelled',
                (status = 'cancelled') = (cancelled_at IS NOT NULL)),
            ('it ends after the claim',
                coalesce(least(completed_at, cancelled_at) >= assigned_at, true)),
            ('it is reported between claim and completion', reported_completed_at IS NULL
                OR (status = 'completed'
                    AND reported_completed_at BETWEEN assigned_at AND completed_at)),
            ('its bikes moved are not negative', coalesce(moved_qty >= 0, true))
        ) AS rules (rule, holds)
        WHERE holds IS NOT TRUE
        """,
    ),
    Invariant(
        "task_has_an_origin",
        "A task has no approval or creation: it was written without the service.",
        """
        SELECT id AS task_id, status, suggestion_id, created_at FROM tasks
        WHERE NOT EXISTS (
            SELECT FROM task_events
            WHERE task_id = tasks.id AND kind IN ('approved', 'created')
        )
        """,
    ),
    Invariant(
        "task_is_kept_while_open",
        "A task is missing although its history leaves it open: the move is lost.",
        with_history(
            """
            SELECT task_id, state_after AS status, id AS event_id, kind FROM latest
            WHERE state_after IN ('ready', 'assigned')
                AND NOT EXISTS (SELECT FROM tasks WHERE tasks.id = task_id)
            """
        ),
    ),
    Invariant(
        "task_history_is_legal",
        "A task has an event that its state did not allow: a claim while it was held, or a change"
        " after its end.",
        with_history(
            """
            SELECT task_id, id AS event_id, coalesce(state_before, 'new') AS state_before, kind
            FROM history
            WHERE concat_ws(' ', coalesce(state_before, 'new'), kind) NOT IN (
                'new approved', 'new created',
                'ready claimed', 'ready reassigned', 'assigned reassigned',
                'assigned extended', 'assigned released', 'assigned completed',
                'ready prioritized', 'assigned prioritized',
                'ready cancelled', 'assigned cancelled', 'ready undone',
                'ready message', 'assigned message', 'assigned seen',
                'ready problem', 'assigned problem', 'completed problem', 'cancelled problem',
                'ready late_report', 'assigned late_report',
                'completed late_report', 'cancelled late_report'
            )
            """
        ),
    ),
    Invariant(
        "task_status_fits_its_history",
        "A task's status differs from its history: it was changed without the service.",
        with_history(
            """
            SELECT task_id, status, state_after AS status_by_history
            FROM latest JOIN tasks ON tasks.id = task_id
            WHERE status IS DISTINCT FROM state_after
            """
        ),
    ),
    Invariant(
        "task_holder_fits_its_history",
        "A task's worker or attempt differs from its last claim.",
        """
        SELECT tasks.id AS task_id, status, tasks.worker_id, tasks.attempt,
            claim.worker_id AS claimed_by, claim.attempt AS attempt_by_history
        FROM tasks LEFT JOIN (
            SELECT DISTINCT ON (task_id) task_id, worker_id, attempt FROM task_events
            WHERE kind IN ('claimed', 'reassigned') ORDER BY task_id, id DESC
        ) AS claim ON task_id = tasks.id
        WHERE tasks.attempt <> coalesce(claim.attempt, 0)
            OR (tasks.worker_id IS NOT NULL
                AND tasks.worker_id IS DISTINCT FROM claim.worker_id)
        """,
    ),
    Invariant(
        "task_attempts_count_up",
        "A task's claims are not numbered 1, 2, 3: two crews may hold the same one.",
        """
        SELECT task_id, id AS event_id, kind, worker_id, attempt, number AS attempt_expected
        FROM (
            SELECT *, row_number() OVER (PARTITION BY task_id ORDER BY id) AS number
            FROM task_events WHERE kind IN ('claimed', 'reassigned')
        ) AS claims
        WHERE attempt IS DISTINCT FROM number
        """,
    ),
]
