"""Whatever stands in the cells of a file: a row is refused with words, or is taken; nothing else ever happens."""

from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.accounts.tests.factories import Person
from apps.cadets.models import Term
from apps.cadets.tests import factories as unit
from apps.cadets.tests import tables
from apps.cadets.tests.tables import Bring
from apps.grading import rules
from apps.grading.models import ExamScore
from apps.grading.selectors.exports import scores_sheet
from apps.grading.services.imports import scores_import
from apps.grading.tests import factories

pytestmark = pytest.mark.django_db

FIELDS = ("student_id", *rules.EXAMS)
numbers = st.sampled_from(["M-1", "m-2", "M-3", " M-3 ", "M-5", "2026-00000"])
values = st.one_of(
    st.text(max_size=40),
    st.integers(0, 100),
    st.decimals(0, 100, places=2),
    *tables.ODD_VALUES,
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


@pytest.fixture
def bring(admin: Person, held: Term) -> Bring:
    return tables.bringing(scores_import, rules.SCORE_COLUMNS, actor=admin.principal, term_id=held.pk)


@settings(max_examples=150, deadline=None, suppress_health_check=tables.HEALTH)
@given(lines=st.lists(cells, max_size=6), on_duplicate=st.sampled_from(["update", "skip"]))
def test_a_mangled_row_is_refused_or_taken(bring: Bring, lines: list[dict[str, Any]], on_duplicate: str) -> None:
    with transaction.atomic():
        tables.refused_or_taken(
            partial(bring, on_duplicate=on_duplicate),
            tables.rows(rules.SCORE_COLUMNS, *lines),
            fields=FIELDS,
            written=lambda: tables.footprint(ExamScore),
        )
        transaction.set_rollback(True)


@settings(max_examples=60, deadline=None, suppress_health_check=tables.HEALTH)
@given(
    scores=st.lists(st.none() | st.decimals(0, 100, places=2), min_size=3, max_size=3),
    file_format=st.sampled_from(["csv", "xlsx"]),
)
def test_whatever_is_stored_comes_back_unchanged(
    bring: Bring, held: Term, scores: list[Decimal | None], file_format: str
) -> None:
    with transaction.atomic():
        factories.scores(unit.enrolled(), *(None if score is None else str(score) for score in scores))
        tables.come_back_unchanged(bring, scores_sheet(term_id=held.pk), rules.SCORE_COLUMNS, file_format)
        transaction.set_rollback(True)
