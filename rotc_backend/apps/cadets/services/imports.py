"""Cadets from files. Belongs into the transaction of whoever reads the file.

Lock order: one import of cadets at a time, the term, its cadets, their enrollments; each by ascending id.
"""

import datetime as dt
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection
from django.db.models import CharField, Model
from django.db.models.functions import Lower

from apps.accounts.rules import Principal
from apps.cadets import rules
from apps.cadets.models import (
    Cadet,
    CadetRank,
    Company,
    Enrollment,
    EnrollmentStatus,
    Gender,
    ListEntry,
    MilitaryScienceLevel,
    Platoon,
    Term,
)
from apps.cadets.services.many import CadetWrite, Write, cadets_write
from apps.cadets.services.terms import term_hold_open
from core import tables
from core.clock import manila_date, now
from core.tables import CellRefused, Progress, Row, RowFate, Value, choice_of, choices_by_fold, folded, text_of

_ONE_AT_A_TIME = 7_216_002  # the advisory lock of imports that write; any number that nothing else takes
_MOST_NAMED = 40  # entries of a list in one message
_NAME_PARTS = ("last_name", "first_name", "middle_name", "suffix")
_TEXTS = (*_NAME_PARTS, "email", "contact_number", "address", "religion", "course")
_OF_CADET = (*_TEXTS, "gender", "birthdate", "year_level")
_OF_ENROLLMENT = ("company", "platoon", "battalion", "position", "rank", "level", "status", "enrolled_on")
_LISTS = ("company", "platoon")  # kept by id

_GENDERS = choices_by_fold(*Gender.values, f=str(Gender.FEMALE), m=str(Gender.MALE))
_RANKS = {
    **{folded(rank.removeprefix("CDT ")): rank for rank in CadetRank.values},
    **choices_by_fold(*CadetRank.values, cadet=str(CadetRank.CDT)),
}
_LEVELS = choices_by_fold(
    *MilitaryScienceLevel.values, msi=str(MilitaryScienceLevel.MS1), msii=str(MilitaryScienceLevel.MS2)
)
_STATUSES = choices_by_fold(
    *EnrollmentStatus.values, drop=str(EnrollmentStatus.DROPPED), inc=str(EnrollmentStatus.INCOMPLETE)
)
_ARCHIVED = "This cadet is archived. Restore the record first, or remove the row."
_NO_TERM = "This belongs to a term, and the import names none. Name a term, or leave the column out."

_Entries = Mapping[str, Mapping[int, ListEntry]]  # company or platoon, by id


@dataclass(kw_only=True)
class _Reading:
    """A row, what its cells say, and why others cannot be meant; by field."""

    row: Row
    student_id: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    refusals: dict[str, CellRefused] = field(default_factory=dict)

    @property
    def number(self) -> str:
        return self.student_id.lower()

    def refuse(self, name: str, code: str, detail: str) -> None:
        """What was found wrong first is told."""
        self.refusals.setdefault(name, CellRefused(code, detail))

    def filled(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name in self.facts or name in self.refusals]


@dataclass(frozen=True, kw_only=True)
class _World:
    """What rows are judged by. Cadets by their number in small letters, enrollments by cadet."""

    term: Term | None
    today: dt.date
    cadets: Mapping[str, Cadet]
    enrollments: Mapping[int, Enrollment]
    entries: _Entries
    keep_existing: bool


