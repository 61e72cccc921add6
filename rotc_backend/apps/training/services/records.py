"""Records of a day, be they of cadets or of staff. Every function belongs into the transaction of its caller.

Every writer of a day's records holds the day's row: two writers of one day come one after another, the second sees
what the first wrote, and rows that stay as they are are neither written nor audited nor told.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import connection

from apps.accounts.rules import ADMIN, TRAINING_STAFF, Principal
from apps.accounts.services import audit_record
from apps.cadets.rules import grades_version, standing_version
from apps.events.services import publish_many
from apps.training import events, rules
from apps.training.models import AttendanceRecord, StaffAttendanceRecord, TrainingDay
from apps.training.selectors.people import Person, cadets_named, staff_named
from apps.training.selectors.roster import counts_by_status
from apps.training.services.holds import training_day_hold
from core import cache
from core.clock import manila_date, now
from core.errors import Conflict, FieldError, NotFound, PreconditionFailed, ValidationFailed
from core.messages import Event
from core.tables import PROGRESS_ROWS, Progress

STAFF_HEARS = (f"role:{ADMIN}", f"role:{TRAINING_STAFF}")
_FACTS = ("status", "time_in", "time_out", "remarks")
ARCHIVED = "This person is archived. An administrator has to restore the record first."
_NO_STATUS = "Nothing is recorded yet, so that a status is needed: present, late, excused or absent."
Record = TypeVar("Record", AttendanceRecord, StaffAttendanceRecord)
Recognised = Callable[[str, Any, Any], bool]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What somebody's attendance is to be. `facts` lacks what shall stay as it is stored; without any nobody is marked.

    `person_id` is a cadet's or a staff profile's; a cadet may be named by `student_id`, in any letter case, instead.
    """

    person_id: int | None = None
    student_id: str = ""
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RecordRead:
    """Which record somebody has read: the row as well as its version, since one that was removed and marked anew counts
    its versions from 1 again.
    """

    row_id: int | None
    version: int


NO_RECORD = RecordRead(row_id=None, version=0)  # somebody has read that nothing is recorded


@dataclass(frozen=True, kw_only=True)
class Flaw:
    """Why the mark at `index` cannot be taken, at the field by which it names the person or at a fact."""

    index: int
    field: str
    code: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Marked(Generic[Record]):
    """What a call did: how many rows it wrote and left, and the records in the order of the marks."""

    created: int
    changed: int
    unchanged: int
    records: list[Record]


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[Record]):
    """What differs between the records of cadets and of staff."""

    model: type[Record]
    noun: str
    person: str  # column and attribute
    named: str  # as callers name it
    action: str
    marked: type[events.AttendanceMarked]
    day_changed: type[events.AttendanceDayChanged]
    graded: bool


@dataclass(frozen=True, kw_only=True)
class Plan(Generic[Record]):
    """What marks of a day come to, before anything is written: facts that are stored, and facts that are wanted.

    Everything is by person; `index_of` has the marks of those who are known. `wanted` lacks those whom a mark without
    facts leaves unmarked.
    """

    day: TrainingDay
    people: Mapping[int, Person]
    index_of: Mapping[int, int]
    existing: Mapping[int, Record]
    wanted: Mapping[int, Mapping[str, Any]]
    flaws: Sequence[Flaw]

    def stored(self, person_id: int) -> dict[str, Any]:
        return facts_of(self.existing.get(person_id))

    @property
    def differing(self) -> dict[int, Mapping[str, Any]]:
        return {
            person_id: facts
            for person_id, facts in self.wanted.items()
            if person_id not in self.existing or self.stored(person_id) != facts
        }


_UPSERT = """
INSERT INTO {table} AS record (training_day_id, {person}, status, time_in, time_out, remarks, source, recorded_by_id,
    version)
SELECT %(day)s, given.person, given.status, given.time_in, given.time_out, given.remarks, %(source)s, %(actor)s, 1
FROM unnest(%(people)s::bigint[], %(status)s::text[], %(time_in)s::timestamptz[], %(time_out)s::timestamptz[],
    %(remarks)s::text[]) AS given (person, status, time_in, time_out, remarks)
ORDER BY given.person
ON CONFLICT (training_day_id, {person}) DO UPDATE SET
    status = excluded.status, time_in = excluded.time_in, time_out = excluded.time_out, remarks = excluded.remarks,
    source = excluded.source, recorded_by_id = excluded.recorded_by_id,
    version = record.version + 1, updated_at = clock_timestamp()
"""


