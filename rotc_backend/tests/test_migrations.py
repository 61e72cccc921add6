"""A database of the previous release comes through the migrations with all that it held, and back again.

Each step runs as a deploy runs it: a process of its own, on a database that nothing else uses.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from django.conf import settings
from psycopg.rows import dict_row

from apps.accounts.tests.factories import PASSWORD

TESTS = Path(__file__).resolve().parent
SERVICE = TESTS.parent
# The migrations of release 1.0.0 and the digests of their files: what has run somewhere must never change.
RELEASED = {
    "accounts": "0001_initial",
    "events": "0001_initial",
    "messaging": "0001_initial",
    "operations": "0001_initial",
}
DIGESTS = {
    "accounts": "8253556704bb0b1969c9b6e6d2c8a90bfc5c9a6d3e616a742be1a188db36d824",
    "events": "951cfa338771ab7201f21d99a22ce29c48d402018a3e21ccb8a97f2235a7c3f7",
    "messaging": "0fc59e417e8bdc02a6821f1167ccb0f5656f5558fd55938020bce192dcd7380f",
    "operations": "d188a7b5d44b4e62867573dcdb6d8e0836715a25bc3129dd7c764d31efc6057f",
}
NEW_APPS = ("grading", "training", "cadets")  # in the order in which they can go
FRAMEWORK = ("admin", "auth", "contenttypes", "sessions", "django_celery_beat")
OPS = ("ops.scheduled_run",)
TABLES = (
    "accounts_user",
    "accounts_session",
    "accounts_revocation",
    "accounts_tokengeneration",
    "accounts_auditentry",
    "messaging_notification",
    "event",
    "event_head",
    "operations_probe",
    *OPS,
)
_COMMANDS = """
import json, sys
import django
django.setup()
from django.core.management import call_command
for command in json.loads(sys.argv[1]):
    call_command(*command, verbosity=0)
"""
# With the hashers of production: those of the tests would not know the release's hashes.
_SIGN_IN = """
import json, sys
import django
django.setup()
from django.test import Client, override_settings
from config.settings import base
with override_settings(PASSWORD_HASHERS=base.PASSWORD_HASHERS):
    answers = {}
    for username in json.loads(sys.argv[1]):
        client = Client()
        body = {"username": username, "password": sys.argv[2]}
        answer = client.post("/api/v1/auth/login", body, content_type="application/json")
        answers[username] = [answer.status_code, answer.json()]
        if answer.status_code == 200:
            headers = {"authorization": "Bearer " + answer.json()["access"]}
            answers[username].append(client.get("/api/v1/notifications", headers=headers).json())