def cadets_import(
    *,
    actor: Principal,
    rows: Sequence[Row],
    term_id: int | None,
    on_duplicate: str,
    dry_run: bool,
    progress: Progress,
) -> list[RowFate]:
    """Bring cadets, and their enrollments in a term, to what a file says; return what becomes of each row, in order.

    1  hold the term open     2  read the cells     3  who exists? lock them     4  each row's fate
    5  unless one is refused, or only asked: write as the services for one do

    A cadet who is not enrolled is enrolled by a row that fills any column of the term; others leave it so. A blank cell
    keeps what is stored. With `skip` a record that exists stays whole, be it a cadet or an enrollment, and a missing
    one is added. An archived cadet may stand in the file as long as nothing changes. Numbers never change: they say who
    is meant. Without `term_id` the columns of a term have to be blank.

    Problems of rows: `required`, `duplicate_row`, `cadet_archived`, `invalid_student_id`, `invalid_name`,
    `names_differ`, `invalid_email`, `invalid_contact_number`, `invalid_choice`, `invalid_date`, `invalid_number`,
    `out_of_range`, `outside_term`, `too_long`, `unknown_…` and `archived_…` of company and platoon, `no_term`, and what
    `core.tables` refuses in a cell. Raises NotFound, Conflict (`term_closed`), IntegrityError (see `cadets_write`), and
    what `progress` raises.
    """
    if not dry_run:
        with connection.cursor() as cursor:
            # Of two files with the same new cadets the second one finds them, instead of their numbers taken.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ONE_AT_A_TIME])
    term = None
    if term_id is not None:
        term_hold_open(term_id=term_id)
        term = Term.objects.get(pk=term_id)
    today = manila_date(now())
    entries: _Entries = {"company": Company.objects.in_bulk(), "platoon": Platoon.objects.in_bulk()}
    readers = _readers(term=term, today=today, entries=entries)
    readings = deque(_read(row, readers) for row in tables.rows_told(rows, progress))
    cadets = _cadets(readings, lock=not dry_run)
    world = _World(
        term=term,
        today=today,
        cadets=cadets,
        enrollments=_enrollments(term, cadets.values(), lock=not dry_run),
        entries=entries,
        keep_existing=on_duplicate == tables.SKIP_EXISTING,
    )
    fates, writes = [], []
    for fate, write in _judged(readings, world):
        fates.append(fate)
        if write is not None and not dry_run:
            writes.append(write)
    if not dry_run and all(fate.fate != tables.REFUSE for fate in fates):
        cadets_write(actor=actor, writes=writes, progress=progress)
    return fates


# --- What the cells say -----------------------------------------------------------------------------------------------


def _readers(*, term: Term | None, today: dt.date, entries: _Entries) -> dict[str, Callable[[Value], Any]]:
    longest = {name: _longest(Cadet, name) for name in _TEXTS}
    places = {name: _longest(Enrollment, name) for name in ("battalion", "position")}
    return {
        "student_id": text_of,
        "name": partial(rules.line_of, longest=sum(longest[name] + 2 for name in _NAME_PARTS)),
        **{name: partial(rules.line_of, longest=most) for name, most in (longest | places).items()},
        "email": partial(_email, longest=longest["email"]),
        "contact_number": partial(rules.contact_number_of, longest=longest["contact_number"]),
        "gender": partial(choice_of, choices=_GENDERS),
        "birthdate": partial(rules.birthdate_of, today=today),
        "year_level": rules.year_level_of,
        **{noun: partial(_entry, noun=noun, entries=list(entries[noun].values())) for noun in _LISTS},
        "rank": partial(choice_of, choices=_RANKS),
        "level": partial(choice_of, choices=_LEVELS),
        "status": partial(choice_of, choices=_STATUSES),
        "enrolled_on": partial(_enrolled_on, term=term),
    }


def _longest(model: type[Model], name: str) -> int:
    return cast("int", cast("CharField[str, str]", model._meta.get_field(name)).max_length)


def _read(row: Row, readers: Mapping[str, Callable[[Value], Any]]) -> _Reading:
    facts, refusals = tables.cells_read(row, readers)
    reading = _Reading(row=row, student_id=facts.pop("student_id", ""), facts=facts, refusals=refusals)
    if not reading.student_id:
        reading.refuse("student_id", "required", "Write the student number of the cadet.")
    return reading


def _email(value: Value, *, longest: int) -> str:
    text = rules.line_of(value, longest=longest)
    try:
        validate_email(text)
    except ValidationError:
        raise CellRefused("invalid_email", "Write an e-mail address, as liza@example.edu.ph.") from None
    return text


def _enrolled_on(value: Value, *, term: Term | None) -> dt.date:
    day = tables.date_of(value)
    if term is not None and not term.starts_on <= day <= term.ends_on:
        raise CellRefused("outside_term", f"Write a day of the term, from {term.starts_on} to {term.ends_on}.")
    return day


