"""Making a backup.

    1  the lock: nobody else makes or restores one
    2  the list of tables; BEGIN REPEATABLE READ; all of them locked against being emptied; the list again, the same
    3  COPY of each table, packed, sealed, stored part by part
    4  the parts read back from the store, restored into a schema of their own, compared row for row by digests
    5  the manifest: from here on it is a backup
    6  old ones go

Killed at any point it leaves a row without an end, perhaps a schema `restore_…` and parts without a manifest; the next
one clears all three away.
"""

import base64
import contextlib
import datetime as dt
import itertools
import logging
import secrets
from collections.abc import Callable

from django.conf import settings
from psycopg import IsolationLevel
from psycopg.errors import DeadlockDetected, LockNotAvailable, UndefinedTable

from apps.operations import rules
from apps.operations.services.backups import database, tables
from apps.operations.services.backups.errors import BackupError, Busy, Refused
from apps.operations.services.backups.journal import Journal, Kind, Step
from apps.operations.services.backups.loading import schema_load, schemas_clear, scratch_schema
from apps.operations.services.backups.manifests import (
    FORMAT,
    Manifest,
    SequenceFacts,
    TableFacts,
    backup_delete,
    first_key,
    folder_of,
    made_at_text,
    manifest_write,
    manifests_list,
    orphans,
)
from apps.operations.services.backups.places import Place, place_open
from apps.operations.services.backups.sealing import SALT_BYTES, Key, Sealer
from apps.operations.services.backups.streams import BackupWriter
from core.clock import now
from core.version import VERSION

logger = logging.getLogger("rgms.backups")

_LISTS_COMPARED = 5
_ORPHAN_HOURS = 24
Tell = Callable[[str], None]


def quietly(_: str) -> None:
    """For whoever reads the journal instead."""


def nothing_to_back_up() -> bool:
    """Whether the database holds no tables of this system, as before its first deploy."""
    with contextlib.closing(database.connect()) as connection:
        return "django_migrations" not in tables.tables_of(connection, tables.LIVE)


def backup_create(*, purpose: str, entry_id: int | None = None, tell: Tell = quietly) -> Manifest:
    """Make, verify and store a backup; then remove old ones. `tell` hears what is being done, in words.

    Raises BackupError: nothing that lies there is touched unless the new one is good.
    """
    with database.alone() as control:
        journal = Journal(control, entry_id=entry_id)
        manifest = backup_write(control, journal, purpose=purpose, tell=tell)
        backups_prune(control, journal, tell=tell)
    return manifest


def backup_write(
    control: database.Connection, journal: Journal, *, purpose: str, tell: Tell = quietly, keep: str = ""
) -> Manifest:
    """As backup_create, under a lock that the caller holds, and without removing any.

    `keep` is a schema of the caller's that looks like one a killed process has left.
    """
    made_at = now()
    backup_id = rules.backup_id(made_at=made_at, purpose=purpose, chance=secrets.token_hex(3))
    with journal.step(Kind.BACKUP, purpose=purpose, backup_id=backup_id) as step:
        key = first_key()
        with place_open() as place:
            step.place = place.described
            schemas_clear(control, keep=keep)
            tell(f"Writing the backup {backup_id} to {place.described} …")
            manifest = _snapshot(place, key, backup_id=backup_id, purpose=purpose, made_at=made_at)
            _counted(step, manifest)
            tell(f"{manifest.rows:,} rows of {len(manifest.tables)} tables are stored. Restoring them on trial …")
            with journal.step(Kind.VERIFY, purpose=purpose, backup_id=backup_id, place=place.described) as verified:
                with scratch_schema(control, number=verified.id) as schema:
                    schema_load(manifest, place=place, schema=schema)
                _counted(verified, manifest)
            manifest_write(manifest, place=place, key=key)
    tell(f"The backup {backup_id} is good: {manifest.size:,} bytes.")
    return manifest


def _counted(step: Step, manifest: Manifest) -> None:
    step.counts = {"tables": len(manifest.tables), "rows": manifest.rows, "parts": len(manifest.parts)}
    step.bytes = manifest.size


