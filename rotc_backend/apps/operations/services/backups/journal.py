"""The journal of backups and restores: a row for each step, written when it begins and when it ends.

It stands in `ops`, which no restore replaces, and is written on the connection that holds the lock: a row without an
end, seen by whoever holds the lock, is one of a process that was killed.
"""

import contextlib
import importlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from apps.operations.models import JournalEntry
from apps.operations.services.backups.database import Connection
from apps.operations.services.backups.errors import BackupError

Kind, Outcomes = JournalEntry.Kind, JournalEntry.Outcomes
_BEGIN = """
INSERT INTO ops.journal (run, kind, purpose, backup_id, place, started_at)
VALUES (%s, %s, %s, %s, %s, clock_timestamp()) RETURNING id
"""
_BEGIN_ASKED = """
UPDATE ops.journal SET run = %s, started_at = clock_timestamp(), backup_id = %s, place = %s, finished_at = NULL,
    outcome = NULL, detail = ''
WHERE id = %s RETURNING id
"""
_END = """
UPDATE ops.journal SET finished_at = clock_timestamp(), outcome = %s, counts = %s, bytes = %s, backup_id = %s,
    place = %s, detail = %s
WHERE id = %s AND finished_at IS NULL
"""
_INTERRUPTED = """
UPDATE ops.journal SET finished_at = clock_timestamp(), outcome = 'interrupted',
    detail = 'The process ended before this step did.'
WHERE started_at IS NOT NULL AND finished_at IS NULL AND id IS DISTINCT FROM %s
"""


@dataclass(kw_only=True)
class Step:
    """What a step will have said when it ends. `run` holds the steps of one command together."""

    id: int
    run: uuid.UUID
    backup_id: str = ""
    place: str = ""
    bytes: int = 0
    detail: str = ""
    counts: dict[str, int] = field(default_factory=dict)


class Journal:
    """The steps of one command, on the connection that holds the lock."""

    def __init__(self, control: Connection, *, entry_id: int | None = None) -> None:
        """`entry_id`: the row with which somebody has asked for this, which the first step takes over."""
        self.run = uuid.uuid4()
        self._control = control
        self._asked = entry_id
        # Before a deploy the new code makes a backup of the old tables, which may not have the journal yet.
        migration = importlib.import_module("apps.operations.migrations.0004_journal")
        control.execute(migration.JOURNAL.encode())
        control.execute(_INTERRUPTED, [entry_id])

    @contextlib.contextmanager
    def step(self, kind: str, *, purpose: str = "", backup_id: str = "", place: str = "") -> Iterator[Step]:
        """A row for what the block does; an error ends it as failed, in the error's words, and goes on."""
        if self._asked is not None:
            row = self._control.execute(_BEGIN_ASKED, [self.run, backup_id, place, self._asked]).fetchone()
            self._asked = None
        else:
            row = self._control.execute(_BEGIN, [self.run, kind, purpose, backup_id, place]).fetchone()
        if row is None:
            raise BackupError("The row with which the backup was asked for is gone. Ask again.")
        step = Step(id=row[0], run=self.run, backup_id=backup_id, place=place)
        try:
            yield step
        except BaseException as error:
            # An error of ours is written for people; of another one only its kind, since its text may hold data.
            step.detail = str(error) if isinstance(error, BackupError) else f"{type(error).__name__}."
            with contextlib.suppress(psycopg.Error):
                self.end(step, Outcomes.FAILED)
            raise
        self.end(step, Outcomes.SUCCEEDED)

    def end(self, step: Step, outcome: str) -> None:
        """Also earlier than the block does, to end together with what else a transaction writes."""
        self._control.execute(
            _END, [outcome, Jsonb(step.counts), step.bytes, step.backup_id, step.place, step.detail, step.id]
        )


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """The last exchange of tables. `kept` is the schema that holds what was live before it."""

    id: int
    kind: str
    backup_id: str
    kept: str
    at: Any
    is_settled: bool


def last_exchange(control: Connection) -> Exchange | None:
    row = control.execute(
        "SELECT x.id, x.kind, x.backup_id, x.place, x.finished_at, EXISTS ("
        "  SELECT FROM ops.journal s WHERE s.kind = 'settle' AND s.outcome = 'succeeded' AND s.id > x.id) "
        "FROM ops.journal x WHERE x.kind IN ('swap', 'undo') AND x.outcome = 'succeeded' ORDER BY x.id DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    return Exchange(id=row[0], kind=row[1], backup_id=row[2], kept=row[3], at=row[4], is_settled=row[5])
