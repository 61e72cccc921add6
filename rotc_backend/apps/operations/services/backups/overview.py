"""Where the database stands, and what could be done: what the command shows without an option. Changes nothing."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.migrations.recorder import MigrationRecorder

from apps.operations import selectors
from apps.operations.services.backups import database
from apps.operations.services.backups.conditions import Running, running_services
from apps.operations.services.backups.errors import Refused, StoreAway
from apps.operations.services.backups.exchanging import names_of_old, sizes
from apps.operations.services.backups.journal import last_exchange
from apps.operations.services.backups.manifests import Listed, manifests_list
from apps.operations.services.backups.places import place_open
from apps.operations.services.backups.releases import Reversal, releases_known, reversal_plan
from core.version import VERSION


@dataclass(frozen=True, kw_only=True)
class Overview:
    """`migrations` is the last one of each app, `old` the bytes of each schema that an exchange has put aside.

    `releases` holds the way back to each, or in words why there is none.
    """

    origin: Mapping[str, str]
    version: str
    migrations: Mapping[str, str]
    state: Mapping[str, list[str]]
    running: Running
    old: Mapping[str, int]
    undo: str
    unsettled: str
    place: str
    place_problem: str
    backups: Sequence[Listed]
    releases: Mapping[str, Sequence[Reversal] | str]


def overview() -> Overview:
    """Raises Refused when the database cannot be reached or is none of this system."""
    with contextlib.closing(database.connect()) as connection:
        origin = database.origin(connection)
        old = sizes(connection, names_of_old(connection))
        has_journal = connection.execute("SELECT to_regclass('ops.journal') IS NOT NULL").fetchone()
        last = last_exchange(connection) if has_journal and has_journal[0] else None
        running = running_services(connection)
    unsettled = ""
    if last is not None and not last.is_settled:
        command = "--undo" if last.kind == "undo" else f"--backup {last.backup_id}"
        unsettled = f"tables were exchanged, and the work after it is not done. Run: rollback_migration.py {command}"
    place, problem, backups = "", "", []
    try:
        with place_open() as opened:
            place, backups = opened.described, manifests_list(opened)
    except (Refused, StoreAway) as error:
        problem = str(error)
    return Overview(
        origin=origin,
        version=VERSION,
        migrations=_last_migrations(),
        state=selectors.migrations(),
        running=running,
        old=old,
        undo=last.kept if last is not None and last.kept in old else "",
        unsettled=unsettled,
        place=place,
        place_problem=problem,
        backups=backups,
        releases={release: _way_back(release) for release in releases_known()},
    )


def _last_migrations() -> dict[str, str]:
    rows = MigrationRecorder.Migration.objects.order_by("app", "name").values_list("app", "name")
    return dict(rows)


def _way_back(release: str) -> Sequence[Reversal] | str:
    try:
        return reversal_plan(release)
    except Refused as error:
        return str(error)
