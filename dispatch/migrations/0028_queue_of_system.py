"""Build the index without a lock that claims would wait for."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models.expressions import CombinedExpression


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("dispatch", "0027_systems"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="task",
            index=models.Index(
                models.F("system"),
                CombinedExpression(models.F("priority"), "*", models.Value(-1)),
                models.F("created_at"),
                models.F("id"),
                models.F("qty"),
                condition=models.Q(status="ready"),
                name="task_queue_of_system",
            ),
        ),
    ]
