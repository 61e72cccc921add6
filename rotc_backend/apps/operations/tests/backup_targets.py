"""Databases of their own for tests that restore, and the commands as somebody on call runs them."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from django.conf import settings

SERVICE = Path(__file__).resolve().parents[3]
RELEASED = SERVICE / "tests" / "release_1_0_0.sql"
FRAMEWORK = ("admin", "auth", "contenttypes", "sessions", "django_celery_beat")
STATE = dict.fromkeys(("accounts", "events", "messaging", "operations"), "0001_initial")

_MIGRATE = """
import json, sys
import django
django.setup()
from django.core.management import call_command
for command in json.loads(sys.argv[1]):
    call_command("migrate", "--no-input", *command, verbosity=0)
"""
# Ends as kill -9 ends it, before or after a function that the command calls.
_KILLED = """
import importlib, os, signal, sys
import django
django.setup()
place, moment, *command = sys.argv[1:]
module, _, name = place.partition(":")
owner = importlib.import_module("apps.operations.services.backups." + module)
*path, last = name.split(".")
for step in path:
    owner = getattr(owner, step)
real = getattr(owner, last)
def dying(*arguments, **options):
    if moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, last, dying)
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", *command])
"""


@dataclass(frozen=True, kw_only=True)
class Done:
    code: int
    output: str


@dataclass(kw_only=True)
class Target:
    """A database, and a directory with backups. `variables` are further ones of the environment."""

    url: str
    place: Path
    key: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    variables: dict[str, str] = field(default_factory=dict)

    def backup(self, *options: str) -> Done:
        return self.run("scripts/backup_database.py", *options)

    def rollback(self, *options: str) -> Done:
        return self.run("scripts/rollback_migration.py", *options)

    def backup_id(self) -> str:
        """Of a new backup, which must succeed."""
        before = set(self.backup_ids())
        done = self.backup()
        assert done.code == 0, done.output
        (new,) = set(self.backup_ids()) - before
        return new

    def backup_ids(self) -> list[str]:
        return sorted(manifest.parent.name for manifest in self.place.rglob("manifest.json"))

    def killed(self, where: str, moment: str, *command: str) -> None:
        """Run a command that is killed there, and must have come there."""
        done = self.run("-c", _KILLED, where, moment, *command)
        assert done.code == -9, f"{where} was never reached: {done.output}"

    def migrate(self, *commands: Sequence[str]) -> None:
        done = self.run("-c", _MIGRATE, json.dumps(commands))
        assert done.code == 0, done.output

    def run(self, *command: str) -> Done:
        done = subprocess.run(
            [sys.executable, *command],
            env={
                **os.environ,
                "DATABASE_URL": self.url,
                "BACKUP_URL": f"file://{self.place}",
                "BACKUP_ENCRYPTION_KEY": self.key,
                "LOG_LEVEL": "ERROR",
                **self.variables,
            },
            cwd=SERVICE,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        return Done(code=done.returncode, output=done.stdout)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def schemas(self, prefix: str) -> list[str]:
        found = self.sql("SELECT nspname FROM pg_namespace ORDER BY oid")
        return [name for (name,) in found if name.startswith(prefix)]

    def usernames(self) -> list[str]:
        return [name for (name,) in self.sql("SELECT username FROM accounts_user ORDER BY id")]

    def add_user(self, username: str) -> None:
        """A new row that no backup has, by the sequence."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO accounts_user (username, password, email, first_name, last_name, role, status, "
                "token_version) VALUES (%s, '', '', '', '', 'cadet', 'approved', 1)",
                [username],
            )


def server_address(database: str) -> str:
    server = settings.DATABASES["default"]
    return (
        f"postgresql://{quote(server['USER'])}:{quote(server['PASSWORD'])}@{server['HOST']}:{server['PORT']}/{database}"
    )


@contextmanager
def database_of_its_own(name: str, *, template: str = "template1") -> Iterator[str]:
    """The URL of a new database, a copy of `template`, which nobody may use at the time."""
    with psycopg.connect(server_address("postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        try:
            yield server_address(name)
        finally:
            _drop(connection, name)


def _drop(connection: "psycopg.Connection[Any]", name: str) -> None:
    """With its connections; only an autovacuum that is just at work there cannot be ended, and soon ends by itself."""
    for _ in range(50):
        with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
            return
        time.sleep(0.2)
    raise AssertionError(f"{name} cannot be dropped")


@contextmanager
def released_database(name: str) -> Iterator[str]:
    """The name of a database of release 1.0.0, with rows that it has written: few migrations, so quick to lay out."""
    with database_of_its_own(name) as url:
        target = Target(url=url, place=Path("/nowhere"), variables={"BACKUP_URL": "", "BACKUP_ENCRYPTION_KEY": ""})
        target.migrate(*STATE.items(), *[(app,) for app in FRAMEWORK])
        with psycopg.connect(url) as connection:
            connection.execute(RELEASED.read_bytes())
        yield name
