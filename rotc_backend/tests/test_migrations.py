"""A database of each previous release comes through the migrations with all that it held, and back again.

Each step runs as a deploy runs it: a process of its own, on a database that nothing else uses.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
# Every migration that a release has brought, with the digest of its file: what has run somewhere must never change.
DIGESTS = {
    "accounts/0001_initial": "8253556704bb0b1969c9b6e6d2c8a90bfc5c9a6d3e616a742be1a188db36d824",
    "accounts/0002_invitations_and_lockout": "194ca8cf16f8ed1db2e3bb294a5b90251367b0b032838e144d3344ac509bbb02",
    "cadets/0001_initial": "83f7652950475bcdaf5b343cde8c197bc924116cd61e93b30d7e522352274ae2",
    "cadets/0002_lists": "f78116cb11d4dd4aca0806a72f2968cd5188847d10b01de75a3fa320a7aa6e67",
    "events/0001_initial": "951cfa338771ab7201f21d99a22ce29c48d402018a3e21ccb8a97f2235a7c3f7",
    "grading/0001_initial": "f84ce260a19ec7d142308daf493ec59944ca1929ff879fdc71465fdd88322708",
    "grading/0002_default_policy": "520d2e994c9a110e525e5b0210b6eacb853a2d7973a16ee9855bf640f5b56c5d",
    "messaging/0001_initial": "0fc59e417e8bdc02a6821f1167ccb0f5656f5558fd55938020bce192dcd7380f",
    "messaging/0002_rooms_announcements": "f9e20a41b0e1a8c67b05bd161e6fd48a337685a39656827121e6b68043319042",
    "operations/0001_initial": "d188a7b5d44b4e62867573dcdb6d8e0836715a25bc3129dd7c764d31efc6057f",
    "operations/0002_scheduled_run_crontab": "abb9478c9d2debf0cae9e1d3db8ea075ef9c5543207cf8e703737b146224b003",
    "training/0001_initial": "948780f5a356f04e1e48d1066f9adbd3b9f458c4adf9ae93fc56ae43016ffa6c",
}
FRAMEWORK = ("admin", "auth", "contenttypes", "sessions", "django_celery_beat")
OPS = ("ops.scheduled_run",)


@dataclass(frozen=True, kw_only=True)
class Release:
    """Where its migrations ended, the apps that came after it in the order in which they can go, and rows it wrote.

    `tables` are those whose rows are followed.
    """

    number: str
    migrations: Mapping[str, str]
    later_apps: tuple[str, ...]
    tables: tuple[str, ...]
    least_rows: int

    @property
    def statements(self) -> bytes:
        return (TESTS / f"release_{self.number.replace('.', '_')}.sql").read_bytes()


RELEASES = (
    Release(
        number="1.0.0",
        migrations=dict.fromkeys(("accounts", "events", "messaging", "operations"), "0001_initial"),
        later_apps=("reports", "imports", "grading", "training", "cadets", "pictures"),
        tables=(
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
        ),
        least_rows=20,
    ),
    Release(
        number="1.1.0",
        migrations={
            "accounts": "0002_invitations_and_lockout",
            "cadets": "0002_lists",
            "events": "0001_initial",
            "grading": "0002_default_policy",
            "messaging": "0002_rooms_announcements",
            "operations": "0002_scheduled_run_crontab",
            "training": "0001_initial",
        },
        later_apps=("reports", "imports", "pictures"),
        tables=(
            "accounts_attempts",
            "accounts_auditentry",
            "accounts_invitation",
            "accounts_passwordreset",
            "accounts_revocation",
            "accounts_session",
            "accounts_tokengeneration",
            "accounts_user",
            "cadets_cadet",
            "cadets_company",
            "cadets_enrollment",
            "cadets_platoon",
            "cadets_staffprofile",
            "cadets_term",
            "event",
            "event_head",
            "grading_adjustment",
            "grading_examscore",
            "grading_gradesheet",
            "grading_gradingpolicy",
            "grading_meritdemerit",
            "messaging_announcement",
            "messaging_announcementphoto",
            "messaging_message",
            "messaging_notification",
            "messaging_readmark",
            "messaging_room",
            "operations_probe",
            "training_attendancerecord",
            "training_excuseletter",
            "training_staffattendancerecord",
            "training_trainingday",
            *OPS,
        ),
        least_rows=200,
    ),
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
            answers[username] += [client.get(path, headers=headers).json() for path in sys.argv[3:]]
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

    def sign_in(self, *usernames: str, read: Sequence[str] = ()) -> dict[str, Any]:
        """[status, answer, what each of the paths then answered] by username."""
        output = self._run(_SIGN_IN, json.dumps(usernames), PASSWORD, *read)
        answers: dict[str, Any] = json.loads(output.splitlines()[-1])
        return answers

    def rows(self, tables: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            return {table: connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in tables}  # noqa: S608

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


@contextmanager
def empty_database(name: str) -> Iterator[Database]:
    server = settings.DATABASES["default"]
    account = f"{quote(server['USER'])}:{quote(server['PASSWORD'])}"
    address = f"postgresql://{account}@{server['HOST']}:{server['PORT']}"
    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield Database(url=f"{address}/{name}")
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@dataclass(frozen=True, kw_only=True)
class Journey:
    """The same database at four times: as released, brought forward, taken back, and forward again."""

    release: Release
    database: Database
    released: Mapping[str, list[dict[str, Any]]]
    forward: Mapping[str, list[dict[str, Any]]]
    tables_forward: set[str]
    back: Mapping[str, list[dict[str, Any]]]
    tables_back: set[str]
    tables_released: set[str]
    again: Mapping[str, list[dict[str, Any]]]


@pytest.fixture(scope="module", params=RELEASES, ids=lambda release: release.number)
def journey(request: pytest.FixtureRequest) -> Iterator[Journey]:
    release: Release = request.param
    with empty_database(f"rgms_{release.number}_{os.getpid()}") as database:
        yield travel(release, database)


def travel(release: Release, database: Database) -> Journey:
    database.migrate(*release.migrations.items(), *[(name,) for name in FRAMEWORK])
    with psycopg.connect(database.url) as connection:
        connection.execute(release.statements)
    released, tables_released = database.rows(release.tables), database.tables()
    database.migrate(())
    forward, tables_forward = database.rows(release.tables), database.tables()
    database.migrate(*[(name, "zero") for name in release.later_apps], *reversed(list(release.migrations.items())))
    back, tables_back = database.rows(release.tables), database.tables()
    database.migrate(())
    return Journey(
        release=release,
        database=database,
        released=released,
        tables_released=tables_released,
        forward=forward,
        tables_forward=tables_forward,
        back=back,
        tables_back=tables_back,
        again=database.rows(release.tables),
    )


def test_no_released_migration_was_changed() -> None:
    found = {}
    for name in DIGESTS:
        app, _, file = name.partition("/")
        content = (SERVICE / "apps" / app / "migrations" / f"{file}.py").read_bytes()
        found[name] = hashlib.sha256(content).hexdigest()
    assert found == DIGESTS, "add a migration instead: databases exist on which this one has run"


def test_the_migrations_of_every_release_have_a_digest() -> None:
    last = {f"{app}/{file}" for release in RELEASES for app, file in release.migrations.items()}
    assert sorted(last - set(DIGESTS)) == []


def test_rows_of_the_release_are_all_there_and_unchanged_after_migrating(journey: Journey) -> None:
    assert [table for table, rows in journey.released.items() if not rows] == []
    assert sum(map(len, journey.released.values())) >= journey.release.least_rows
    assert kept(journey.released, journey.forward) == journey.released


def kept(before: Mapping[str, list[dict[str, Any]]], after: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The rows of `after`, reduced to the columns that `before` has: new columns are allowed, lost ones are not."""
    return {
        table: [{column: row[column] for column in rows[0] if column in row} for row in after[table]]
        for table, rows in before.items()
    }


