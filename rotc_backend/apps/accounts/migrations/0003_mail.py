import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import apps.events.models

# Repeatable, like all DDL of the schema that a restore never replaces; going back leaves the table alone.
MAIL_TABLE = """
CREATE SCHEMA IF NOT EXISTS ops;

CREATE TABLE IF NOT EXISTS ops.mail (
    id uuid PRIMARY KEY,
    event text NOT NULL UNIQUE,
    kind text NOT NULL,
    recipient_id bigint NOT NULL,
    address text NOT NULL DEFAULT '',
    context jsonb NOT NULL,
    state text NOT NULL,
    detail text NOT NULL DEFAULT '',
    attempts smallint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    claimed_at timestamptz,
    finished_at timestamptz
);
DO $$ BEGIN
    -- Looked up first: with IF NOT EXISTS it would wait for whoever writes, and all others behind it, at each backup's
    -- trial.
    IF to_regclass('ops.mail_by_state') IS NULL THEN
        CREATE INDEX mail_by_state ON ops.mail (state, due_at);
    END IF;
    IF to_regclass('ops.mail_by_claim') IS NULL THEN
        CREATE INDEX mail_by_claim ON ops.mail (claimed_at);
    END IF;
    IF to_regclass('ops.mail_newest') IS NULL THEN
        CREATE INDEX mail_newest ON ops.mail (created_at DESC);
    END IF;
END $$;
"""
STATES = [
    ("waiting", "Waiting"),
    ("sending", "Being sent"),
    ("sent", "Accepted by the mail server"),
    ("not_sent", "Not sent"),
    ("unknown", "Perhaps sent: the worker or the connection ended in between"),
    ("skipped", "Not to be sent"),
]

MAIL = migrations.CreateModel(
    name="Mail",
    fields=[
        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
        ("event", models.TextField(help_text="What caused it.", unique=True)),
        ("kind", models.TextField()),
        ("recipient_id", models.BigIntegerField()),
        ("address", models.TextField(db_default="", help_text="Where it was sent.")),
        ("context", models.JSONField(help_text="What its words are made of; emptied when it was sent.")),
        ("state", models.TextField(choices=STATES)),
        ("detail", models.TextField(db_default="")),
        ("attempts", models.PositiveSmallIntegerField(db_default=0)),
        ("created_at", models.DateTimeField(db_default=apps.events.models.ClockTimestamp())),
        ("due_at", models.DateTimeField(db_default=apps.events.models.ClockTimestamp())),
        ("claimed_at", models.DateTimeField(null=True)),
        ("finished_at", models.DateTimeField(null=True)),
    ],
    options={
        "db_table": '"ops"."mail"',
        "indexes": [
            models.Index(fields=["state", "due_at"], name="mail_by_state"),
            models.Index(fields=["claimed_at"], name="mail_by_claim"),
            models.Index(fields=["-created_at"], name="mail_newest"),
        ],
    },
)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_invitations_and_lockout"), ("events", "0002_outbox")]

    operations = [
        migrations.CreateModel(
            name="MailPreferences",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="mail_preferences",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "excuse_letters",
                    models.BooleanField(default=True, help_text="That one's own excuse letter was decided."),
                ),
                ("grades", models.BooleanField(default=True, help_text="That one's own grade of a term is final.")),
                ("daily_reports", models.BooleanField(default=True, help_text="The unit's daily report, for staff.")),
            ],
            options={"verbose_name_plural": "mail preferences"},
        ),
        migrations.RunSQL(MAIL_TABLE, migrations.RunSQL.noop, state_operations=[MAIL]),
    ]