print(json.dumps(answers))
"""


@dataclass(frozen=True, kw_only=True)
class Database:
    url: str

    def migrate(self, *commands: tuple[str, ...]) -> None:
        """Run `migrate` with each tuple of arguments, in one process."""
        self._run(_COMMANDS, json.dumps([("migrate", "--no-input", *command) for command in commands]))

    def manage(self, *command: str) -> None:
        self._run(_COMMANDS, json.dumps([command]))

    def sign_in(self, *usernames: str) -> dict[str, Any]:
        """[status, answer, own notifications] by username."""
        answers: dict[str, Any] = json.loads(self._run(_SIGN_IN, json.dumps(usernames), PASSWORD).splitlines()[-1])
        return answers

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """All rows of the released tables."""
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            return {table: connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in TABLES}  # noqa: S608

    def tables(self) -> set[str]:
        with psycopg.connect(self.url) as connection:
            found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            return {name for (name,) in found}

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env={**os.environ, "DATABASE_URL": self.url, "LOG_LEVEL": "ERROR"},
            cwd=SERVICE,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def empty_database() -> Iterator[Database]:
    server = settings.DATABASES["default"]
    account = f"{quote(server['USER'])}:{quote(server['PASSWORD'])}"
    address = f"postgresql://{account}@{server['HOST']}:{server['PORT']}"
    name = f"rgms_released_{os.getpid()}"
    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield Database(url=f"{address}/{name}")
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@dataclass(frozen=True, kw_only=True)
class Journey:
    """The same database at four times: as released, brought forward, taken back, and forward again."""

    database: Database
    released: Mapping[str, list[dict[str, Any]]]
    forward: Mapping[str, list[dict[str, Any]]]
    tables_forward: set[str]
    back: Mapping[str, list[dict[str, Any]]]
    tables_back: set[str]
    tables_released: set[str]
    again: Mapping[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def journey(empty_database: Database) -> Journey:
    database = empty_database
    database.migrate(*RELEASED.items(), *[(name,) for name in FRAMEWORK])
    with psycopg.connect(database.url) as connection:
        connection.execute((TESTS / "release_1_0_0.sql").read_text().encode())
    released, tables_released = database.rows(), database.tables()
    database.migrate(())
    forward, tables_forward = database.rows(), database.tables()
    database.migrate(*[(name, "zero") for name in NEW_APPS], *reversed(RELEASED.items()))
    back, tables_back = database.rows(), database.tables()
    database.migrate(())
    return Journey(
        database=database,
        released=released,
        tables_released=tables_released,
        forward=forward,
        tables_forward=tables_forward,
        back=back,
        tables_back=tables_back,
        again=database.rows(),
    )


def test_no_released_migration_was_changed() -> None:
    found = {
        name: hashlib.sha256((SERVICE / "apps" / name / "migrations" / f"{file}.py").read_bytes()).hexdigest()
        for name, file in RELEASED.items()
    }
    assert found == DIGESTS, "add a migration instead: databases exist on which this one has run"


def test_rows_of_the_release_are_all_there_and_unchanged_after_migrating(journey: Journey) -> None:
    assert sum(len(rows) for rows in journey.released.values()) >= 20
    assert kept(journey.released, journey.forward) == journey.released


def kept(before: Mapping[str, list[dict[str, Any]]], after: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The rows of `after`, reduced to the columns that `before` has: new columns are allowed, lost ones are not."""
    return {
        table: [{column: row[column] for column in rows[0] if column in row} for row in after[table]]
        for table, rows in before.items()
    }


def test_the_new_tables_come_with_their_first_rows(journey: Journey) -> None:
    added = journey.tables_forward - journey.tables_released
    assert {"cadets_cadet", "training_attendancerecord", "grading_gradesheet"} <= added
    with psycopg.connect(journey.database.url) as connection:
        companies = connection.execute("SELECT name FROM cadets_company ORDER BY position").fetchall()
        policies = connection.execute("SELECT term_id, failing_equivalent FROM grading_gradingpolicy").fetchall()
    assert [name for (name,) in companies] == ["Alpha", "Bravo", "Charlie", "Delta", "HQSCOY"]
    assert policies == [(None, "5.00")]


def test_the_migrations_go_back_to_the_release_without_losing_its_rows(journey: Journey) -> None:
    assert journey.tables_back == journey.tables_released
    # The schema `ops` is left as it is on the way back: what stands there must outlive any exchange of the tables.
    assert {table: rows for table, rows in journey.back.items() if table not in OPS} == {
        table: rows for table, rows in journey.released.items() if table not in OPS
    }
    assert kept(journey.released, journey.back) == journey.released


def test_what_went_back_comes_forward_again(journey: Journey) -> None:
    assert kept(journey.released, journey.again) == journey.released
    journey.database.manage("migrate", "--check")


def test_people_of_the_release_sign_in_to_the_new_code(journey: Journey) -> None:
    answers = journey.database.sign_in("amina", "RAMON", "liza", "2026-00007", "omar")
    codes = {name: (answer[0], answer[1].get("code")) for name, answer in answers.items()}
    assert codes == {
        "amina": (200, None),
        "RAMON": (200, None),
        "liza": (200, None),
        "2026-00007": (403, "account_pending"),
        "omar": (403, "account_archived"),
    }
    assert answers["liza"][1]["user"]["id"] == 13
    assert [notification["id"] for notification in answers["liza"][2]["results"]] == [42, 41]
