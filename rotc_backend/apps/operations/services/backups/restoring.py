"""Going back: to a backup, from a restore, or to the migrations of an earlier release.

    1  the lock; what a killed process left is cleared away, an exchange that was not finished is finished first
    2  everything that could refuse is asked: the backup's origin, its code, the services, the tables
    3  the backup is loaded into restore_N and compared (loading)
    4  a backup of the live data, as good as any other (writing)
    5  the exchange (exchanging); the former tables stay in old_N
    6  what an exchange leaves to do: cache, queue, soundness (settle)

Nothing that is live changes before 5, and 5 is one transaction. Killed anywhere, the same command goes on.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.db import Error as DjangoDatabaseError
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from apps.operations import selectors
from apps.operations.rules import SAFETY
from apps.operations.services.backups import database, tables
from apps.operations.services.backups.conditions import Permissions, refuse_running
from apps.operations.services.backups.errors import Refused, Unfinished
from apps.operations.services.backups.exchanging import exchange, exchange_refuse, names_of_old
from apps.operations.services.backups.journal import Exchange, Journal, Kind, last_exchange
from apps.operations.services.backups.loading import refuse_unknown_state, schema_load, schema_name, schemas_clear
from apps.operations.services.backups.manifests import Manifest, manifest_find
from apps.operations.services.backups.places import Place, place_open
from apps.operations.services.backups.settling import Settled, settle
from apps.operations.services.backups.writing import Tell, backup_write, quietly

_NOTHING_TO_UNDO = "No tables were ever exchanged on this database, so there is nothing to undo."


@dataclass(frozen=True, kw_only=True)
class Restored:
    """`kept` is the schema that holds the former tables; `safety` the backup made of them, if one was made."""

    kept: str
    settled: Settled
    safety: str = ""
    findings: Sequence[Mapping[str, Any]] = field(default=())
    migrations: Mapping[str, list[str]] = field(default_factory=dict)


def restore_preview(backup_id: str, permissions: Permissions) -> Manifest | None:
    """The backup, if nothing speaks against restoring it here and now; None when only its last steps are left to do.

    Changes nothing. Raises BackupError.
    """
    with database.alone() as control:
        Journal(control)
        last = last_exchange(control)
        if last is not None and not last.is_settled and (last.kind, last.backup_id) == (Kind.SWAP, backup_id):
            return None
        with place_open() as place:
            return _refused_or_found(control, place, backup_id, permissions)


def restore(*, backup_id: str, permissions: Permissions, tell: Tell = quietly) -> Restored:
    """Make a backup the live data. Raises BackupError; Unfinished after the exchange only."""
    with database.alone() as control:
        journal = Journal(control)
        last = last_exchange(control)
        if last is not None and not last.is_settled:
            if (last.kind, last.backup_id) != (Kind.SWAP, backup_id):
                raise _unsettled(last)
            tell("The tables were exchanged before this command was interrupted; finishing.")
            return _settled(control, journal, kept=last.kept, tell=tell)
        with place_open() as place, _nothing_left_on_failure(control):
            manifest = _refused_or_found(control, place, backup_id, permissions)
            schemas_clear(control)
            schema, findings = _loaded(control, journal, manifest, place=place, tell=tell)
            tell("All rows came back as they were stored.")
            safety = ""
            if not permissions.without_safety:
                tell("Making a backup of the live data first …")
                safety = backup_write(control, journal, purpose=SAFETY, tell=tell, keep=schema).id
            refuse_running(control, permissions)  # again: somebody may have started one meanwhile
            with journal.step(Kind.SWAP, backup_id=backup_id) as step:
                exchange_refuse(control, incoming=tables.tables_of(control, schema))
                step.counts = {"tables": len(manifest.tables), "rows": manifest.rows}
                kept = exchange(control, journal, step, incoming=schema)
        tell(f"The tables are exchanged. The former ones are in the schema {kept}.")
        return _settled(control, journal, kept=kept, tell=tell, safety=safety, findings=findings)


@contextlib.contextmanager
def _nothing_left_on_failure(control: database.Connection) -> Iterator[None]:
    """A copy that nobody will use takes as much room as the live tables."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(psycopg.Error):  # then the next one clears it away
            schemas_clear(control)
        raise


