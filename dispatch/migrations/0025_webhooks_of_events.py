import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("dispatch", "0024_webhooks"),
    ]

    operations = [
        pgtrigger.migrations.AddTrigger(
            model_name="taskevent",
            trigger=pgtrigger.compiler.Trigger(
                name="event_to_webhooks",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (NEW.kind IN ('approved', 'rejected', 'completed', 'problem', 'late_report') OR (NEW.kind = 'released' AND NEW.details->>'reason' = 'The lease has expired.'))",
                    func="\n    INSERT INTO webhook_deliveries (endpoint_id, event_id, type, body, state, finished_at)\n    SELECT id, 'event_' || NEW.id, \n    (CASE WHEN NEW.kind IN ('approved', 'rejected') THEN 'suggestion.' ELSE 'task.' END || NEW.kind)\n,\n        jsonb_build_object('type', \n    (CASE WHEN NEW.kind IN ('approved', 'rejected') THEN 'suggestion.' ELSE 'task.' END || NEW.kind)\n, 'timestamp', NEW.at, 'data', \n    jsonb_build_object(\n        'id', NEW.id, 'at', NEW.at, 'kind', NEW.kind, 'task_id', NEW.task_id,\n        'suggestion_id', NEW.suggestion_id, 'attempt', NEW.attempt, 'worker_id', NEW.worker_id,\n        'actor', NEW.actor, 'source', NEW.source,\n        'details', CASE WHEN octet_length(NEW.details::text) <= 16000 THEN NEW.details END,\n        'move', coalesce(\n            (SELECT jsonb_build_object('from_station_id', from_station_id,\n                'to_station_id', to_station_id, 'qty', qty) FROM tasks WHERE id = NEW.task_id),\n            jsonb_build_object('from_station_id', NEW.details->'from_station_id',\n                'to_station_id', NEW.details->'to_station_id', 'qty', NEW.details->'qty')\n        )\n    )\n)::text,\n        CASE state WHEN 'enabled' THEN 'pending' ELSE 'dead' END,\n        CASE state WHEN 'enabled' THEN NULL ELSE now() END\n    FROM webhook_endpoints\n    WHERE state <> 'disabled' AND (cardinality(types) = 0 OR \n    (CASE WHEN NEW.kind IN ('approved', 'rejected') THEN 'suggestion.' ELSE 'task.' END || NEW.kind)\n = ANY (types))\n    ON CONFLICT (endpoint_id, event_id) DO NOTHING;\nRETURN NULL;",
                    hash="6d28c2ffcccb5d8a65f80338713902695bb4b03e",
                    operation="INSERT",
                    pgid="pgtrigger_event_to_webhooks_bc251",
                    table="task_events",
                    when="AFTER",
                ),
            ),
        ),
    ]
