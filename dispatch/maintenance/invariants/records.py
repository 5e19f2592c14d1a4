"""Events and idempotency keys."""

from .invariant import Invariant

RECORDS = [
    Invariant(
        "event_names_its_actor",
        "An approval, a claim or another event has no actor.",
        """
        SELECT id AS event_id, kind, task_id, suggestion_id FROM task_events
        WHERE trim(actor) = ''
        """,
    ),
    Invariant(
        "claim_key_is_one_claim",
        "An Idempotency-Key belongs to several claims: a retry may get another crew's task.",
        """
        SELECT actor, key, count(*) AS claims FROM claim_keys
        GROUP BY actor, key HAVING count(*) > 1
        """,
    ),
    Invariant(
        "claim_key_fits_its_history",
        "An Idempotency-Key leads a crew to a task that it never held.",
        """
        SELECT task_id, id AS claim_key_id, worker_id, created_at FROM claim_keys
        WHERE EXISTS (SELECT FROM task_events WHERE task_id = claim_keys.task_id)
            AND NOT EXISTS (
                SELECT FROM task_events
                WHERE task_id = claim_keys.task_id AND worker_id = claim_keys.worker_id
                    AND kind IN ('claimed', 'reassigned')
            )
        """,
    ),
    Invariant(
        "report_was_applied_once",
        "A phone's report was applied several times.",
        """
        SELECT details->>'report' AS report_id, count(*) AS events, min(task_id) AS task_id
        FROM task_events WHERE details ? 'report'
        GROUP BY details->>'report' HAVING count(*) > 1
        """,
    ),
]
