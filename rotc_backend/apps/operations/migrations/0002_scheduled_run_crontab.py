from django.db import migrations, models

# Repeatable, like all DDL of the schema that a restore never replaces.
CRONTAB = "ALTER TABLE ops.scheduled_run ADD COLUMN IF NOT EXISTS crontab text NOT NULL DEFAULT ''"


class Migration(migrations.Migration):
    dependencies = [("operations", "0001_initial")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(CRONTAB, migrations.RunSQL.noop)],
            state_operations=[
                migrations.AddField(
                    "scheduledrun",
                    "crontab",
                    models.TextField(db_default="", help_text="The schedule that gave the slot, in five fields."),
                )
            ],
        )
    ]