def day_to_mark(training_day_id: int) -> TrainingDay:
    """The day, held for its records. Raises NotFound, and Conflict: `term_closed`, `day_cancelled`, `day_in_future`."""
    day = training_day_hold(training_day_id=training_day_id)
    _refuse_cancelled(day)
    if day.date > manila_date(now()):
        raise Conflict(
            f"This training day is on {day.date} and cannot be marked before. Wait, or correct its date.",
            code="day_in_future",
        )
    return day


def _refuse_cancelled(day: TrainingDay) -> None:
    if day.cancelled_at is not None:
        raise Conflict("This training day is cancelled. Reinstate it first.", code="day_cancelled")


def mark_many(
    kind: Kind[Record], *, actor: Principal, training_day_id: int, marks: Sequence[Mark], source: str
) -> Marked[Record]:
    """All of `marks` or nothing. Raises as `attendance.attendance_mark_many`."""
    plan: Plan[Record] = marks_plan(kind, day=day_to_mark(training_day_id), marks=marks)
    archived: list[Flaw] = [
        Flaw(index=index, field=_named_by(kind, marks[index]), code=f"{kind.noun}_archived", detail=ARCHIVED)
        for person_id, index in plan.index_of.items()
        if plan.people[person_id].archived
    ]
    flaws: list[Flaw] = [*plan.flaws, *archived]
    if flaws:
        flaws.sort(key=lambda flaw: flaw.index)
        raise ValidationFailed(
            "Nothing was saved. Correct these rows and send all of them again.",
            errors=[
                FieldError(field=f"records.{flaw.index}.{flaw.field}", code=flaw.code, detail=flaw.detail)
                for flaw in flaws
            ],
        )
    differing, existing = plan.differing, plan.existing
    write(
        kind,
        actor_id=actor.user_id,
        day=plan.day,
        wanted=differing,
        existing=existing,
        people=plan.people,
        source=source,
    )
    present = existing_of(kind, plan.day, plan.index_of) if differing else existing
    created = sum(person_id not in existing for person_id in differing)
    return Marked(
        created=created,
        changed=len(differing) - created,
        unchanged=len(plan.wanted) - len(differing),
        records=[present[person_id] for person_id in plan.index_of],
    )


def marks_plan(
    kind: Kind[Record], *, day: TrainingDay, marks: Sequence[Mark], recognised: Recognised | None = None
) -> Plan[Record]:
    """What `marks` come to on a day that is held. Archived people are planned like others: the caller judges them.

    `recognised` says of a fact's name, what is given and what is stored whether that is the same in other words.
    """
    by_id = {person.person_id: person for person in _people(kind, day, marks)}
    by_student_id = {person.student_id.lower(): person for person in by_id.values()}
    index_of: dict[int, int] = {}
    flaws: list[Flaw] = []
    for index, mark in enumerate(marks):
        if mark.person_id is not None:
            person = by_id.get(mark.person_id)
        else:  # numbers are ASCII; of other letters, some small ones would be those of a number
            person = by_student_id.get(mark.student_id.lower()) if mark.student_id.isascii() else None
        problem = _stranger_problem(kind, person)
        if problem is None and person is not None and person.person_id in index_of:
            problem = "duplicate_row", f"Row {index_of[person.person_id]} already speaks of the same person."
        if problem is not None:
            flaws.append(Flaw(index=index, field=_named_by(kind, mark), code=problem[0], detail=problem[1]))
        elif person is not None:
            index_of[person.person_id] = index
    existing = existing_of(kind, day, index_of)
    wanted: dict[int, Mapping[str, Any]] = {}
    for person_id, index in index_of.items():
        given = marks[index].facts
        if not given and person_id not in existing:
            continue
        stored = facts_of(existing.get(person_id))
        if recognised is not None:
            given = {name: fact for name, fact in given.items() if not recognised(name, fact, stored[name])}
        wanted[person_id] = {**stored, **given}
        flaws += _fact_flaws(wanted[person_id], day, stored=stored, index=index)
    return Plan(day=day, people=by_id, index_of=index_of, existing=existing, wanted=wanted, flaws=flaws)


def _named_by(kind: Kind[Record], mark: Mark) -> str:
    return kind.named if mark.person_id is not None else "student_id"


