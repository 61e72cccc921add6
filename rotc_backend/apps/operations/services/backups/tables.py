"""What the server's catalog says of tables: their columns, keys, sequences, indexes and rights."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
from psycopg import sql

from apps.operations.services.backups.database import Connection
from apps.operations.services.backups.errors import Refused

LIVE = "public"
BLOCK_BYTES = 64 * 1024
_COPY_SECONDS_TO_LOCK = "30s"

_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.relname COLLATE "C"
"""
_COLUMNS = """
SELECT a.attname, a.attnum, a.attcollation <> 0 FROM pg_attribute a
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum
"""
_KEY = """
SELECT k.attnum FROM pg_index i, unnest(i.indkey::smallint[]) WITH ORDINALITY AS k(attnum, place)
WHERE i.indrelid = %s::regclass AND i.indisprimary ORDER BY k.place
"""
_SEQUENCES = """
SELECT t.relname, a.attname, s.relname, p.seqincrement FROM pg_class s
JOIN pg_namespace n ON n.oid = s.relnamespace
JOIN pg_sequence p ON p.seqrelid = s.oid
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i')
    AND d.refclassid = 'pg_class'::regclass
JOIN pg_class t ON t.oid = d.refobjid
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE n.nspname = %s AND s.relkind = 'S' ORDER BY t.relname COLLATE "C", a.attname COLLATE "C"
"""
_CONSTRAINTS = """
SELECT t.relname, c.conname, pg_get_constraintdef(c.oid) FROM pg_constraint c
JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = %s AND c.contype = ANY(%s) ORDER BY 1, 2
"""
_INDEXES = """
SELECT x.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i
JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace
WHERE n.nspname = %s AND NOT i.indisprimary
    AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))
ORDER BY 1
"""
# What migrations do not make, and the tables would leave behind.
_FOREIGN = """
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
    ELSE 'partitioned table' END, n.nspname || '.' || c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relkind IN ('f', 'p') OR c.relkind IN ('v', 'm') AND EXISTS (
    SELECT FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
    JOIN pg_class t ON t.oid = d.refobjid AND t.relkind IN ('r', 'p')
    JOIN pg_namespace tn ON tn.oid = t.relnamespace AND tn.nspname = %(schema)s
    WHERE w.ev_class = c.oid
        AND NOT EXISTS (SELECT FROM pg_depend e
            WHERE e.classid = 'pg_class'::regclass AND e.objid = t.oid AND e.deptype = 'e'))
ORDER BY 2
"""


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """A column's own sequence, and where it stands."""

    table: str
    column: str
    name: str
    increment: int
    last_value: int
    is_called: bool


def tables_of(connection: Connection, schema: str) -> list[str]:
    """The tables of a schema that belong to no extension, in a fixed order."""
    return [table for (table,) in connection.execute(_TABLES, [schema]).fetchall()]


def refuse_large_objects(connection: Connection) -> None:
    row = connection.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone()
    if row and row[0]:
        raise Refused(
            f"The database holds {row[0]} large objects, which no table has and no backup would hold. Find out what "
            "made them (their ids are in pg_largeobject_metadata) and move them into a table."
        )


def refuse_foreign(connection: Connection, schema: str = LIVE) -> None:
    """Refuse what stands on the tables and is made by no migration: it would go on reading the old ones."""
    found = connection.execute(_FOREIGN.encode(), {"schema": schema}).fetchall()
    if found:
        named = ", ".join(f"the {kind} {qualified}" for kind, qualified in found)
        raise Refused(
            f"Made by no migration, and in the way of exchanging the tables: {named}. Drop it, and make it anew after."
        )


def lock_shared(connection: Connection, tables: list[str], schema: str = LIVE) -> None:
    """Keep the tables from being emptied or rewritten, before the snapshot is taken.

    Without it a TRUNCATE in between leaves a snapshot in which the table has no rows at all, silently.
    """
    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_COPY_SECONDS_TO_LOCK))
    names = sql.SQL(", ").join(sql.Identifier(schema, table) for table in tables)
    connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))


