"""Suggestions, and the decisions on them."""

from .invariant import Invariant

SUGGESTIONS = [
    Invariant(
        "suggestion_is_well_formed",
        "A suggestion's values make no sense to a dispatcher.",
        """
        SELECT id AS suggestion_id, rule
        FROM suggestions, LATERAL (VALUES
            ('it moves bikes', qty >= 1),
            ('its stations differ', from_station_id <> to_station_id),
            ('its stations are not negative', least(from_station_id, to_station_id) >= 0),
            ('its priority is in range', priority BETWEEN -100 AND 100),
            ('it has a reason', reason IS NOT NULL),
            ('created_at is a date', created_at >= '2000-01-01Z' AND created_at < '9000-01-01Z'),
            ('expires_at is a date', expires_at IS NULL
                OR (expires_at >= '2000-01-01Z' AND expires_at < '9000-01-01Z'))
        ) AS rules (rule, holds)
        WHERE holds IS NOT TRUE
        """,
    ),
    Invariant(
        "suggestion_has_no_task",
        "A suggestion is still open although it is a task already: its bikes could be moved twice.",
        """
        SELECT suggestions.id AS suggestion_id, tasks.id AS task_id
        FROM suggestions JOIN tasks ON tasks.suggestion_id = suggestions.id
        """,
    ),
    Invariant(
        "suggestion_is_undecided",
        "A suggestion is open although it was approved, rejected or removed as expired before.",
        """
        SELECT suggestions.id AS suggestion_id, kind, actor, at, task_id
        FROM suggestions JOIN task_events ON suggestion_id = suggestions.id
        WHERE kind IN ('approved', 'rejected', 'expired')
        """,
    ),
    Invariant(
        "suggestion_became_one_task",
        "A suggestion became several tasks: the same bikes are moved more than once.",
        """
        SELECT suggestion_id, count(*) AS tasks, min(id) AS first_task_id, max(id) AS last_task_id
        FROM tasks WHERE suggestion_id IS NOT NULL
        GROUP BY suggestion_id HAVING count(*) > 1
        """,
    ),
    Invariant(
        "suggestion_was_approved_once",
        "A suggestion was approved several times.",
        """
        SELECT suggestion_id, count(*) AS approvals,
            min(task_id) AS first_task_id, max(task_id) AS last_task_id
        FROM task_events WHERE kind = 'approved' AND suggestion_id IS NOT NULL
        GROUP BY suggestion_id HAVING count(*) > 1
        """,
    ),
    Invariant(
        "undo_follows_its_decision",
        "An undo reverses no decision, a later one, or the approval of a task that a crew claimed.",
        """
        SELECT undo.id AS event_id, undo.suggestion_id, undo.task_id FROM task_events AS undo
        WHERE kind = 'undone' AND (
            attempt > 0 OR NOT EXISTS (
                SELECT FROM task_events AS decision
                WHERE decision.suggestion_id = undo.suggestion_id AND decision.id < undo.id
                    AND decision.task_id IS NOT DISTINCT FROM undo.task_id
                    AND decision.kind =
                        CASE WHEN undo.task_id IS NULL THEN 'rejected' ELSE 'approved' END
            )
        )
        """,
    ),
    Invariant(
        "decision_was_undone_once",
        "A decision was undone several times: its suggestion may have come back twice.",
        """
        SELECT suggestion_id, count(*) AS undos FROM task_events
        WHERE kind = 'undone' GROUP BY suggestion_id HAVING count(*) > 1
        """,
    ),
]
