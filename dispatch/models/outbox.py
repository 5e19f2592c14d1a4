"""SQL of the triggers that write webhook deliveries and mail alerts in the change's transaction."""

import pgtrigger

# No rows for endpoints that an operator has disabled. Those of one that the service gave up are
# dead from the start: they can be repeated later. A delivery never makes the change itself fail.
ENQUEUE = """
    INSERT INTO webhook_deliveries (endpoint_id, event_id, type, body, state, finished_at)
    SELECT id, {event_id}, {type},
        jsonb_build_object('type', {type}, 'timestamp', {at}, 'data', {data})::text,
        CASE state WHEN 'enabled' THEN 'pending' ELSE 'dead' END,
        CASE state WHEN 'enabled' THEN NULL ELSE now() END
    FROM webhook_endpoints
    WHERE state <> 'disabled' AND (cardinality(types) = 0 OR {type} = ANY (types))
    ON CONFLICT (endpoint_id, event_id) DO NOTHING;
    INSERT INTO mail_alerts (subscription_id, event_id, type, at, data)
    SELECT id, {event_id}, {type}, {at}, {data}
    FROM mail_subscriptions WHERE {type} = ANY (types)
    ON CONFLICT (subscription_id, event_id) DO NOTHING;
"""

# The event as GET /events shows it, and its move. Details beyond 16 kB are left out: receivers need
# not accept more than 20 kB.
EVENT_DATA = """
    jsonb_build_object(
        'id', NEW.id, 'at', NEW.at, 'kind', NEW.kind, 'task_id', NEW.task_id,
        'suggestion_id', NEW.suggestion_id, 'attempt', NEW.attempt, 'worker_id', NEW.worker_id,
        'actor', NEW.actor, 'source', NEW.source,
        'details', CASE WHEN octet_length(NEW.details::text) <= 16000 THEN NEW.details END,
        'move', coalesce(
            (SELECT jsonb_build_object('from_station_id', from_station_id,
                'to_station_id', to_station_id, 'qty', qty) FROM tasks WHERE id = NEW.task_id),
            jsonb_build_object('from_station_id', NEW.details->'from_station_id',
                'to_station_id', NEW.details->'to_station_id', 'qty', NEW.details->'qty')
        )
    )
"""
EVENT_TYPE = """
    (CASE WHEN NEW.kind IN ('approved', 'rejected') THEN 'suggestion.' ELSE 'task.' END || NEW.kind)
"""
FEED_DATA = """
    jsonb_build_object('system', NEW.system, 'kind', NEW.kind, 'trouble', NEW.trouble,
        'read_at', NEW.read_at)
"""
CLUSTER_OUTAGE_DATA = """
    jsonb_build_object('id', NEW.id, 'system', NEW.system, 'kind', NEW.kind,
        'station_id', NEW.station_id, 'station_ids', NEW.station_ids,
        'area', (SELECT area FROM stations WHERE id = NEW.station_id),
        'started_at', NEW.started_at, 'ended_at', NEW.ended_at)
"""


def enqueue_event(lease_expired: str) -> pgtrigger.Trigger:
    """`lease_expired`: the reason of a release by the sweep. Claims do not call the trigger."""
    return pgtrigger.Trigger(
        name="event_to_webhooks",
        when=pgtrigger.After,
        operation=pgtrigger.Insert,
        condition=pgtrigger.Condition(
            "NEW.kind IN ('approved', 'rejected', 'completed', 'problem', 'late_report')"
            f" OR (NEW.kind = 'released' AND NEW.details->>'reason' = '{lease_expired}')"
        ),
        func=ENQUEUE.format(
            event_id="'event_' || NEW.id", type=EVENT_TYPE, at="NEW.at", data=EVENT_DATA
        )
        + "RETURN NULL;",
    )


def enqueue_feed() -> pgtrigger.Trigger:
    """Only the first failure in a row, and the first success after it."""
    enqueue = ENQUEUE.format(
        event_id="'feed_' || NEW.id || '_' || (extract(epoch FROM now()) * 1000000)::bigint",
        type="(CASE NEW.trouble WHEN '' THEN 'feed.recovered' ELSE 'feed.failing' END)",
        at="now()",
        data=FEED_DATA,
    )
    return pgtrigger.Trigger(
        name="feed_to_webhooks",
        when=pgtrigger.After,
        operation=pgtrigger.Insert | pgtrigger.Update,
        func="IF (NEW.trouble = '') <> (coalesce(OLD.trouble, '') = '') THEN"
        f"{enqueue} END IF; RETURN NULL;",
    )


def enqueue_cluster_outage() -> pgtrigger.Trigger:
    enqueue = ENQUEUE.format(
        event_id="'cluster_outage_' || NEW.id || CASE TG_OP WHEN 'UPDATE' THEN '_end' ELSE '' END",
        type="('outage.cluster_' || CASE TG_OP WHEN 'UPDATE' THEN 'ended' ELSE 'started' END)",
        at="now()",
        data=CLUSTER_OUTAGE_DATA,
    )
    return pgtrigger.Trigger(
        name="cluster_outage_to_webhooks",
        when=pgtrigger.After,
        operation=pgtrigger.Insert | pgtrigger.Update,
        func="IF TG_OP = 'INSERT' OR (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) THEN"
        f"{enqueue} END IF; RETURN NULL;",
    )