def _snapshot(place: Place, key: Key, *, backup_id: str, purpose: str, made_at: dt.datetime) -> Manifest:
    salt = secrets.token_bytes(SALT_BYTES)
    with contextlib.closing(database.connect()) as connection:
        tables.refuse_large_objects(connection)
        origin = database.origin(connection)
        writer = BackupWriter(
            place=place,
            folder=folder_of(database_id=origin["database_id"], backup_id=backup_id),
            sealer=Sealer(key=key, salt=salt, backup_id=backup_id),
        )
        names = _begun(connection)
        stored = [_table(connection, writer, name) for name in names]
        migrations = connection.execute("SELECT app || '.' || name FROM django_migrations").fetchall()
        sequences = [
            SequenceFacts(
                table=sequence.table,
                column=sequence.column,
                last_value=sequence.last_value,
                is_called=sequence.is_called,
            )
            for sequence in tables.sequences_of(connection, tables.LIVE)
        ]
        connection.rollback()
        return Manifest(
            format=FORMAT,
            id=backup_id,
            purpose=purpose,
            made_at=made_at_text(made_at),
            version=VERSION,
            commit=settings.COMMIT,
            server_version=connection.info.server_version,
            origin=origin,
            migrations=sorted(name for (name,) in migrations),
            tables=stored,
            sequences=sequences,
            parts=writer.close(),
            key=key.name,
            salt=base64.b64encode(salt).decode(),
        )


def _begun(connection: database.Connection) -> list[str]:
    """The tables, in a transaction whose snapshot holds all of them. Raises Refused, Busy."""
    connection.isolation_level, connection.read_only = IsolationLevel.REPEATABLE_READ, True
    for _ in range(_LISTS_COMPARED):
        connection.autocommit = True
        listed = tables.tables_of(connection, tables.LIVE)
        if "django_migrations" not in listed:
            raise Refused("The database holds no tables of this system, so there is nothing to back up.")
        connection.autocommit = False
        try:
            tables.lock_shared(connection, listed)
        except (LockNotAvailable, DeadlockDetected) as error:
            raise Busy("A transaction keeps a table to itself (a migration?). Try again when it has ended.") from error
        except UndefinedTable:
            connection.rollback()
            continue
        if tables.tables_of(connection, tables.LIVE) == listed:
            return listed
        connection.rollback()
    raise Busy("Tables come and go while the backup begins. Try again when the migration has ended.")


def _table(connection: database.Connection, writer: BackupWriter, name: str) -> TableFacts:
    columns = tables.columns_of(connection, tables.LIVE, name)
    writer.table(name=name, columns=columns)
    digest = tables.copy_out(connection, schema=tables.LIVE, table=name, columns=columns, write=writer.rows)
    return TableFacts(name=name, columns=columns, rows=digest.rows, bytes=digest.bytes, sha256=digest.hexdigest())


def backups_prune(control: database.Connection, journal: Journal, *, tell: Tell = quietly) -> None:
    """Remove what rules.backups_to_prune gives up, of this very database. Never raises: the new backup is good."""
    try:
        with place_open() as place, journal.step(Kind.PRUNE, place=place.described) as step:
            own = _own(control, place)
            going = rules.backups_to_prune(manifest.stored for manifest in own.values())
            for backup_id in going:
                backup_delete(own[backup_id], place)
            lost = _orphans_delete(control, place)
            step.counts = {"removed": len(going), "unfinished_removed": lost, "kept": len(own) - len(going)}
            step.bytes = sum(own[backup_id].size for backup_id in going)
        if going:
            tell(f"Removed {len(going)} older backups; {len(own) - len(going)} stay.")
    except BackupError as error:
        logger.exception("Older backups could not be removed")
        tell(f"Older backups could not be removed: {error}")


def _own(control: database.Connection, place: Place) -> dict[str, Manifest]:
    """The readable backups of this very database, by id: a copy of it elsewhere may keep its own in the same place."""
    origin = database.origin(control)
    listed = manifests_list(place, database_id=origin["database_id"])
    return {one.id: one.manifest for one in listed if one.manifest is not None and one.manifest.origin == origin}


def _orphans_delete(control: database.Connection, place: Place) -> int:
    """Remove what processes that were killed have stored, and return of how many backups; younger ones may go on."""
    before = rules.backup_id(made_at=now() - dt.timedelta(hours=_ORPHAN_HOURS), purpose="", chance="")
    lost = orphans(place.names(), database_id=database.identity(control))
    going = [parts for backup_id, parts in lost.items() if backup_id < before]
    for part in itertools.chain.from_iterable(going):
        place.delete(part)
    return len(going)