def test_the_new_tables_come_with_their_first_rows(journey: Journey) -> None:
    added = journey.tables_forward - journey.tables_released
    assert {"training_scan", "imports_importrun", "reports_report"} <= added
    if journey.release.number != "1.0.0":
        return
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
    sign_in, read = journey.database.sign_in, ["/api/v1/notifications"]
    if journey.release.number == "1.0.0":
        answers = sign_in("amina", "RAMON", "liza", "2026-00007", "omar", read=read)
        expected = {
            "amina": (200, None),
            "RAMON": (200, None),
            "liza": (200, None),
            "2026-00007": (403, "account_pending"),
            "omar": (403, "account_archived"),
        }
        person, notifications = 13, [42, 41]
    else:
        answers = sign_in("amina", "RAMON", "liza", "wahid", "salazar", read=read)
        expected = {
            "amina": (200, None),
            "RAMON": (200, None),
            "liza": (200, None),
            "wahid": (403, "account_pending"),
            "salazar": (403, "account_archived"),
        }
        person, notifications = 3, [16, 1]
    assert {name: (answer[0], answer[1].get("code")) for name, answer in answers.items()} == expected
    assert answers["liza"][1]["user"]["id"] == person
    assert [notification["id"] for notification in answers["liza"][2]["results"]] == notifications


# Release 1.0.0 has no grades.
@pytest.mark.parametrize("journey", RELEASES[1:], ids=lambda release: release.number, indirect=True)
def test_what_the_release_recorded_and_froze_gives_the_same_grades_in_the_new_code(journey: Journey) -> None:
    standing, attendance = journey.database.sign_in(
        "liza", read=["/api/v1/cadets/me/standing", "/api/v1/cadets/me/attendance"]
    )["liza"][2:]
    # Without what changes as days of the term go by.
    assert (standing["aptitude"]["points"], standing["aptitude"]["merits_unused"]) == ("30.00", 5)
    assert (standing["subject"]["computed"], standing["subject"]["points"]) == ("33.40", "34.65")
    assert standing["subject"]["exams"] == {"prelim": "85.00", "midterm": "77.25", "final": "88.25"}
    assert attendance["totals"]["excused"] == 1
    records = [day["record"] for day in attendance["days"] if day["record"]]
    assert [(record["status"], record["source"], record["remarks"]) for record in records] == [
        ("excused", "sync", "Macaraeg had a fever.")
    ]
    day, verification = journey.database.sign_in(
        "amina", read=["/api/v1/training-days/1", "/api/v1/terms/3/verification"]
    )["amina"][2:]
    assert (day["location"], day["late_after"]) == ("Parade ground", None)
    assert (verification["in_force"], verification["sound"], verification["findings"]) == (1, True, [])
