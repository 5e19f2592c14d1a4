import dispatch.texts
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("dispatch", "0026_cluster_outages"),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name="task",
            name="task_area_of_source",
        ),
        migrations.AddField(
            model_name="crew",
            name="system",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The crew gets only tasks of this system. Empty: of every system.",
                max_length=100,
                validators=[dispatch.texts.validate_single_line],
            ),
        ),
        migrations.AddField(
            model_name="task",
            name="system",
            field=models.CharField(blank=True, db_default="", editable=False, max_length=100),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="task",
            trigger=pgtrigger.compiler.Trigger(
                name="task_area_of_source",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="SELECT coalesce(max(area), ''), coalesce(max(system), '') INTO NEW.area, NEW.system FROM stations WHERE id = NEW.from_station_id; RETURN NEW;",
                    hash="743e686d14537ca813f93c240ca0b2dfde56ef2c",
                    operation="INSERT",
                    pgid="pgtrigger_task_area_of_source_4f6a0",
                    table="tasks",
                    when="BEFORE",
                ),
            ),
        ),
    ]
