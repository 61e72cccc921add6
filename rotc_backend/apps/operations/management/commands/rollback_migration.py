from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import CommandParser

from apps.operations.management.backups import BackupCommand
from apps.operations.services.backups import releases, restoring
from apps.operations.services.backups.conditions import Permissions
from apps.operations.services.backups.overview import Overview, overview

_SHOWN = 20


class Command(BackupCommand):
    help = (
        "Without an option: show where the database stands, which backups there are, and what could be done. With one: "
        "restore a backup, take the last restore back, or reverse migrations down to a release. Interrupted at any "
        "moment, also by kill -9, the same command can be run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        action = parser.add_mutually_exclusive_group()
        action.add_argument("--backup", metavar="ID", help="make this backup the live data")
        action.add_argument("--undo", action="store_true", help="bring back the tables that the last restore put aside")
        action.add_argument("--to-release", metavar="VERSION", help="reverse migrations down to this release")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument(
            "--force-online", action="store_true", help="although services run; what they write meanwhile is lost"
        )
        parser.add_argument(
            "--other-database", action="store_true", help="although the backup is of another database than this one"
        )
        parser.add_argument(
            "--without-safety-backup",
            action="store_true",
            help="although the live data is not backed up first: for when the store cannot be written to",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        permissions = Permissions(
            other_origin=options["other_database"],
            online=options["force_online"],
            without_safety=options["without_safety_backup"],
        )
        with self.words():
            if options["backup"]:
                self._restore(options["backup"], permissions, confirmed=options["yes"])
            elif options["undo"]:
                self.confirm(restoring.undo_preview(), confirmed=options["yes"])
                self._ended(restoring.undo(permissions=permissions, tell=self.tell))
            elif options["to_release"]:
                self._return(options["to_release"], permissions, confirmed=options["yes"])
            else:
                self._show(overview())

    def _restore(self, backup_id: str, permissions: Permissions, *, confirmed: bool) -> None:
        manifest = restoring.restore_preview(backup_id, permissions)
        if manifest is not None:
            self.tell(
                f"Backup {manifest.id}, made at {manifest.made_at} by release {manifest.version}: "
                f"{manifest.rows:,} rows of {len(manifest.tables)} tables.\n"
                "It becomes the live data; what was written after it goes aside, into a schema of its own. Everybody "
                "has to sign in again."
            )
            self.confirm("", confirmed=confirmed)
        self._ended(restoring.restore(backup_id=backup_id, permissions=permissions, tell=self.tell))

    def _ended(self, restored: restoring.Restored) -> None:
        settled = restored.settled
        if settled.queued or settled.outbox:
            tasks = ", ".join(f"{count} {task}" for task, count in settled.tasks.items()) or "none"
            self.tell(
                f"In the queue: {settled.queued} ({tasks}); in the outbox: {settled.outbox}. Tasks find their rows by "
                "id and leave alone what is gone; look whether any of them should not run."
            )
        for finding in restored.findings[:_SHOWN]:
            self.tell(f"Not sound: {finding['check']}, {finding['table']} {finding['id']}: {finding['detail']}")
        if unapplied := restored.migrations.get("unapplied"):
            self.tell(
                f"This code expects migrations that the data does not have: {_list(unapplied)}. Deploy the release "
                "that ran when the backup was made (for one before a deploy: the one before it), or run "
                "`python manage.py migrate --noinput`."
            )
        if unknown := restored.migrations.get("unknown"):
            self.tell(f"The data has migrations unknown to this code: {_list(unknown)}. Deploy a later release.")
        self.tell(
            f"Done. Start the services. The former tables are in {restored.kept}; --undo brings them back, and when "
            f"nobody needs them any more: DROP SCHEMA {restored.kept} CASCADE;"
        )

    def _return(self, release: str, permissions: Permissions, *, confirmed: bool) -> None:
        plan = releases.reversal_plan(release)
        self._plan(plan, release)
        if plan and not any(step.obstacle for step in plan):
            self.confirm("", confirmed=confirmed)
        releases.release_return(release=release, permissions=permissions, tell=self.tell)
        self.tell(f"Done. Deploy release {release} now, before the services start.")

    def _plan(self, plan: Sequence[releases.Reversal], release: str) -> None:
        self.tell(f"To release {release}: {len(plan)} migrations to reverse.")
        for step in plan:
            lost = f"; with it go {_list(step.loses)}" if step.loses else ""
            self.tell(f"  {step.name}{' ' + step.obstacle.upper() if step.obstacle else ''}{lost}")

    def _show(self, found: Overview) -> None:
        origin = found.origin
        self.tell(f"Database     {origin['database']} ({origin['database_id']}) on {origin['server']}")
        self.tell(f"Release      {found.version} (this code)")
        self.tell("Migrations   " + ", ".join(f"{app} {name}" for app, name in found.migrations.items()))
        self._states(found.state)
        self.tell(f"Running      {', '.join(found.running.names) or 'no service'}")
        if found.running.redis_away:
            self.tell("             Redis is away, so only connections to the database were looked at")
        for schema, size in found.old.items():
            self.tell(f"Put aside    {schema}: {size:,} bytes, of an earlier exchange")
        if found.unsettled:
            self.tell(f"UNFINISHED   {found.unsettled}")
        self.tell("")
        if found.place_problem:
            self.tell(f"Backups cannot be listed: {found.place_problem}")
        else:
            self.tell(f"Backups in {found.place}: {len(found.backups)}")
        for one in found.backups:
            manifest = one.manifest
            if manifest is None:
                self.tell(f"  {one.id}  CANNOT BE USED: {one.problem}")
                continue
            theirs = manifest.origin
            elsewhere = "" if theirs == origin else f"  of {theirs['database']} on {theirs['server']}"
            extent = f"{manifest.rows:,} rows, {manifest.size:,} bytes"
            self.tell(f"  {manifest.id}  {extent}, release {manifest.version}{elsewhere}")
        self.tell("")
        self.tell(
            "--backup ID   loads the backup beside the live tables, compares it, backs up the live data, and exchanges "
            "the tables in one transaction"
        )
        self.tell("--undo        " + (f"brings back {found.undo}" if found.undo else "nothing to bring back"))
        for release in releases.releases_known():
            self.tell(f"--to-release {release}  " + _release_words(found.releases[release]))

    def _states(self, state: Mapping[str, list[str]]) -> None:
        for name, words in (("unapplied", "known to this code, not to the data"), ("unknown", "the reverse")):
            if state[name]:
                self.tell(f"             {words}: {_list(state[name])}")


def _release_words(plan: Sequence[releases.Reversal] | str) -> str:
    if isinstance(plan, str):
        return plan
    fixed = [step.name for step in plan if step.obstacle]
    loses = sum(len(step.loses) for step in plan)
    if fixed:
        return f"not possible: {_list(fixed)} cannot be reversed"
    return (
        f"reverses {len(plan)} migrations, with which {loses} tables and columns go" if plan else "is where it stands"
    )


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
