"""A transaction of its own: it reads the whole table, and claims go on meanwhile."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations

NAMES = [
    "task_state_is_whole",
    "task_worker_has_a_name",
    "task_reported_time_only_when_completed",
    "task_moved_qty_in_range",
]


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0016_short_task_rules")]

    operations = [ValidateConstraint("task", name) for name in NAMES]
