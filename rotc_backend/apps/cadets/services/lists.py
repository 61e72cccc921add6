"""The unit's lists: companies and platoons. Renamed or archived, never deleted, since history refers to them."""

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import transaction
from django.db.models.functions import Lower

from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.cadets import rules
from apps.cadets.events import CompanyChanged, PlatoonChanged
from apps.cadets.models import Company, ListEntry, Platoon
from apps.cadets.services.constraints import conflicts
from apps.events.services import publish
from core import cache
from core.clock import now
from core.errors import Conflict
from core.models import apply_changes, lock_row

_E = TypeVar("_E", Company, Platoon)

_UNIQUE = {Company: "company_name_unique", Platoon: "platoon_name_unique"}


def company_create(*, actor: Principal, name: str, position: int) -> Company:
    """Raises Conflict (`name_taken`), also for the name of an archived company, in any letter case."""
    return _create(Company, actor=actor, name=name, position=position)


def company_change(*, actor: Principal, company_id: int, expected_version: int, changes: Mapping[str, Any]) -> Company:
    """Rename or move in the list; who is in the company stays in it. Raises NotFound, PreconditionFailed, Conflict."""
    return _change(Company, company_id, actor=actor, expected_version=expected_version, changes=changes)


def company_archive(*, actor: Principal, company_id: int) -> Company:
    """Take no new enrollments into it; those that it has stay. Raises NotFound."""
    return _set_archived(Company, company_id, actor=actor, archived=True)


def company_restore(*, actor: Principal, company_id: int) -> Company:
    """Raises NotFound."""
    return _set_archived(Company, company_id, actor=actor, archived=False)


def platoon_create(*, actor: Principal, name: str, position: int) -> Platoon:
    """Raises Conflict (`name_taken`), also for the name of an archived platoon, in any letter case."""
    return _create(Platoon, actor=actor, name=name, position=position)


def platoon_change(*, actor: Principal, platoon_id: int, expected_version: int, changes: Mapping[str, Any]) -> Platoon:
    """Rename or move in the list; who is in the platoon stays in it. Raises NotFound, PreconditionFailed, Conflict."""
    return _change(Platoon, platoon_id, actor=actor, expected_version=expected_version, changes=changes)


def platoon_archive(*, actor: Principal, platoon_id: int) -> Platoon:
    """Take no new enrollments into it; those that it has stay. Raises NotFound."""
    return _set_archived(Platoon, platoon_id, actor=actor, archived=True)


def platoon_restore(*, actor: Principal, platoon_id: int) -> Platoon:
    """Raises NotFound."""
    return _set_archived(Platoon, platoon_id, actor=actor, archived=False)


def _create(table: type[_E], *, actor: Principal, name: str, position: int) -> _E:
    taken = _taken(name)
    with conflicts({_UNIQUE[table]: taken}):
        _refuse_taken(table, name)
        entry = table.objects.create(name=name, position=position)
        entry.refresh_from_db()
        _record(entry, actor=actor, action="create", after={"name": name, "position": position})
        _tell(entry)
    return entry


def _change(
    table: type[_E], entry_id: int, *, actor: Principal, expected_version: int, changes: Mapping[str, Any]
) -> _E:
    with conflicts({_UNIQUE[table]: _taken(changes.get("name", ""))}):
        entry = lock_row(table.objects.filter(pk=entry_id), expected_version=expected_version)
        if "name" in changes:
            _refuse_taken(table, changes["name"], but=entry.pk)
        before, after = apply_changes(entry, changes)
        if before:
            _record(entry, actor=actor, action="change", before=before, after=after)
            _tell(entry)
    return entry


def _set_archived(table: type[_E], entry_id: int, *, actor: Principal, archived: bool) -> _E:
    with transaction.atomic():
        entry = lock_row(table.objects.filter(pk=entry_id))
        if (entry.archived_at is not None) == archived:
            return entry
        before, after = apply_changes(entry, {"archived_at": now() if archived else None})
        _record(entry, actor=actor, action="archive" if archived else "restore", before=before, after=after)
        _tell(entry)
    return entry


def _refuse_taken(table: type[_E], name: str, *, but: int = 0) -> None:
    same = table.objects.alias(lowered=Lower("name")).filter(lowered=name.lower())
    if same.exclude(pk=but).exists():
        raise _taken(name)


def _taken(name: str) -> Conflict:
    return Conflict(f"The name {name} is in the list, or archived. Choose another or restore it.", code="name_taken")


def _record(
    entry: ListEntry,
    *,
    actor: Principal,
    action: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    noun = type(entry).__name__.lower()
    audit_record(
        actor_id=actor.user_id, action=f"{noun}.{action}", target=f"{noun}:{entry.pk}", before=before, after=after
    )


def _tell(entry: ListEntry) -> None:
    cache.touch(rules.roster_version())
    kind = CompanyChanged if isinstance(entry, Company) else PlatoonChanged
    publish(
        event=kind(
            id=entry.pk,
            version=entry.version,
            name=entry.name,
            position=entry.position,
            archived_at=entry.archived_at,
        ),
        # Cadets too: what they may hear depends on their company.
        recipients=["role:admin", "role:training_staff", "role:cadet"],
    )