def _fact_flaws(facts: Mapping[str, Any], day: TrainingDay, *, stored: Mapping[str, Any], index: int) -> list[Flaw]:
    errors = _time_errors(facts, day, stored=stored, prefix="")
    flaws = [Flaw(index=index, field=error.field, code=error.code, detail=error.detail) for error in errors]
    if facts["status"] is None:
        flaws.append(Flaw(index=index, field="status", code="required", detail=_NO_STATUS))
    return flaws


def mark_one(
    kind: Kind[Record],
    *,
    actor: Principal,
    training_day_id: int,
    mark: Mark,
    source: str,
    expected: RecordRead | None = None,
) -> tuple[Record, bool]:
    """The whole record of one person, and whether it is new. Raises as `attendance.attendance_mark`."""
    day = day_to_mark(training_day_id)
    person = next(iter(_people(kind, day, [mark])), None)
    problem = _person_problem(kind, person)
    if problem is not None or person is None:
        code, detail = problem or ("not_found", "")
        # An archived cadet may at the same time not be enrolled: what is said decides, not what else is true.
        raise (Conflict if code == f"{kind.noun}_archived" else NotFound)(detail, code=code)
    existing = existing_of(kind, day, [person.person_id])
    known = existing.get(person.person_id)
    _refuse_changed(known, expected)
    facts = {**facts_of(None), **mark.facts}
    errors = _time_errors(facts, day, stored=facts_of(known), prefix="")
    if errors:
        raise ValidationFailed("The times cannot be right. Correct them and send the record again.", errors=errors)
    if known is not None and facts_of(known) == facts:
        return known, False
    write(
        kind,
        actor_id=actor.user_id,
        day=day,
        wanted={person.person_id: facts},
        existing=existing,
        people={person.person_id: person},
        source=source,
    )
    return existing_of(kind, day, [person.person_id])[person.person_id], known is None


def _refuse_changed(known: AttendanceRecord | StaffAttendanceRecord | None, expected: RecordRead | None) -> None:
    """The day must be held: with it every record of it is."""
    if expected is None:
        return
    present = NO_RECORD if known is None else RecordRead(row_id=known.pk, version=known.version)
    if present != expected:
        raise PreconditionFailed(
            "Somebody has marked or removed this since you read it. Read it again, look at what changed, and repeat "
            "your correction."
        )


def unmark(kind: Kind[Record], *, actor: Principal, training_day_id: int, person_id: int) -> None:
    """Remove one person's record. Raises as `attendance.attendance_unmark`."""
    day = training_day_hold(training_day_id=training_day_id)
    _refuse_cancelled(day)
    record = existing_of(kind, day, [person_id]).get(person_id)
    if record is None:
        raise NotFound("Nothing is recorded for this person on this day.")
    kind.model._default_manager.filter(pk=record.pk).delete()
    audit_record(
        actor_id=actor.user_id,
        action=f"{kind.action}.unmark",
        target=f"training_day:{day.pk}",
        before={"records": [{kind.named: person_id, **facts_of(record)}], "source": record.source},
    )
    people = _people(kind, day, [Mark(person_id=person_id, facts={})])
    _tell(
        kind,
        day=day,
        facts={person_id: None},
        people={person.person_id: person for person in people},
        source=None,
        created=0,
        removed=1,
    )


def _people(kind: Kind[Record], day: TrainingDay, marks: Sequence[Mark]) -> list[Person]:
    ids = [mark.person_id for mark in marks if mark.person_id is not None]
    if not kind.graded:
        return staff_named(ids=ids)
    student_ids = [mark.student_id for mark in marks if mark.student_id]
    return cadets_named(term_id=day.term_id, ids=ids, student_ids=student_ids)


def _person_problem(kind: Kind[Record], person: Person | None) -> tuple[str, str] | None:
    """(code, detail) of why this person's attendance cannot be marked, or None."""
    problem = _stranger_problem(kind, person)
    if problem is None and person is not None and person.archived:
        return f"{kind.noun}_archived", ARCHIVED
    return problem


def _stranger_problem(kind: Kind[Record], person: Person | None) -> tuple[str, str] | None:
    """(code, detail) of why nothing can be recorded for this person on such a day, or None."""
    if person is None:
        return f"unknown_{kind.noun}", "There is nobody with this number."
    if not person.belongs:
        return "not_enrolled", "This cadet is not enrolled in the term of this training day."
    return None


