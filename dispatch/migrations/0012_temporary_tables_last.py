"""Functions with their owner's rights read the project's tables only.

PostgreSQL looks for tables in the caller's temporary schema first, unless the path names it. A
caller's view of the same name would run the caller's functions with the owner's rights.
"""

from django.db import migrations

FUNCTIONS = ["lift_suggestions", "lift_tasks", "lift_task_events", "sequences_behind"]


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0011_clocks_and_counts")]

    operations = [
        migrations.RunSQL(
            [
                # Only until the end of this migration's transaction.
                "SELECT set_config('search_path', current_setting('search_path') || ', pg_temp',"
                " true)",
                *(f"ALTER FUNCTION {name}() SET search_path FROM CURRENT" for name in FUNCTIONS),
            ],
            migrations.RunSQL.noop,
        )
    ]