def _entry(value: Value, *, noun: str, entries: Sequence[ListEntry]) -> ListEntry:
    """The entry of a list by its name, as it is or in other spelling; archived ones too, as long as none else is meant.

    Raises CellRefused.
    """
    text = text_of(value)
    for spelled in (str.lower, folded):
        found = [entry for entry in entries if spelled(text) and spelled(entry.name) == spelled(text)]
        in_use = [entry for entry in found if entry.archived_at is None]
        if len(found) == 1 or len(in_use) == 1:
            return (in_use or found)[0]
    names = sorted((entry for entry in entries if entry.archived_at is None), key=lambda one: (one.position, one.name))
    known = ", ".join(entry.name for entry in names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
    choose = f"Write one of: {known}; or add it to the list" if names else "Add it to the list"
    raise CellRefused(f"unknown_{noun}", f"There is no {noun} “{text[:64]}”. {choose} first.")


# --- Who is meant -----------------------------------------------------------------------------------------------------


def _cadets(readings: Iterable[_Reading], *, lock: bool) -> dict[str, Cadet]:
    """The cadets who exist, by their number in small letters. One query."""
    # Numbers are ASCII; of other letters, small ones may be compared otherwise in PostgreSQL than here.
    numbers = {reading.number for reading in readings if reading.student_id.isascii()}
    rows = Cadet.objects.alias(number=Lower("student_id")).filter(number__in=numbers).order_by("pk")
    if lock:
        rows = rows.select_for_update(of=("self",), no_key=True)
    return {cadet.student_id.lower(): cadet for cadet in rows}


def _enrollments(term: Term | None, cadets: Iterable[Cadet], *, lock: bool) -> dict[int, Enrollment]:
    """Their enrollments in the term, by cadet. One query."""
    by_id = {cadet.pk: cadet for cadet in cadets}
    if term is None:
        return {}
    rows = Enrollment.objects.filter(term=term, cadet_id__in=by_id).order_by("pk")
    if lock:
        rows = rows.select_for_update(of=("self",), no_key=True)
    found = {row.cadet_id: row for row in rows}
    for cadet_id, row in found.items():
        row.cadet = by_id[cadet_id]
    return found


# --- What becomes of the rows -----------------------------------------------------------------------------------------


def _judged(readings: deque[_Reading], world: _World) -> Iterator[tuple[RowFate, CadetWrite | None]]:
    """What becomes of each row, and what it writes. A reading is given up with that: all of them take room."""
    first: dict[str, Row] = {}
    while readings:
        reading = readings.popleft()
        earlier = first.setdefault(reading.number, reading.row) if reading.student_id else reading.row
        if earlier is not reading.row:
            detail = f"This cadet stands in {earlier.place} already. Remove one of the two."
            reading.refuse("student_id", "duplicate_row", detail)
        yield _judge(reading, world)


def _judge(reading: _Reading, world: _World) -> tuple[RowFate, CadetWrite | None]:
    """What becomes of a row, and what it writes."""
    stored = world.cadets.get(reading.number) if reading.student_id.isascii() else None
    place = world.enrollments.get(stored.pk) if stored is not None else None
    if world.term is None:
        for name in reading.filled(_OF_ENROLLMENT):
            reading.refusals[name] = CellRefused("no_term", _NO_TERM)
    _divide_name(reading, stored)
    _recognise(reading, _shown_cadet(stored))
    _recognise(reading, _shown_enrollment(place, world))
    if stored is None:
        _refuse_unfinished(reading)
    cadet = _of_cadet(reading, stored)
    enrollment = _of_enrollment(reading, place, cadet.row, world)
    differing = CadetWrite(cadet=_if_any(cadet), enrollment=_if_any(enrollment))
    written = differing
    if world.keep_existing:
        written = CadetWrite(cadet=_if_new(differing.cadet), enrollment=_if_new(differing.enrollment))
    if stored is not None and stored.archived_at is not None and written != CadetWrite():
        reading.refuse("student_id", "cadet_archived", _ARCHIVED)
    row, label = reading.row, str(stored or cadet.row).strip(" ,")[:255]
    if reading.refusals:
        problems = tuple(row.problem(name, one.code, one.detail) for name, one in reading.refusals.items())
        return RowFate(sheet=row.sheet, row=row.row, fate=tables.REFUSE, label=label, problems=problems), None
    if written == CadetWrite():
        fate = tables.UNCHANGED if differing == written else tables.SKIP
        return RowFate(sheet=row.sheet, row=row.row, fate=fate, label=label), None
    fate = tables.CHANGE if written.is_change else tables.CREATE
    changes = _changes(written, world)
    return RowFate(sheet=row.sheet, row=row.row, fate=fate, label=label, changes=changes), written


def _divide_name(reading: _Reading, stored: Cadet | None) -> None:
    """Take a name in one column apart. Columns of its parts beside it have to say the same."""
    text = reading.facts.pop("name", "")
    if not text or (stored is not None and text == rules.composed(tables.written_text(stored.full_name))):
        return
    columns = {name: reading.facts[name] for name in _NAME_PARTS if name in reading.facts}
    whole = Cadet(**columns).full_name
    if {"last_name", "first_name"} <= set(columns) and folded(whole) == folded(text):
        return
    known = (stored.first_name, stored.middle_name) if stored is not None else ("", "")
    try:
        parts = rules.name_parts(text, middle=columns.get("middle_name", ""), known=known)
        for name, part in parts.items():
            if folded(columns.get(name, part)) != folded(part):
                title = name.replace("_", " ")
                raise CellRefused("names_differ", f"The column of the {title} says otherwise. Leave one of them blank.")
            reading.facts.setdefault(name, rules.line_of(part, longest=_longest(Cadet, name)))
    except CellRefused as refusal:
        reading.refusals["name"] = refusal


def _recognise(reading: _Reading, shown: Mapping[str, Any]) -> None:
    """Pass over cells that hold what an export writes for what is stored, be it as nobody could write it anew."""
    for name in reading.filled(shown):
        value = reading.row.values.get(name)
        if value is None or shown[name] is None:
            continue
        try:
            same = tables.written_text(text_of(value)) == tables.written_text(str(shown[name]))
        except CellRefused:
            continue
        if same:
            reading.facts.pop(name, None)
            reading.refusals.pop(name, None)


def _shown_cadet(stored: Cadet | None) -> dict[str, Any]:
    return {} if stored is None else {name: getattr(stored, name) for name in _OF_CADET}


def _shown_enrollment(place: Enrollment | None, world: _World) -> dict[str, Any]:
    if place is None:
        return {}
    return {name: _shown(name, getattr(place, _attribute(name)), world) for name in _OF_ENROLLMENT}


def _refuse_unfinished(reading: _Reading) -> None:
    """What a new cadet needs."""
    try:
        rules.student_id_check(reading.student_id, longest=_longest(Cadet, "student_id"))
    except CellRefused as refusal:
        reading.refuse("student_id", refusal.code, refusal.detail)
    if "student_id" in reading.refusals or "name" in reading.refusals:
        return
    for name, words in (("last_name", "last name"), ("first_name", "first name")):
        if not reading.filled([name]):
            in_one_column = name not in reading.row.letters and "name" in reading.row.letters
            detail = f"There is no cadet with this number yet, and a new one needs a {words}."
            reading.refuse("name" if in_one_column else name, "required", detail)


def _of_cadet(reading: _Reading, stored: Cadet | None) -> Write[Cadet]:
    facts = {name: reading.facts[name] for name in _OF_CADET if name in reading.facts}
    if stored is None:
        return Write(row=Cadet(student_id=reading.student_id, **facts), facts=facts)
    return _changed(stored, facts)


def _of_enrollment(
    reading: _Reading, place: Enrollment | None, cadet: Cadet, world: _World
) -> Write[Enrollment] | None:
    given = {name: reading.facts[name] for name in _OF_ENROLLMENT if name in reading.facts}
    facts = {_attribute(name): fact.pk if name in _LISTS else fact for name, fact in given.items()}
    for noun in _LISTS:
        entry = given.get(noun)
        if entry is None or entry.archived_at is None or (place and entry.pk == getattr(place, f"{noun}_id")):
            continue  # who is in an archived company may stay there
        detail = f"{entry.name} is archived and takes nobody new. Write another, or restore it."
        reading.refuse(noun, f"archived_{noun}", detail)
    if place is not None:
        return _changed(place, facts)
    if not facts or world.term is None:
        return None
    term = world.term
    since = rules.enrollment_date(today=world.today, starts_on=term.starts_on, ends_on=term.ends_on)
    facts = {"enrolled_on": since, **facts}
    return Write(row=Enrollment(cadet=cadet, term=term, **facts), facts=facts)


def _changed(row: Any, facts: Mapping[str, Any]) -> Write[Any]:
    before = {name: getattr(row, name) for name, fact in facts.items() if getattr(row, name) != fact}
    return Write(row=row, facts={name: facts[name] for name in before}, before=before)


def _if_any(write: Write[Any] | None) -> Any:
    return write if write is not None and (write.before is None or write.facts) else None


def _if_new(write: Write[Any] | None) -> Any:
    return write if write is not None and write.before is None else None


def _changes(written: CadetWrite, world: _World) -> dict[str, tuple[Any, Any]]:
    """What is written, by field, as the file shows it."""
    changes = {}
    for write in (written.cadet, written.enrollment):
        if write is None:
            continue
        for attribute, after in write.facts.items():
            name, before = attribute.removesuffix("_id"), (write.before or {}).get(attribute)
            changes[name] = _shown(name, before, world), _shown(name, after, world)
    return changes


def _attribute(name: str) -> str:
    return f"{name}_id" if name in _LISTS else name


def _shown(name: str, value: Any, world: _World) -> Any:
    """The value of an attribute as a file shows it."""
    if value in (None, ""):
        return None
    return world.entries[name][value].name if name in _LISTS else value