def _time_errors(
    facts: Mapping[str, Any], day: TrainingDay, *, stored: Mapping[str, Any], prefix: str
) -> list[FieldError]:
    """What cannot be right about the times. One that is stored so stays, even if its day has been moved since."""
    time_in, time_out = facts["time_in"], facts["time_out"]
    errors = [
        FieldError(
            field=f"{prefix}{name}",
            code="time_outside_day",
            detail=f"This is not a time of {day.date} in Manila, nor of the day before or after.",
        )
        for name, instant in (("time_in", time_in), ("time_out", time_out))
        if instant is not None and instant != stored[name] and not rules.time_fits_day(instant, date=day.date)
    ]
    if not errors and time_in is not None and time_out is not None and time_out < time_in:
        errors.append(
            FieldError(field=f"{prefix}time_out", code="time_out_before_in", detail="Nobody leaves before having come.")
        )
    return errors


def existing_of(kind: Kind[Record], day: TrainingDay, person_ids: Iterable[int]) -> dict[int, Record]:
    """The records of these people on the day, by person."""
    rows = kind.model._default_manager.filter(training_day_id=day.pk, **{f"{kind.person}__in": list(person_ids)})
    return {getattr(record, kind.person): record for record in rows}


def facts_of(record: AttendanceRecord | StaffAttendanceRecord | None) -> dict[str, Any]:
    """What a mark says; of no record, what an empty one would say."""
    if record is None:
        return {"status": None, "time_in": None, "time_out": None, "remarks": ""}
    return {name: getattr(record, name) for name in _FACTS}


def write(
    kind: Kind[Record],
    *,
    actor_id: int | None,
    day: TrainingDay,
    wanted: Mapping[int, Mapping[str, Any]],
    existing: Mapping[int, Record],
    people: Mapping[int, Person],
    source: str,
    progress: Progress | None = None,
) -> None:
    """Write records that differ from what is stored, with everything that belongs to a write.

    In steps of LARGEST_BULK, each with an audit entry of its own, but told as one write. `progress` hears from 0 on how
    many rows are written; what it raises passes through.
    """
    rows = sorted(wanted.items())
    if progress is not None:
        progress(0)
    for start in range(0, len(rows), rules.LARGEST_BULK):
        step = rows[start : start + rules.LARGEST_BULK]
        _write_step(kind, actor_id=actor_id, day=day, rows=step, existing=existing, source=source)
        if progress is not None:
            for done in range(start, start + len(step), PROGRESS_ROWS):
                progress(min(done + PROGRESS_ROWS, len(rows)))
    if rows:
        created = sum(person_id not in existing for person_id in wanted)
        _tell(kind, day=day, facts=dict(rows), people=people, source=source, created=created, removed=0)


def _write_step(
    kind: Kind[Record],
    *,
    actor_id: int | None,
    day: TrainingDay,
    rows: Sequence[tuple[int, Mapping[str, Any]]],
    existing: Mapping[int, Record],
    source: str,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            _UPSERT.format(table=kind.model._meta.db_table, person=kind.person),
            {
                "day": day.pk,
                "source": source,
                "actor": actor_id,
                "people": [person_id for person_id, _ in rows],
                **{name: [facts[name] for _, facts in rows] for name in _FACTS},
            },
        )
    audit_record(
        actor_id=actor_id,
        action=f"{kind.action}.mark",
        target=f"training_day:{day.pk}",
        before={"records": [{kind.named: key, **facts_of(existing[key])} for key, _ in rows if key in existing]},
        after={"records": [{kind.named: key, **facts} for key, facts in rows], "source": source},
    )


def _tell(
    kind: Kind[Record],
    *,
    day: TrainingDay,
    facts: Mapping[int, Mapping[str, Any] | None],
    people: Mapping[int, Person],
    source: str | None,
    created: int,
    removed: int,
) -> None:
    """Move the cache and tell each person of the own record, and the staff of the day. None: removed."""
    # The cache first: who is woken by the event fetches at once, and must not find what was cached before it.
    if kind.graded:
        cache.touch(grades_version(day.term_id), *(standing_version(cadet_id) for cadet_id in facts))
    told: list[tuple[Event, Sequence[str]]] = []
    for person_id, new in facts.items():
        user_id = people[person_id].user_id if person_id in people else None
        if user_id is not None:
            marked = kind.marked(
                training_day_id=day.pk, date=day.date, source=source, **(new if new is not None else facts_of(None))
            )
            told.append((marked, [f"user:{user_id}"]))
    day_changed = kind.day_changed(
        training_day_id=day.pk,
        created=created,
        changed=len(facts) - created - removed,
        removed=removed,
        by_status=counts_by_status(kind.model, training_day_id=day.pk),
    )
    publish_many([*told, (day_changed, STAFF_HEARS)])
