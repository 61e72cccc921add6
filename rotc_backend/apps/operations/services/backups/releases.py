"""Where the migrations of each release ended, and the way back there.

A release's row is added when it is made. Only our own apps are named: libraries are never taken back, since a later
version of theirs reads what an earlier one wrote, and the reverse is nobody's promise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.apps import apps
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations import AddField, CreateModel

from apps.operations.rules import SAFETY
from apps.operations.services.backups import database, tables
from apps.operations.services.backups.conditions import Permissions, refuse_running
from apps.operations.services.backups.errors import BackupError, Refused
from apps.operations.services.backups.journal import Journal, Kind
from apps.operations.services.backups.writing import Tell, backup_write, quietly

RELEASES: Mapping[str, Mapping[str, str]] = {
    "1.0.0": dict.fromkeys(("accounts", "events", "messaging", "operations"), "0001_initial"),
    "1.1.0": {
        "accounts": "0002_invitations_and_lockout",
        "cadets": "0002_lists",
        "events": "0001_initial",
        "grading": "0002_default_policy",
        "messaging": "0002_rooms_announcements",
        "operations": "0002_scheduled_run_crontab",
        "training": "0001_initial",
    },
}


@dataclass(frozen=True, kw_only=True)
class Reversal:
    """One migration that goes. `loses` are the tables and columns that go with it; `obstacle` why it cannot."""

    name: str
    loses: Sequence[str]
    obstacle: str = ""


def releases_known() -> list[str]:
    return sorted(RELEASES, key=lambda release: tuple(map(int, release.split("."))))


def reversal_plan(release: str) -> list[Reversal]:
    """What would be reversed to come from here to `release`, in its order. Raises Refused."""
    with database.default_within(tables.LIVE) as connection:
        return [_reversal(migration) for migration in _plan(MigrationExecutor(connection), release)]


def release_return(*, release: str, permissions: Permissions, tell: Tell = quietly) -> list[Reversal]:
    """Reverse migrations down to `release`, each in a transaction of its own, so that a second run goes on.

    Raises BackupError.
    """
    with database.alone() as control:
        journal = Journal(control)
        steps = reversal_plan(release)
        if fixed := [step for step in steps if step.obstacle]:
            raise Refused(
                "The way back is not open: "
                + " ".join(f"{step.name} {step.obstacle}." for step in fixed)
                + " Restore the backup that was made before the deploy instead."
            )
        refuse_running(control, permissions)
        if not steps:
            tell(f"The database is at release {release} already.")
            return steps
        if not permissions.without_safety:
            tell("Making a backup of the live data first …")
            backup_write(control, journal, purpose=SAFETY, tell=tell)
        with journal.step(Kind.REVERSE) as step, database.default_within(tables.LIVE) as connection:
            step.detail = f"to release {release}"
            executor = MigrationExecutor(connection)
            executor.migrate(_targets(executor, release))
            step.counts = {"migrations": len(steps)}
            if left := _plan(MigrationExecutor(connection), release):
                raise BackupError(f"Still applied: {', '.join(map(str, left))}. Run the command again.")
    return steps


def _targets(executor: MigrationExecutor, release: str) -> list[tuple[str, str | None]]:
    if release not in RELEASES:
        raise Refused(f"No release {release} is known. Known: {', '.join(releases_known())}.")
    state = RELEASES[release]
    own = sorted({config.label for config in apps.get_app_configs() if config.name.startswith("apps.")})
    applied = {app for app, _ in executor.loader.applied_migrations}
    missing = [f"{app}.{name}" for app, name in state.items() if (app, name) not in executor.loader.applied_migrations]
    if missing:
        raise Refused(f"The database is not beyond release {release}: it lacks {', '.join(missing)}. Run migrate.")
    return [(app, state.get(app)) for app in own if app in applied and app in executor.loader.migrated_apps]


def _plan(executor: MigrationExecutor, release: str) -> list[Migration]:
    plan = executor.migration_plan(_targets(executor, release))
    if forwards := [migration for migration, backwards in plan if not backwards]:
        raise Refused(
            f"The database is not beyond release {release}: {', '.join(map(str, forwards))} would be applied."
        )
    return [migration for migration, _ in plan]


def _reversal(migration: Migration) -> Reversal:
    fixed = [type(operation).__name__ for operation in migration.operations if not operation.reversible]
    loses = [
        operation.name if isinstance(operation, CreateModel) else f"{operation.model_name}.{operation.name}"
        for operation in migration.operations
        if isinstance(operation, CreateModel | AddField)
    ]
    return Reversal(
        name=f"{migration.app_label}.{migration.name}",
        loses=loses,
        obstacle=f"cannot be reversed ({', '.join(fixed)})" if fixed else "",
    )
