"""Whatever stands in the cells of a file: a row is refused with words, or is taken; nothing else ever happens."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.tests.factories import Person
from apps.cadets.models import Term
from apps.cadets.tests import factories as unit
from apps.cadets.tests import tables
from apps.grading import rules
from apps.grading.models import ExamScore
from apps.grading.selectors.exports import scores_sheet
from apps.grading.services.imports import scores_import
from apps.grading.tests import factories
from core.spreadsheets.reading import spreadsheet_read
from core.spreadsheets.writing import csv_stream, xlsx_stream
from core.tables import FATES, REFUSE, Row, RowFate

pytestmark = pytest.mark.django_db

FIELDS = ("student_id", *rules.EXAMS)
HEALTH = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
numbers = st.sampled_from(["M-1", "m-2", "M-3", " M-3 ", "M-5", "2026-00000"])
values = st.one_of(
    st.text(max_size=40),
    st.integers(),
    st.integers(0, 100),
    st.floats(),
    st.decimals(0, 100, places=2),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.dates(),
    st.times(),
    st.datetimes(),
    st.timedeltas(),
    st.sampled_from(["85", "85.5", "85,5", "1e2", "-0", "+7", "0x10", "=1+1", "100.000", "\x00", "\ud800"]),
)
cells = st.fixed_dictionaries({}, optional={"student_id": numbers | values, **dict.fromkeys(rules.EXAMS, values)})


@pytest.fixture
def held(term: Term) -> Term:
    factories.scores(unit.enrolled("M-1"), "80", None, "66.6")
    unit.enrolled("M-2")
    unit.enrolled("M-3", archived_at=term.created_at)
    unit.cadet("M-5")
    return term


def imported(person: Person, term: Term, rows: list[Row], **options: Any) -> list[RowFate]:
    told = {"on_duplicate": "update", "dry_run": False, **options}
    return scores_import(actor=person.principal, rows=rows, term_id=term.pk, progress=tables.heard, **told)


@settings(max_examples=150, deadline=None, suppress_health_check=HEALTH)
@given(lines=st.lists(cells, max_size=6), on_duplicate=st.sampled_from(["update", "skip"]))
def test_a_mangled_row_is_refused_or_taken(
    admin: Person, held: Term, lines: list[dict[str, Any]], on_duplicate: str
) -> None:
    rows = tables.rows(rules.SCORE_COLUMNS, *lines)
    with transaction.atomic():
        before = tables.footprint(ExamScore)
        tried = imported(admin, held, rows, on_duplicate=on_duplicate, dry_run=True)
        assert tables.footprint(ExamScore) == before
        done = imported(admin, held, rows, on_duplicate=on_duplicate)
        assert done == tried
        assert [fate.row for fate in done] == [row.row for row in rows]
        assert set(tables.fates(done)) <= set(FATES)
        assert all(bool(fate.problems) == (fate.fate == REFUSE) for fate in done)
        assert all(one.detail and one.code and one.field in FIELDS for fate in done for one in fate.problems)
        if REFUSE in tables.fates(done):
            assert tables.footprint(ExamScore) == before
        else:
            again = imported(admin, held, rows, on_duplicate=on_duplicate)
            assert set(tables.fates(again)) <= {"unchanged", "skip"}
        transaction.set_rollback(True)


@settings(max_examples=60, deadline=None, suppress_health_check=HEALTH)
@given(
    scores=st.lists(st.none() | st.decimals(0, 100, places=2), min_size=3, max_size=3),
    file_format=st.sampled_from(["csv", "xlsx"]),
)
def test_whatever_is_stored_comes_back_unchanged(
    admin: Person, held: Term, scores: list[Decimal | None], file_format: str
) -> None:
    with transaction.atomic():
        factories.scores(unit.enrolled(), *(None if score is None else str(score) for score in scores))
        sheet: Any = {"columns": rules.SCORE_COLUMNS, "rows": scores_sheet(term_id=held.pk)}
        stream = csv_stream(**sheet) if file_format == "csv" else xlsx_stream(**sheet, sheet_name="Scores")
        table = spreadsheet_read(b"".join(stream), columns=rules.SCORE_COLUMNS)
        assert table.problems == []
        assert set(tables.fates(imported(admin, held, list(table.rows)))) == {"unchanged"}
        transaction.set_rollback(True)
