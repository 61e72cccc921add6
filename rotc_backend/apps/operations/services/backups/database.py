"""Connections of their own for backups: straight to the server, and one of them alone at work."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from psycopg.rows import TupleRow

from apps.operations import rules
from apps.operations.selectors import DATABASE_IDENTITY
from apps.operations.services.backups.errors import Busy, DatabaseAway, Refused

Connection = psycopg.Connection[TupleRow]
_DEFAULT = "default"
_LOCK = 7_208_832  # a backup and a restore at the same time, or two of one kind, would work on each other's tables
_LOCK_SECONDS = 10  # a server takes a moment to notice that a process was killed
_CONNECT_SECONDS = 10
# They decide on the bytes that COPY writes, and so on the digests: every connection has the same ones.
_PINNED = (
    "SET TIME ZONE 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; "
    "SET extra_float_digits = 1; SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; "
    "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET row_security = off"
)


def _settings() -> dict[str, Any]:
    """Django's settings of the database, by the address that leads through no pooler."""
    own = connections[_DEFAULT].settings_dict
    return {**own, **settings.DATABASE_DIRECT, "OPTIONS": {**own["OPTIONS"], **direct_options()}}


def direct_options() -> Mapping[str, Any]:
    found: Mapping[str, Any] = settings.DATABASE_DIRECT.get("OPTIONS", {})
    return found


def connect() -> Connection:
    """A connection with pinned settings, whose statements may take as long as they like. Raises DatabaseAway."""
    where = _settings()
    parameters = {
        "dbname": where["NAME"],
        "user": where["USER"],
        "password": where["PASSWORD"],
        "host": where["HOST"],
        "port": where["PORT"],
        **where["OPTIONS"],
        "connect_timeout": _CONNECT_SECONDS,
    }
    # A server that is busy with what COPY has sent may leave more of it unread for longer than a request would wait.
    parameters.pop("tcp_user_timeout", None)
    try:
        connection = psycopg.connect(
            autocommit=True, **{name: value for name, value in parameters.items() if value not in {"", None}}
        )
    except psycopg.OperationalError as error:
        raise DatabaseAway(
            "The database cannot be reached. Look at DATABASE_URL and DATABASE_DIRECT_URL, and whether the server "
            "lets this address in."
        ) from error
    connection.execute(_PINNED)
    return connection


@contextlib.contextmanager
def alone() -> Iterator[Connection]:
    """A connection that holds the lock of backups and restores while the block lasts. Raises Busy, Refused.

    The server gives the lock back when the connection ends, also that of a process that was killed.
    """
    with contextlib.closing(connect()) as control:
        identity(control)
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _locked(control):
            if time.monotonic() > deadline:
                raise Busy("Another backup or restore is at work on this database. Try again when it has ended.")
            time.sleep(0.5)
        _refuse_another_database(control)
        yield control


def _locked(control: Connection) -> bool:
    row = control.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
    return bool(row and row[0])


def _refuse_another_database(control: Connection) -> None:
    if not settings.DATABASE_DIRECT:
        return
    with connections[_DEFAULT].cursor() as cursor:
        cursor.execute(DATABASE_IDENTITY)
        row = cursor.fetchone()
    if row is None or row[0] != identity(control):
        raise Refused("DATABASE_DIRECT_URL and DATABASE_URL lead to two different databases. Correct one of them.")


def identity(connection: Connection) -> str:
    """The database's own id, as operations status shows it. Raises Refused for a database that has none."""
    try:
        row = connection.execute(DATABASE_IDENTITY.encode()).fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    if row is None:
        raise Refused(
            "This database has no schema `ops`, so it is none of this system, or an empty one. "
            "Run `python manage.py migrate --noinput` on it first."
        )
    return str(row[0])


def origin(connection: Connection) -> dict[str, str]:
    """Which database this is: what a backup notes, and what a restore compares."""
    where = _settings()
    return {
        "database_id": identity(connection),
        "server": rules.server_label(str(where["HOST"])),
        "database": str(where["NAME"]),
    }


@contextlib.contextmanager
def default_within(schema: str) -> Iterator[Any]:
    """Let Django's default connection, in this thread, see the tables of `schema` and no others, while the block lasts.

    The default one, since migrations that write rows go by it, whatever connection migrates: by a second one their
    first companies and policies would land in the live tables.
    """
    where = _settings()
    given = str(where["OPTIONS"].get("options", ""))
    options = {
        **where["OPTIONS"],
        "options": f"{given} -c search_path={schema},extensions -c statement_timeout=0 -c lock_timeout=0".strip(),
    }
    living = connections[_DEFAULT]
    standing_in = type(living)({**where, "OPTIONS": options}, _DEFAULT)
    connections[_DEFAULT] = standing_in
    try:
        with standing_in.cursor() as cursor:
            cursor.execute("SELECT current_schema()")
            if cursor.fetchone() != (schema,):
                raise Refused("The server does not keep to a search_path of our own: it is reached through a pooler.")
        yield standing_in
    finally:
        # First of all: a task's time may run out here, and the process's next task must not find the schema's tables.
        connections[_DEFAULT] = living
        standing_in.close()
