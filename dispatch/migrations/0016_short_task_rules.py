"""Rules about tasks in fewer words: PostgreSQL parses them for each statement that writes a task.

NOT VALID: the rows obey already, and checking them would hold up the claims of a long table.
"""

import pgtrigger.compiler
import pgtrigger.migrations
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models.lookups import In

REPLACED = [
    "task_status_is_known",
    "task_is_held_unless_ready",
    "task_worker_has_a_name",
    "task_lease_only_while_assigned",
    "task_completed_has_its_time",
    "task_reported_time_only_when_completed",
    "task_cancelled_has_its_time",
    "task_moved_qty_in_range",
]


def how_many_set(*fields):
    return models.Func(*fields, function="num_nonnulls", output_field=models.IntegerField())


CONDITIONS = {
    "task_state_is_whole": In(
        models.Func(
            models.Value(" "),
            "status",
            how_many_set("worker_id", "assigned_at"),
            how_many_set("lease_expires_at"),
            how_many_set("completed_at", "moved_qty"),
            how_many_set("cancelled_at"),
            function="concat_ws",
            output_field=models.TextField(),
        ),
        [
            "ready 0 0 0 0",
            "assigned 2 0 0 0",
            "assigned 2 1 0 0",
            "completed 2 0 2 0",
            "cancelled 0 0 0 1",
            "cancelled 2 0 0 1",
        ],
    ),
    "task_worker_has_a_name": models.Q(("worker_id__gt", "")),
    "task_reported_time_only_when_completed": models.Q(
        ("reported_completed_at__isnull", True),
        models.Q(
            ("completed_at__isnull", False),
            ("reported_completed_at__gte", models.F("assigned_at")),
            ("reported_completed_at__lte", models.F("completed_at")),
        ),
        _connector="OR",
    ),
    "task_moved_qty_in_range": models.Q(("moved_qty__gte", 0)),
}


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0015_station_areas")]

    operations = [
        *(migrations.RemoveConstraint(model_name="task", name=name) for name in REPLACED),
        *(
            AddConstraintNotValid("task", models.CheckConstraint(condition=condition, name=name))
            for name, condition in CONDITIONS.items()
        ),
        pgtrigger.migrations.RemoveTrigger(model_name="task", name="task_status_edges"),
        pgtrigger.migrations.RemoveTrigger(model_name="task", name="task_ended_is_frozen"),
        pgtrigger.migrations.AddTrigger(
            model_name="task",
            trigger=pgtrigger.compiler.Trigger(
                name="task_status_edges",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (concat(OLD.status, ':', NEW.status) <> ALL ('{ready:ready,ready:assigned,ready:cancelled,assigned:assigned,assigned:ready,assigned:completed,assigned:cancelled}'))",
                    func="RAISE EXCEPTION 'Task % cannot change from % to %.', OLD.id, OLD.status, NEW.status;",
                    hash="0c1a70bff16105657f0f56ee68ccf3f36d6d9464",
                    operation="UPDATE",
                    pgid="pgtrigger_task_status_edges_cdae6",
                    table="tasks",
                    when="BEFORE",
                ),
            ),
        ),
    ]
