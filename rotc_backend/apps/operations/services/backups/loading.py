"""A backup brought into a schema of its own, beside the live tables, and compared with what its manifest says.

1  CREATE SCHEMA restore_N
2  migrate to the state of the manifest: only this code knows what belongs to a table beside its rows
3  in one transaction: empty all tables (migrations write first rows), drop foreign keys and secondary indexes,
   COPY, make them again, set the sequences
4  ANALYZE; each table read back in the same order: rows and digests as in the manifest
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from apps.operations.services.backups import database, tables
from apps.operations.services.backups.errors import BackupError, Refused, Untrusted
from apps.operations.services.backups.manifests import Manifest, key_named
from apps.operations.services.backups.places import Place
from apps.operations.services.backups.sealing import Opener
from apps.operations.services.backups.streams import records

RESTORE = "restore_"


def schema_name(number: int) -> str:
    return f"{RESTORE}{number}"


def schemas_clear(control: database.Connection, *, keep: str = "") -> None:
    """Drop what a process that was killed has left: whoever holds the lock is the only one to have such a schema."""
    for schema in tables.schemas_like(control, RESTORE):
        if schema != keep:
            tables.schema_drop(control, schema)


@contextlib.contextmanager
def scratch_schema(control: database.Connection, *, number: int) -> Iterator[str]:
    """A schema that is gone after the block."""
    schema = schema_name(number)
    control.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    try:
        yield schema
    finally:
        with contextlib.suppress(psycopg.OperationalError):  # else the next one clears it away
            tables.schema_drop(control, schema)


def refuse_unknown_state(manifest: Manifest) -> None:
    """Raise Refused when this code cannot lay out the tables as they were."""
    known = set(MigrationLoader(None, ignore_no_migrations=True).disk_migrations or {})
    unknown = sorted(name for name in manifest.migrations if tuple(name.split(".", 1)) not in known)
    if unknown:
        raise Refused(
            f"The backup was made by release {manifest.version}, with migrations that this code does not know: "
            f"{', '.join(unknown[:5])}{' …' if len(unknown) > 5 else ''}. Check out that release "
            f"{'(' + manifest.commit + ') ' if manifest.commit else ''}and restore with it."
        )


def schema_load(manifest: Manifest, *, place: Place, schema: str) -> None:
    """Fill an empty schema with the backup. Raises Refused, Untrusted, StoreAway, BackupError."""
    refuse_unknown_state(manifest)
    opener = Opener(key=key_named(manifest.key), salt=manifest.salt_bytes, backup_id=manifest.id)
    _lay_out(manifest, schema)
    with contextlib.closing(database.connect()) as connection:
        connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(schema)))
        _refuse_other_tables(connection, manifest, schema)
        with connection.transaction():
            _fill(connection, manifest, records(manifest, place=place, opener=opener), schema)
        connection.execute(
            sql.SQL("ANALYZE {}").format(
                sql.SQL(", ").join(sql.Identifier(schema, table.name) for table in manifest.tables)
            )
        )
        _compare(connection, manifest, schema)


def _lay_out(manifest: Manifest, schema: str) -> None:
    state = {tuple(name.split(".", 1)) for name in manifest.migrations}
    with database.default_within(schema) as connection:
        executor = MigrationExecutor(connection)
        if executor.loader.applied_migrations:
            raise BackupError(f"The schema {schema} is not empty. Run the command again.")
        graph = executor.loader.graph
        wanted = [node for node in graph.nodes if node in state]
        ends = [node for node in wanted if not any(child.key in state for child in graph.node_map[node].children)]
        beyond = {node for end in ends for node in graph.forwards_plan(end)} - state
        if beyond:
            named = ", ".join(sorted(".".join(node) for node in beyond))
            raise Refused(f"The backup's migrations are no state that this code can reach; it would also run {named}.")
        executor.migrate(ends)


def _refuse_other_tables(connection: database.Connection, manifest: Manifest, schema: str) -> None:
    found, stored = set(tables.tables_of(connection, schema)), {table.name for table in manifest.tables}
    if found != stored:
        only_stored, only_made = ", ".join(sorted(stored - found)), ", ".join(sorted(found - stored))
        raise Refused(
            "The tables of the backup are not those that its migrations make."
            + (f" No migration makes {only_stored}: move it out of the schema public." if only_stored else "")
            + (f" The backup lacks {only_made}." if only_made else "")
        )
    for table in manifest.tables:
        if set(tables.columns_of(connection, schema, table.name)) != set(table.columns):
            raise Refused(
                f"The table {table.name} has other columns than its migrations make. Somebody has changed it by hand."
            )


def _fill(connection: database.Connection, manifest: Manifest, content: Iterator[tuple[str, Any]], schema: str) -> None:
    everything = sql.SQL(", ").join(sql.Identifier(schema, table.name) for table in manifest.tables)
    connection.execute(sql.SQL("TRUNCATE {}").format(everything))
    before = _definitions(connection, schema)
    _drop_secondary(connection, schema)
    _copy_in(connection, manifest, content, schema)
    _make_secondary(connection, schema, *before)
    # By their names: the server words a condition otherwise once it has read its own words.
    if _names(_definitions(connection, schema)) != _names(before):
        raise BackupError("The indexes and keys could not be made as they were. This is a fault of the program.")
    names = {(sequence.table, sequence.column): sequence.name for sequence in tables.sequences_of(connection, schema)}
    for stored in manifest.sequences:
        name = names.get((stored.table, stored.column))
        if name is None:
            raise Refused(f"{stored.table}.{stored.column} has a sequence in the backup and none by its migrations.")
        sequence_set(connection, schema, name, value=stored.last_value, is_called=stored.is_called)


def sequence_set(connection: database.Connection, schema: str, name: str, *, value: int, is_called: bool) -> None:
    connection.execute(
        "SELECT setval(%s::regclass, %s, %s)", [sql.Identifier(schema, name).as_string(connection), value, is_called]
    )


_Definitions = tuple[list[tuple[str, str]], list[tuple[str, str, str]], list[tuple[str, str, str]]]


def _definitions(connection: database.Connection, schema: str) -> _Definitions:
    return (
        tables.indexes_of(connection, schema),
        tables.unique_constraints_of(connection, schema),
        tables.foreign_keys_of(connection, schema),
    )


def _names(definitions: _Definitions) -> list[list[tuple[str, ...]]]:
    return [[one[:-1] for one in kind] for kind in definitions]


def _drop_secondary(connection: database.Connection, schema: str) -> None:
    for table, name, _ in tables.foreign_keys_of(connection, schema):
        _alter(connection, schema, table, sql.SQL("DROP CONSTRAINT {}").format(sql.Identifier(name)))
    for table, name, _ in tables.unique_constraints_of(connection, schema):
        _alter(connection, schema, table, sql.SQL("DROP CONSTRAINT {}").format(sql.Identifier(name)))
    for name, _ in tables.indexes_of(connection, schema):
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(schema, name)))


def _make_secondary(
    connection: database.Connection,
    schema: str,
    indexes: list[tuple[str, str]],
    unique: list[tuple[str, str, str]],
    foreign: list[tuple[str, str, str]],
) -> None:
    try:
        for _, definition in indexes:
            connection.execute(definition.encode())
        for table, name, definition in [*unique, *foreign]:
            added = sql.SQL("ADD CONSTRAINT {} ").format(sql.Identifier(name)) + sql.SQL(definition)
            _alter(connection, schema, table, added)
    except psycopg.errors.IntegrityError as error:
        raise Untrusted(
            f"The rows of the backup break what the tables promise ({error.diag.constraint_name}). Take another one."
        ) from error


def _alter(connection: database.Connection, schema: str, table: str, change: sql.Composable) -> None:
    connection.execute(sql.SQL("ALTER TABLE {} ").format(sql.Identifier(schema, table)) + change)


def _copy_in(
    connection: database.Connection, manifest: Manifest, content: Iterator[tuple[str, Any]], schema: str
) -> None:
    expected = iter(manifest.tables)
    end: tuple[str, Any] = ("end", None)
    kind, head = next(content, end)
    while kind == "table":
        table = next(expected, None)
        if table is None or head != {"table": table.name, "columns": table.columns}:
            raise Untrusted("The backup does not hold the tables of its manifest. Take another one.")
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(schema, table.name), sql.SQL(", ").join(map(sql.Identifier, table.columns))
        )
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            kind, head = next(content, end)
            while kind == "rows":
                copy.write(head)
                kind, head = next(content, end)
    if kind != "end" or next(expected, None) is not None:
        raise Untrusted("The backup does not hold the tables of its manifest. Take another one.")


def _compare(connection: database.Connection, manifest: Manifest, schema: str) -> None:
    for table in manifest.tables:
        found = tables.copy_out(
            connection, schema=schema, table=table.name, columns=table.columns, write=lambda _: None
        )
        if (found.rows, found.hexdigest()) != (table.rows, table.sha256):
            raise Untrusted(
                f"The table {table.name} came back with {found.rows} rows and another digest; {table.rows} were "
                "stored. Take another backup."
            )
