"""What can be asked about the unit's people and terms."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db.models import F, FilteredRelation, OrderBy, Q, QuerySet, TextField, Value
from django.db.models.functions import Concat, Lower

from apps.cadets.models import Cadet, Company, Enrollment, Platoon, SearchText, StaffProfile, Term
from apps.cadets.rules import CADET_SHEET_COLUMNS, DECIDING_FUNCTIONS, search_words
from core.errors import NotFound
from core.spreadsheets.writing import Written
from core.tables import written_text

# --- Terms and lists --------------------------------------------------------------------------------------------------


def terms_listed() -> QuerySet[Term]:
    """All terms, the latest first."""
    return Term.objects.order_by("-starts_on", "-id")


def term_current() -> Term:
    """The term that is current. Raises NotFound (`no_current_term`) while no administrator has chosen one."""
    term = Term.objects.filter(is_current=True).first()
    if term is None:
        raise NotFound("No term is current. An administrator has to make one current.", code="no_current_term")
    return term


def term_by_id(*, term_id: int) -> Term:
    """Raises NotFound."""
    term = Term.objects.filter(pk=term_id).first()
    if term is None:
        raise NotFound("There is no term with this id.")
    return term


def companies_listed(*, archived: bool = False) -> QuerySet[Company]:
    """The companies in their order: those in use, or the archived ones."""
    return Company.objects.filter(archived_at__isnull=not archived).order_by("position", "name", "id")


def platoons_listed(*, archived: bool = False) -> QuerySet[Platoon]:
    """The platoons in their order: those in use, or the archived ones."""
    return Platoon.objects.filter(archived_at__isnull=not archived).order_by("position", "name", "id")


def company_by_id(*, company_id: int) -> Company:
    """Archived or not. Raises NotFound."""
    company = Company.objects.filter(pk=company_id).first()
    if company is None:
        raise NotFound("There is no company with this id.")
    return company


def platoon_by_id(*, platoon_id: int) -> Platoon:
    """Archived or not. Raises NotFound."""
    platoon = Platoon.objects.filter(pk=platoon_id).first()
    if platoon is None:
        raise NotFound("There is no platoon with this id.")
    return platoon


# --- Cadets -----------------------------------------------------------------------------------------------------------


def cadet_by_id(*, cadet_id: int) -> Cadet:
    """Archived or not. Raises NotFound."""
    cadet = Cadet.objects.filter(pk=cadet_id).first()
    if cadet is None:
        raise NotFound("There is no cadet with this id.")
    return cadet


def cadet_of_user(*, user_id: int) -> Cadet:
    """The cadet whose account this is. Raises NotFound (`no_cadet_record`), also for an archived cadet."""
    cadet = Cadet.objects.filter(user_id=user_id, archived_at=None).first()
    if cadet is None:
        raise NotFound(
            "This account is not linked to a cadet's record. Ask an administrator to link it.", code="no_cadet_record"
        )
    return cadet


def cadet_by_student_id(*, student_id: str) -> Cadet | None:
    """The cadet of this number in any letter case, archived or not."""
    return Cadet.objects.alias(lowered=Lower("student_id")).filter(lowered=student_id.lower()).first()


def cadets_by_student_id(*, student_ids: Iterable[str]) -> dict[str, Cadet]:
    """The cadets of these numbers in any letter case, archived or not, under the number in small letters; one query.

    Numbers that nobody has are missing from the answer.
    """
    lowered = {student_id.lower() for student_id in student_ids}
    found = Cadet.objects.alias(lowered=Lower("student_id")).filter(lowered__in=lowered)
    return {cadet.student_id.lower(): cadet for cadet in found}


_CADET_ORDERS: Mapping[str, tuple[str, ...]] = {
    "name": ("last_name", "first_name", "id"),
    "student_id": ("student_id", "id"),
    "company": ("place__company__position", "place__company__name", "last_name", "first_name", "id"),
    "year_level": ("year_level", "last_name", "first_name", "id"),
    "updated": ("updated_at", "id"),
}
_AT_ONCE = 500  # rows of a sheet that are read together
_SHEET_FIELDS = [column.field for column in CADET_SHEET_COLUMNS]
# The columns of a sheet from the company on are those of a term.
_OF_CADET = _SHEET_FIELDS[: _SHEET_FIELDS.index("company")]
_OF_ENROLLMENT = _SHEET_FIELDS[len(_OF_CADET) :]
CADET_SORTS = [sign + name for name in _CADET_ORDERS for sign in ("", "-")]


def cadets_listed(
    *,
    term_id: int | None,
    enrolled_only: bool = False,
    company_id: int | None = None,
    platoon_id: int | None = None,
    level: str | None = None,
    status: str | None = None,
    archived: bool = False,
    search: str = "",
    sort: str = "name",
) -> QuerySet[Cadet]:
    """Cadets by what they are and by their place in a term, in a total order.

    `sort` is one of CADET_SORTS; rows without the value come last. A company, platoon, level or status is that of the
    enrollment in `term_id`; without any of them (and without `enrolled_only`) those who are not enrolled are listed as
    well. `search` has words that must all occur in number or names, in any letter case, with or without marks.
    """
    place = {"company_id": company_id, "platoon_id": platoon_id, "level": level, "status": status}
    asked = {f"place__{name}": value for name, value in place.items() if value is not None}
    # A join of its own, not filter(enrollments__…): that would give a cadet's row once for each term.
    rows = Cadet.objects.alias(
        place=FilteredRelation("enrollments", condition=Q(enrollments__term_id=term_id or 0))
    ).filter(archived_at__isnull=not archived, **asked)
    if enrolled_only:
        rows = rows.filter(place__isnull=False)
    return _searched(rows, search).order_by(*_order(_CADET_ORDERS[sort.removeprefix("-")], sort.startswith("-")))


def cadets_filtered(
    *, term: int | None = None, company: int | None = None, platoon: int | None = None, **filters: Any
) -> tuple[QuerySet[Cadet], int | None]:
    """(cadets by the filters of the list, the term whose enrollments stand beside them).

    Who is enrolled in `term`; unless told everybody, with the enrollment in the current term, if there is one.
    """
    term_id = term
    if term is None:
        term_id = Term.objects.filter(is_current=True).values_list("pk", flat=True).first()
    rows = cadets_listed(
        term_id=term_id, enrolled_only=term is not None, company_id=company, platoon_id=platoon, **filters
    )
    return rows, term_id


def cadets_sheet(**filters: Any) -> Iterator[list[Written]]:
    """The cadets of `cadets_filtered` as the values of CADET_SHEET_COLUMNS: who is on it is read at once, the rows as
    they are asked for, since whoever takes them may be slow. Who is not enrolled has nothing in the term's columns.
    """
    rows, term_id = cadets_filtered(**filters)
    return _sheet_rows(list(rows.values_list("pk", flat=True)), term_id)


def _sheet_rows(cadet_ids: Sequence[int], term_id: int | None) -> Iterator[list[Written]]:
    for start in range(0, len(cadet_ids), _AT_ONCE):
        ids = cadet_ids[start : start + _AT_ONCE]
        found = Cadet.objects.in_bulk(ids)
        places = enrollments_in(term_id=term_id or 0, cadet_ids=ids)
        for cadet in (found[key] for key in ids if key in found):
            place = places.get(cadet.pk)
            yield [_written(getattr(cadet, name)) for name in _OF_CADET] + [
                None if place is None else _written(getattr(place, name)) for name in _OF_ENROLLMENT
            ]


def _written(value: Any) -> Written:
    """As a cell holds it: a company by its name, a text on one line."""
    return value if value is None or isinstance(value, dt.date | int) else written_text(str(value))


def _order(names: Iterable[str], falling: bool) -> list[OrderBy]:
    return [OrderBy(F(name), descending=falling, nulls_last=True) for name in names]


def _searched(rows: "QuerySet[Any]", search: str) -> "QuerySet[Any]":
    for word in search_words(search):
        rows = rows.filter(search_text__contains=word)  # Django escapes what LIKE would take for wildcards
    return rows


# --- Enrollments ------------------------------------------------------------------------------------------------------


def enrollment_of(*, cadet_id: int, term_id: int) -> Enrollment:
    """Raises NotFound (`not_enrolled`)."""
    enrollment = _with_names(Enrollment.objects.filter(cadet_id=cadet_id, term_id=term_id)).first()
    if enrollment is None:
        raise NotFound("This cadet is not enrolled in this term.", code="not_enrolled")
    return enrollment


def enrollment_by_id(*, enrollment_id: int) -> Enrollment:
    """With cadet, term, company and platoon. Raises NotFound."""
    enrollment = _with_names(Enrollment.objects.filter(pk=enrollment_id)).first()
    if enrollment is None:
        raise NotFound("There is no enrollment with this id.")
    return enrollment


def enrollments_of_cadet(*, cadet_id: int) -> QuerySet[Enrollment]:
    """With their names, the latest term first."""
    return _with_names(Enrollment.objects.filter(cadet_id=cadet_id)).order_by("-term__starts_on", "-id")


def enrollments_in(*, term_id: int, cadet_ids: Iterable[int]) -> dict[int, Enrollment]:
    """The enrollments of these cadets in one term, by cadet id, with company and platoon; one query."""
    rows = Enrollment.objects.filter(term_id=term_id, cadet_id__in=list(cadet_ids))
    return {row.cadet_id: row for row in rows.select_related("company", "platoon")}


def enrollments_listed(
    *,
    term_id: int | None = None,
    company_id: int | None = None,
    platoon_id: int | None = None,
    level: str | None = None,
    status: str | None = None,
    archived: bool = False,
    search: str = "",
) -> QuerySet[Enrollment]:
    """Enrollments of cadets who are (not) archived, with their names: the latest term first, then by name."""
    asked = {
        "term_id": term_id,
        "company_id": company_id,
        "platoon_id": platoon_id,
        "level": level,
        "status": status,
    }
    rows = Enrollment.objects.filter(
        cadet__archived_at__isnull=not archived, **{name: value for name, value in asked.items() if value is not None}
    )
    for word in search_words(search):
        rows = rows.filter(cadet__search_text__contains=word)
    latest_first = () if term_id is not None else ("-term__starts_on", "-term_id")
    return _with_names(rows).order_by(*latest_first, "cadet__last_name", "cadet__first_name", "id")


def enrolled(
    *,
    term_id: int,
    company_id: int | None = None,
    platoon_id: int | None = None,
    archived: bool | None = False,
) -> QuerySet[Enrollment]:
    """Who is enrolled in a term, whatever the status, by name; each with cadet, company and platoon in one query.

    Archived cadets are left out; `archived=None` lists them too, for what concerns a term as it was.
    """
    rows = Enrollment.objects.filter(term_id=term_id)
    if archived is not None:
        rows = rows.filter(cadet__archived_at__isnull=not archived)
    if company_id is not None:
        rows = rows.filter(company_id=company_id)
    if platoon_id is not None:
        rows = rows.filter(platoon_id=platoon_id)
    return rows.select_related("cadet", "company", "platoon").order_by("cadet__last_name", "cadet__first_name", "id")


def user_ids_of_company(*, company_id: int, term_id: int) -> list[int]:
    """The accounts of a company's cadets in a term, ascending: for rooms and notifications."""
    return list(
        Enrollment.objects.filter(
            company_id=company_id, term_id=term_id, cadet__archived_at=None, cadet__user__isnull=False
        )
        .order_by("cadet__user_id")
        .values_list("cadet__user_id", flat=True)
    )


