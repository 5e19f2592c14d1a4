"""Names of areas. Until the next sync, they are the prefixes of short names."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dispatch", "0014_undone_events"),
    ]

    operations = [
        migrations.AddField(
            model_name="station",
            name="area",
            field=models.CharField(blank=True, db_default="", max_length=100),
        ),
        migrations.RunSQL(
            """
            UPDATE stations SET area = coalesce(substring(short_name FROM '^([A-Z]{2,4})[- ]'), '');
            -- Otherwise a feed that has not changed would not be read again.
            UPDATE station_feeds SET etag = '', last_modified = '' WHERE kind = 'information';
            """,
            migrations.RunSQL.noop,
        ),
    ]
