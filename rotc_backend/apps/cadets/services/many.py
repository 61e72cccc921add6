"""Cadets and enrollments that are written many at once. Belongs into the transaction of its caller, which holds the
term open and has locked the rows that exist.

What is written, audited, told and moved in the cache is what the services for one do; the statements are few.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import connection

from apps.accounts.rules import Principal
from apps.accounts.services import Audited, audit_record_many
from apps.cadets import rules
from apps.cadets.events import CadetChanged, CadetCreated, EnrollmentChanged, EnrollmentCreated
from apps.cadets.models import Cadet, Enrollment
from apps.cadets.services.cadets import cadet_hearers, cadet_told
from apps.cadets.services.enrollments import enrollment_told
from apps.events.services import publish_many
from core import cache
from core.messages import Event
from core.tables import PROGRESS_ROWS, Progress

_M = TypeVar("_M", Cadet, Enrollment)

# What may be changed, with the types of its columns.
_COLUMNS: Mapping[type[Cadet] | type[Enrollment], Mapping[str, str]] = {
    Cadet: {
        "last_name": "text",
        "first_name": "text",
        "middle_name": "text",
        "suffix": "text",
        "email": "text",
        "contact_number": "text",
        "address": "text",
        "gender": "text",
        "birthdate": "date",
        "religion": "text",
        "course": "text",
        "year_level": "smallint",
    },
    Enrollment: {
        "company_id": "bigint",
        "platoon_id": "bigint",
        "battalion": "text",
        "position": "text",
        "rank": "text",
        "level": "text",
        "status": "text",
        "enrolled_on": "date",
    },
}
_UPDATE = """
UPDATE {table} AS row SET {assignments}, version = row.version + 1, updated_at = clock_timestamp()
FROM unnest(%(id)s::bigint[], {arrays}) AS given (id, {names})
WHERE row.id = given.id
"""


@dataclass(frozen=True, kw_only=True)
class Write(Generic[_M]):
    """A row as it is stored, or a new one, and the `facts` that it gets, by attribute; `before`: what these were.

    Of a new row `before` is None, and the facts stand in it already.
    """

    row: _M
    facts: Mapping[str, Any]
    before: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class CadetWrite:
    """What is to be written of one cadet; None: stays as it is."""

    cadet: Write[Cadet] | None = None
    enrollment: Write[Enrollment] | None = None

    @property
    def is_change(self) -> bool:
        """Whether anything that exists is changed; else it only adds."""
        return any(write is not None and write.before is not None for write in (self.cadet, self.enrollment))


def cadets_write(*, actor: Principal, writes: Sequence[CadetWrite], progress: Progress) -> None:
    """Write all of `writes` in their order. `progress` hears from 0 on how many; what it raises passes through.

    Raises IntegrityError when somebody else has just used the student number of a new cadet.
    """
    progress(0)
    for start in range(0, len(writes), PROGRESS_ROWS):
        step = writes[start : start + PROGRESS_ROWS]
        cadets = [write.cadet for write in step if write.cadet is not None]
        enrollments = [write.enrollment for write in step if write.enrollment is not None]
        _save(Cadet, cadets)
        _save(Enrollment, enrollments)
        audit_record_many(
            actor_id=actor.user_id,
            writes=[*map(_cadet_audited, cadets), *map(_enrollment_audited, enrollments)],
        )
        # The cache first: who is woken by the events fetches at once, and must not find what was cached before.
        cache.touch(*_moved(cadets, enrollments))
        publish_many([*map(_cadet_event, cadets), *map(_enrollment_event, enrollments)])
        progress(start + len(step))


def _save(model: type[_M], writes: Sequence[Write[_M]]) -> None:
    model._default_manager.bulk_create(write.row for write in writes if write.before is None)
    changed = []
    for write in writes:
        if write.before is not None:
            for name, fact in write.facts.items():
                setattr(write.row, name, fact)
            write.row.version += 1
            changed.append(write.row)
    if not changed:
        return
    columns: Mapping[str, str] = _COLUMNS[model]
    sql = _UPDATE.format(
        table=model._meta.db_table,
        assignments=", ".join(f"{name} = given.{name}" for name in columns),
        arrays=", ".join(f"%({name})s::{kind}[]" for name, kind in columns.items()),
        names=", ".join(columns),
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, {name: [getattr(row, name) for row in changed] for name in ("id", *columns)})


def _cadet_audited(write: Write[Cadet]) -> Audited:
    return _audited(write, noun="cadet", new={"student_id": write.row.student_id})


def _enrollment_audited(write: Write[Enrollment]) -> Audited:
    new = {"cadet_id": write.row.cadet_id, "term_id": write.row.term_id}
    return _audited(write, noun="enrollment", new=new)


def _audited(write: Write[Any], *, noun: str, new: Mapping[str, Any]) -> Audited:
    target, facts = f"{noun}:{write.row.pk}", dict(write.facts)
    if write.before is None:
        return Audited(action=f"{noun}.create", target=target, after={**new, **facts})
    return Audited(action=f"{noun}.change", target=target, before=dict(write.before), after=facts)


def _moved(cadets: Iterable[Write[Cadet]], enrollments: Iterable[Write[Enrollment]]) -> list[str]:
    versions = [rules.roster_version()]
    versions += [rules.standing_version(write.row.pk) for write in cadets]
    for write in enrollments:
        versions += [rules.grades_version(write.row.term_id), rules.standing_version(write.row.cadet_id)]
    return list(dict.fromkeys(versions))


def _cadet_event(write: Write[Cadet]) -> tuple[Event, Sequence[str]]:
    kind = CadetCreated if write.before is None else CadetChanged
    return kind(**cadet_told(write.row)), cadet_hearers(write.row)


def _enrollment_event(write: Write[Enrollment]) -> tuple[Event, Sequence[str]]:
    row, hearers = write.row, cadet_hearers(write.row.cadet)
    if write.before is None:
        return EnrollmentCreated(**enrollment_told(row)), hearers
    previous = write.before.get("company_id", row.company_id)
    return EnrollmentChanged(**enrollment_told(row), previous_company_id=previous), hearers