def _loaded(
    control: database.Connection, journal: Journal, manifest: Manifest, *, place: Place, tell: Tell
) -> tuple[str, list[Mapping[str, Any]]]:
    """The schema that holds the backup now, and what the integrity checks say of it."""
    with journal.step(Kind.LOAD, backup_id=manifest.id, place=place.described) as step:
        schema = schema_name(step.id)
        tell(f"Restoring {manifest.rows:,} rows into the schema {schema}, beside the live tables …")
        control.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        schema_load(manifest, place=place, schema=schema)
        findings = _findings(manifest, schema)
        step.counts = {"tables": len(manifest.tables), "rows": manifest.rows, "findings": len(findings)}
        step.bytes = manifest.size
    return schema, findings


def undo_preview() -> str:
    """In words, what `undo` would do now. Changes nothing. Raises BackupError."""
    with database.alone() as control:
        Journal(control)
        last = last_exchange(control)
    if last is None:
        raise Refused(_NOTHING_TO_UNDO)
    if last.kind == Kind.UNDO and not last.is_settled:
        return "The tables were exchanged back before the command was interrupted; the rest of the work is done now."
    if last.kind == Kind.UNDO:
        return (
            f"A restore was taken back at {last.at:%Y-%m-%d %H:%M} UTC. This is the reverse: the tables of that "
            f"restore ({last.kept}) become the live data again, and the present ones go aside."
        )
    return (
        "The tables of the last restore go aside, and those from before it come back; what was written since is not in "
        "them."
    )


def undo(*, permissions: Permissions, tell: Tell = quietly) -> Restored:
    """Exchange the live tables for those that the last exchange put aside. Raises BackupError."""
    with database.alone() as control:
        journal = Journal(control)
        last = last_exchange(control)
        if last is None:
            raise Refused(_NOTHING_TO_UNDO)
        if not last.is_settled:
            tell("The last exchange was interrupted before it was finished; finishing.")
            finished = _settled(control, journal, kept=last.kept, tell=tell)
            if last.kind == Kind.UNDO:
                return finished
        if last.kept not in names_of_old(control):
            raise Refused(f"The schema {last.kept}, which held the former tables, is gone. Restore a backup instead.")
        refuse_running(control, permissions)
        with journal.step(Kind.UNDO, backup_id=last.backup_id) as step:
            incoming = tables.tables_of(control, last.kept)
            exchange_refuse(control, incoming=incoming)
            step.counts = {"tables": len(incoming)}
            kept = exchange(control, journal, step, incoming=last.kept)
        tell(f"The tables are exchanged back. Those of the restore are in the schema {kept}.")
        return _settled(control, journal, kept=kept, tell=tell)


def _unsettled(last: Exchange) -> Unfinished:
    command = "--undo" if last.kind == Kind.UNDO else f"--backup {last.backup_id}"
    return Unfinished(f"An exchange of tables was interrupted. Finish it first: rollback_migration.py {command}")


def _settled(
    control: database.Connection,
    journal: Journal,
    *,
    kept: str,
    tell: Tell,
    safety: str = "",
    findings: Sequence[Mapping[str, Any]] = (),
) -> Restored:
    try:
        with journal.step(Kind.SETTLE, place=kept) as step:
            settled = settle(control)
            migrations = selectors.migrations()
            step.counts = {"cache_keys": settled.cache_keys, "queued": settled.queued, "outbox": settled.outbox}
    except (psycopg.Error, DjangoDatabaseError) as error:
        raise Unfinished(
            f"The tables are exchanged, but the database broke off the work after it ({type(error).__name__}). Run the "
            "same command again, before the services start."
        ) from error
    tell(f"Cleared {settled.cache_keys} keys of the cache.")
    return Restored(kept=kept, settled=settled, safety=safety, findings=findings, migrations=migrations)


def _refused_or_found(control: database.Connection, place: Place, backup_id: str, permissions: Permissions) -> Manifest:
    manifest = manifest_find(place, backup_id)
    refuse_unknown_state(manifest)
    here = database.origin(control)
    if manifest.origin != here and not permissions.other_origin:
        raise Refused(
            f"The backup is of the database {_named(manifest.origin)}; this is {_named(here)}. "
            "If that is what you want, say so with --other-database."
        )
    tables.refuse_large_objects(control)
    exchange_refuse(control, incoming=[table.name for table in manifest.tables])
    refuse_running(control, permissions)
    return manifest


def _named(origin: Mapping[str, str]) -> str:
    return f"{origin['database']} ({origin['database_id']}) on {origin['server']}"


def _findings(manifest: Manifest, schema: str) -> list[Mapping[str, Any]]:
    """What the integrity checks say of the restored rows; nothing where they are of another release than this code."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    if set(loader.graph.nodes) != {tuple(name.split(".", 1)) for name in manifest.migrations}:
        return []
    with database.default_within(schema):
        found: list[Mapping[str, Any]] = selectors.integrity()["findings"]
    return found