def columns_of(connection: Connection, schema: str, table: str) -> list[str]:
    """Those that hold something of their own: without generated ones."""
    return [name for name, _, _ in _columns(connection, schema, table)]


def _columns(connection: Connection, schema: str, table: str) -> list[tuple[str, int, bool]]:
    qualified = sql.Identifier(schema, table).as_string(connection)
    return connection.execute(_COLUMNS, [qualified]).fetchall()


def copy_out(
    connection: Connection, *, schema: str, table: str, columns: list[str], write: Callable[[bytes], None]
) -> "CopyDigest":
    """Hand the rows of a table, in the order of its key, in blocks to `write`. Raises Refused without a key."""
    qualified = sql.Identifier(schema, table).as_string(connection)
    known = {number: (name, collatable) for name, number, collatable in _columns(connection, schema, table)}
    key = [known[number] for (number,) in connection.execute(_KEY, [qualified]).fetchall()]
    if not key:
        raise Refused(f"The table {table} has no primary key, so its rows have no order to compare them in.")
    order = sql.SQL(", ").join(
        sql.SQL('{} COLLATE "C"' if collatable else "{}").format(sql.Identifier(name)) for name, collatable in key
    )
    statement = sql.SQL("COPY (SELECT {} FROM {} ORDER BY {}) TO STDOUT").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(schema, table), order
    )
    digest = CopyDigest()
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for block in _blocks(copy):
            digest.update(block)
            write(block)
    return digest


def _blocks(copy: psycopg.Copy) -> Iterator[bytes]:
    """Rows come one by one: gathered, the work on each of them is done for hundreds at once."""
    gathered = bytearray()
    for row in copy:
        gathered += row
        if len(gathered) >= BLOCK_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


class CopyDigest:
    """What COPY has written of a table: rows, bytes, SHA-256. A line is a row, since a line end in a value is \\n."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.rows = 0
        self.bytes = 0

    def update(self, block: bytes) -> None:
        self._hash.update(block)
        self.rows += block.count(b"\n")
        self.bytes += len(block)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def sequences_of(connection: Connection, schema: str) -> list[Sequence]:
    found = []
    for table, column, name, increment in connection.execute(_SEQUENCES, [schema]).fetchall():
        row = connection.execute(
            sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(schema, name))
        ).fetchone()
        if row is None:
            raise Refused(f"The sequence {name} is empty, which no sequence can be.")
        found.append(
            Sequence(table=table, column=column, name=name, increment=increment, last_value=row[0], is_called=row[1])
        )
    return found


def foreign_keys_of(connection: Connection, schema: str) -> list[tuple[str, str, str]]:
    """(table, name, definition)"""
    return connection.execute(_CONSTRAINTS, [schema, ["f"]]).fetchall()


def unique_constraints_of(connection: Connection, schema: str) -> list[tuple[str, str, str]]:
    """(table, name, definition)"""
    return connection.execute(_CONSTRAINTS, [schema, ["u", "x"]]).fetchall()


def indexes_of(connection: Connection, schema: str) -> list[tuple[str, str]]:
    """(name, definition) of those that stand for no constraint."""
    return connection.execute(_INDEXES, [schema]).fetchall()


def schemas_like(connection: Connection, prefix: str) -> list[str]:
    """Schemas called `prefix` and a number, the oldest first."""
    rows = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname ~ ('^' || %s || '[0-9]+$') ORDER BY length(nspname), nspname",
        [prefix],
    ).fetchall()
    return [schema for (schema,) in rows]


def schema_drop(connection: Connection, schema: str) -> None:
    """Table by table first: one statement for all would need more locks at once than a small server has."""
    for table in tables_of(connection, schema):
        connection.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.Identifier(schema, table)))
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))