def _with_names(rows: QuerySet[Enrollment]) -> QuerySet[Enrollment]:
    return rows.select_related("cadet", "term", "company", "platoon")


# --- Staff ------------------------------------------------------------------------------------------------------------


def staff_by_id(*, staff_id: int) -> StaffProfile:
    """Archived or not. Raises NotFound."""
    profile = StaffProfile.objects.filter(pk=staff_id).first()
    if profile is None:
        raise NotFound("There is no staff profile with this id.")
    return profile


def staff_of_user(*, user_id: int) -> StaffProfile:
    """The profile whose account this is. Raises NotFound (`no_staff_profile`), also for an archived one."""
    profile = StaffProfile.objects.filter(user_id=user_id, archived_at=None).first()
    if profile is None:
        raise NotFound(
            "This account is not linked to a staff profile. Ask an administrator to link it.", code="no_staff_profile"
        )
    return profile


def staff_listed(*, function: str | None = None, archived: bool = False, search: str = "") -> QuerySet[StaffProfile]:
    """Staff by name. `search` has words that must all occur in names, e-mail or AFPSN, as with cadets."""
    rows = StaffProfile.objects.filter(archived_at__isnull=not archived)
    if function is not None:
        rows = rows.filter(function=function)
    parts = ("last_name", "first_name", "middle_name", "last_name", "email", "afpsn")
    spaced = [piece for part in parts for piece in (F(part), Value(" "))]
    searched = SearchText(Concat(*spaced, output_field=TextField()))
    return _searched(rows.alias(search_text=searched), search).order_by("last_name", "first_name", "id")


def staff_function_of(*, user_id: int) -> str | None:
    """The function of the staff profile that belongs to an account; None where there is none or it is archived."""
    return StaffProfile.objects.filter(user_id=user_id, archived_at=None).values_list("function", flat=True).first()


def deciding_user_ids() -> list[int]:
    """The accounts of the staff who may decide excuse letters, ascending; administrators may as well."""
    return list(
        StaffProfile.objects.filter(function__in=DECIDING_FUNCTIONS, archived_at=None, user__archived_at=None)
        .exclude(user=None)
        .order_by("user_id")
        .values_list("user_id", flat=True)
    )
