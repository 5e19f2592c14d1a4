from django.db import migrations

# What died at the head of the queue while a report or a backup held its snapshot is walked through
# by each claim until a vacuum. By default that waits for a fifth of all tasks that were ever kept:
# with a million behind, claims touched 930 buffers until then, with this 44. Less than a fiftieth
# would be no gain: a vacuum then passes the indexes over.
SOONER = """
    ALTER TABLE tasks
    SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000)
"""
AS_BEFORE = """
    ALTER TABLE tasks
    RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold)
"""


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0006_room_at_stations")]

    operations = [migrations.RunSQL(SOONER, AS_BEFORE)]
