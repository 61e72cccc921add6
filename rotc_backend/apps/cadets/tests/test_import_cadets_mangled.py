"""Whatever stands in the cells of a file: a row is refused with words, or is taken; nothing else ever happens."""

import datetime as dt
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.accounts.tests.factories import Person
from apps.cadets import rules
from apps.cadets.models import Cadet, Company, Enrollment, Term
from apps.cadets.selectors import cadets_sheet
from apps.cadets.services.imports import cadets_import
from apps.cadets.tests import factories, tables
from apps.cadets.tests.tables import Bring
from core.clock import now

pytestmark = pytest.mark.django_db

FIELDS = [column.field for column in rules.CADET_COLUMNS]
numbers = st.sampled_from(["M-1", "m-2", "M-3", " M-4 ", "M-5", "2026-00000", "N-1", "n-1"])
values = st.one_of(
    st.text(max_size=300),
    *tables.ODD_VALUES,
    st.sampled_from(
        [
            "Cruz, Ana B.", "Cruz, Jr., Ana", ",", ", Ana", "Cruz,", "Jr., Ana", "Cruz, Jr.", "a,b,c,d", "Ñ, ñ",
            "f", "M", "2004-03-25", "38071", "2nd year", "5", "Alpha", "ALPHA", "zulu", "1st Platoon", "ongoing",
            "CDT SGT", "pvt", "MS 1", "a@b.co", "+63 917", "=1+1", "\x00", "\ud800", "\u200d", "\ufffe", "İ",
        ]
    ),
)  # fmt: skip
cells = st.fixed_dictionaries({}, optional={"student_id": numbers | values, **dict.fromkeys(FIELDS[1:], values)})
likely = st.fixed_dictionaries(
    {"student_id": numbers, "name": st.sampled_from(["Cruz, Ana", "Reyes, Bea Santos III"])},
    optional={
        "course": st.text("abñ ', ", max_size=8),
        "company": st.sampled_from(["Alpha", "Bravo"]),
        "status": st.sampled_from(["ongoing", "dropped"]),
        "year_level": st.integers(0, 5),
    },
)


@pytest.fixture
def unit(db: None) -> Term:
    """Cadets who are enrolled, archived, enrolled nowhere; companies in use and not."""
    term = factories.term()
    for number in (1, 2, 3):
        factories.enrolled(f"M-{number}", first_name="Ana")
    factories.enrolled("M-4", archived_at=now())
    factories.cadet("M-5")
    Company.objects.filter(pk=factories.company("Bravo").pk).update(archived_at=now())
    return term


@pytest.fixture
def bring(admin: Person, unit: Term) -> Bring:
    return tables.bringing(cadets_import, rules.CADET_COLUMNS, actor=admin.principal, term_id=unit.pk)


def stored() -> Any:
    return tables.footprint(Cadet), list(Enrollment.objects.order_by("pk").values())


@settings(max_examples=200, deadline=None, suppress_health_check=tables.HEALTH)
@example(lines=[{"student_id": "N-1", "name": "x" * 30_000}], on_duplicate="update", in_term=True)
@example(
    lines=[{"student_id": "N-1", "name": "Cruz, Ana", "birthdate": dt.date.max}], on_duplicate="update", in_term=True
)
@given(
    lines=st.lists(cells | likely, max_size=6), on_duplicate=st.sampled_from(["update", "skip"]), in_term=st.booleans()
)
def test_a_mangled_row_is_refused_or_taken(
    bring: Bring, unit: Term, lines: list[dict[str, Any]], on_duplicate: str, in_term: bool
) -> None:
    options: dict[str, Any] = {"on_duplicate": on_duplicate, "term_id": unit.pk if in_term else None}
    with transaction.atomic():
        tables.refused_or_taken(
            partial(bring, **options), tables.rows(rules.CADET_COLUMNS, *lines), fields=FIELDS, written=stored
        )
        for row in [*Cadet.objects.all(), *Enrollment.objects.all()]:  # what was written can be read, and is sound
            row.clean_fields()
        transaction.set_rollback(True)


storable = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")


@settings(max_examples=80, deadline=None, suppress_health_check=tables.HEALTH)
@given(
    texts=st.fixed_dictionaries(
        {
            name: st.text(storable, max_size=16)
            for name in ("last_name", "first_name", "middle_name", "suffix", "email", "contact_number", "course")
        }
    ),
    birthdate=st.none() | st.dates(),
    in_file=st.tuples(st.text(storable, min_size=1, max_size=16), st.sampled_from(["csv", "xlsx"])),
)
def test_whatever_is_stored_comes_back_unchanged(
    bring: Bring, texts: dict[str, str], birthdate: dt.date | None, in_file: tuple[str, str]
) -> None:
    company, file_format = in_file
    with transaction.atomic():
        Cadet.objects.filter(student_id="M-2").update(**texts, birthdate=birthdate)
        odd = Company.objects.filter(name__iexact=company).first() or Company.objects.create(name=company)
        Enrollment.objects.filter(cadet__student_id="M-2").update(company=odd, position=company)
        tables.come_back_unchanged(
            bring, cadets_sheet(), rules.CADET_SHEET_COLUMNS, file_format, read_as=rules.CADET_COLUMNS
        )
        transaction.set_rollback(True)
