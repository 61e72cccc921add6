"""The exchange of the live tables for others, in one transaction: before it all is old, after it all is new.

    lock all tables of both sides, waiting 5 s at the most
    sequences to the greater of both: an id that was given once is never given again, or an old token or a message in
        the queue would name somebody else
    live tables → old_N, the others → public, with the rights that the live ones had
    a new epoch of the event log, so that no client resumes from a position of the other tables
    a new generation of tokens, so that no token and no cookie of the other tables is good for anybody
    links that were to be e-mailed are given up: whether they were sent only the other tables know
    periodic jobs count as run just now: what ran meanwhile must not run again
    the journal's row

Tables are moved one by one. Renaming the two schemas looks simpler and is not safe: an open transaction would go on in
the old tables and commit there, extensions would move away, and rights would stay behind.
"""

import time

from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable

from apps.operations import rules
from apps.operations.services.backups import tables
from apps.operations.services.backups.database import Connection
from apps.operations.services.backups.errors import Busy, Refused
from apps.operations.services.backups.journal import Journal, Outcomes, Step
from apps.operations.services.backups.loading import sequence_set

OLD = "old_"
_LOCK_SECONDS, _TRIES, _PAUSE_SECONDS = 5, 3, 2.0

_OWNED = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(%s) AND c.relkind = 'r' AND c.relname = ANY(%s) AND NOT pg_has_role(c.relowner, 'USAGE')
"""
_GRANTS = """
SELECT c.relname, c.relkind = 'S', a.privilege_type, a.grantee, pg_get_userbyid(a.grantee), a.is_grantable
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
WHERE n.nspname = %s AND c.relkind IN ('r', 'S') AND a.grantee <> c.relowner
ORDER BY 1, 3, 5
"""


def names_of_old(control: Connection) -> list[str]:
    return tables.schemas_like(control, OLD)


def exchange_refuse(control: Connection, *, incoming: list[str]) -> None:
    """Refuse what would fail under the locks, or leave something behind."""
    tables.refuse_foreign(control)
    live = tables.tables_of(control, tables.LIVE)
    foreign = control.execute(_OWNED, [[tables.LIVE], live]).fetchall()
    if foreign:
        raise Refused(
            f"The table {foreign[0][0]} belongs to a role that this one is no member of, so it cannot be moved. "
            "Connect as the owner of the tables."
        )
    if not incoming:
        raise Refused("There are no tables to exchange the live ones for.")


def exchange(control: Connection, journal: Journal, step: Step, *, incoming: str) -> str:
    """Make the tables of the schema `incoming` the live ones, and return the schema that holds the former ones.

    Ends `step` in the same transaction. Raises Busy when a transaction of somebody else holds a table.
    """
    kept = f"{OLD}{step.id}"
    for left in reversed(range(_TRIES)):
        try:
            with control.transaction():
                _exchange(control, incoming=incoming, kept=kept)
                step.place = kept
                journal.end(step, Outcomes.SUCCEEDED)
        # Requests that go on read their tables in another order than they are locked here, and the server may end
        # either side.
        except (LockNotAvailable, DeadlockDetected) as error:
            if not left:
                raise Busy(
                    f"A transaction holds some of the tables for longer than {_LOCK_SECONDS} s, so nothing was "
                    "exchanged. Stop the services and run this again; pg_stat_activity shows who it is."
                ) from error
            time.sleep(_PAUSE_SECONDS)
        else:
            return kept
    raise AssertionError("unreachable")


def _exchange(control: Connection, *, incoming: str, kept: str) -> None:
    control.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(f"{_LOCK_SECONDS}s"))
    live, coming = tables.tables_of(control, tables.LIVE), tables.tables_of(control, incoming)
    both = [sql.Identifier(tables.LIVE, each) for each in live] + [sql.Identifier(incoming, each) for each in coming]
    control.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.SQL(", ").join(both)))
    if (live, coming) != (tables.tables_of(control, tables.LIVE), tables.tables_of(control, incoming)):
        raise Busy("Tables have come or gone meanwhile. Stop the services and run this again.")
    rights = control.execute(_GRANTS, [tables.LIVE]).fetchall()
    _raise_sequences(control, incoming=incoming)
    generation = max(_generation(control, tables.LIVE), _generation(control, incoming)) + 1
    control.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(kept)))
    for source, names, target in ((tables.LIVE, live, kept), (incoming, coming, tables.LIVE)):
        for name in names:
            control.execute(
                sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(sql.Identifier(source, name), sql.Identifier(target))
            )
    # Without CASCADE: what still stands there nobody has thought of, and the transaction ends here.
    control.execute(sql.SQL("DROP SCHEMA {}").format(sql.Identifier(incoming)))
    _grant(control, rights)
    _begin_anew(control, generation=generation)


def _raise_sequences(control: Connection, *, incoming: str) -> None:
    living = {(each.table, each.column): each for each in tables.sequences_of(control, tables.LIVE)}
    for coming in tables.sequences_of(control, incoming):
        own = living.get((coming.table, coming.column))
        if own is None:
            continue
        following = max(
            rules.sequence_next(last_value=each.last_value, is_called=each.is_called, increment=each.increment)
            for each in (own, coming)
        )
        sequence_set(control, incoming, coming.name, value=following, is_called=False)


def _has(control: Connection, schema: str, table: str, *columns: str) -> bool:
    row = control.execute(
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
        "AND column_name = ANY(%s)",
        [schema, table, list(columns)],
    ).fetchone()
    return row is not None and row[0] == len(columns)


def _generation(control: Connection, schema: str) -> int:
    if not _has(control, schema, "accounts_tokengeneration", "generation"):
        return 0
    row = control.execute(
        sql.SQL("SELECT coalesce(max(generation), 0) FROM {}").format(
            sql.Identifier(schema, "accounts_tokengeneration")
        )
    ).fetchone()
    return int(row[0]) if row else 0


def _grant(control: Connection, rights: list[tuple[object, ...]]) -> None:
    """Give the rights that the former live tables and sequences had to those of the same names."""
    present = {
        name
        for (name,) in control.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relkind IN ('r', 'S')",
            [tables.LIVE],
        ).fetchall()
    }
    for name, is_sequence, privilege, role_id, role, grantable in rights:
        if name in present:
            control.execute(
                sql.SQL("GRANT {} ON {} {} TO {}{}").format(
                    sql.SQL(str(privilege)),
                    sql.SQL("SEQUENCE" if is_sequence else "TABLE"),
                    sql.Identifier(tables.LIVE, str(name)),
                    sql.SQL("PUBLIC") if role_id == 0 else sql.Identifier(str(role)),
                    sql.SQL(" WITH GRANT OPTION" if grantable else ""),
                )
            )


# Each with the columns without which the release of the tables knew nothing of it.
_ANEW: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("event_head", ("epoch",), "UPDATE public.event_head SET epoch = gen_random_uuid()"),
    (
        "accounts_passwordreset",
        ("state", "detail"),
        """UPDATE public.accounts_passwordreset SET state = 'failed', detail = 'The database was restored in between.'
        WHERE state IN ('waiting', 'sending')""",
    ),
    (
        "django_celery_beat_periodictask",
        ("last_run_at",),
        "UPDATE public.django_celery_beat_periodictask SET last_run_at = now()",
    ),
    (
        "django_celery_beat_periodictasks",
        ("last_update",),
        "UPDATE public.django_celery_beat_periodictasks SET last_update = now()",
    ),
)


def _begin_anew(control: Connection, *, generation: int) -> None:
    if generation > 1 and _has(control, tables.LIVE, "accounts_tokengeneration", "generation"):
        control.execute(
            "INSERT INTO public.accounts_tokengeneration (id, generation) VALUES (1, %s) "
            "ON CONFLICT (id) DO UPDATE SET generation = excluded.generation",
            [generation],
        )
    if _has(control, tables.LIVE, "django_session", "session_key"):
        control.execute("DELETE FROM public.django_session")  # cookies of the admin site carry no generation
    for table, columns, statement in _ANEW:
        if _has(control, tables.LIVE, table, *columns):
            control.execute(statement.encode())


def sizes(control: Connection, schemas: list[str]) -> dict[str, int]:
    """Bytes of each schema's tables, with their indexes."""
    rows = control.execute(
        "SELECT n.nspname, coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_namespace n "
        "LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind = 'r' WHERE n.nspname = ANY(%s) GROUP BY 1",
        [schemas],
    ).fetchall()
    return dict(rows)
