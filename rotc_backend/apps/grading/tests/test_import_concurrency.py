"""Files of scores that are brought in at the same moment, each on a connection of its own."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.rules import Principal
from apps.accounts.tests.factories import Person
from apps.cadets.models import Enrollment, Term
from apps.cadets.tests import factories as unit
from apps.cadets.tests import tables
from apps.cadets.tests.factories import StaffPerson
from apps.events.models import Event
from apps.grading import rules
from apps.grading.models import ExamScore, GradeSheet
from apps.grading.selectors import sheet_findings
from apps.grading.services.imports import scores_import
from apps.grading.services.scores import score_put
from apps.grading.tests.test_concurrency import at_once
from core.errors import Conflict
from core.tables import RowFate

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 40


@pytest.fixture
def people(db: None) -> list[Enrollment]:
    return [unit.enrolled() for _ in range(ROWS)]


def bringing(actor: Principal, people: list[Enrollment], score: int) -> Callable[[], list[RowFate]]:
    lines = [{"student_id": one.cadet.student_id, "prelim": score, "final": score} for one in people]
    bring = tables.bringing(scores_import, rules.SCORE_COLUMNS, actor=actor, term_id=people[0].term_id)
    return partial(bring, *lines)


@pytest.mark.parametrize("attempt", range(3))
def test_of_two_imports_of_one_file_one_writes_and_the_other_finds_all_unchanged(
    admin: Person, instructor: StaffPerson, people: list[Enrollment], attempt: int
) -> None:
    done = at_once(bringing(admin.principal, people, 80), bringing(instructor.principal, people[::-1], 80))
    assert sorted(fate for fates in done for fate in set(tables.fates(fates))) == ["create", "unchanged"]
    assert set(ExamScore.objects.values_list("score", "version")) == {(Decimal(80), 1)}
    assert ExamScore.objects.count() == 2 * ROWS
    assert AuditEntry.objects.filter(action="score.record_many").count() == 1
    assert Event.objects.filter(type="scores.recorded").count() == 1


@pytest.mark.parametrize("attempt", range(3))
def test_two_files_of_the_same_cadets_end_as_one_of_them(
    admin: Person, instructor: StaffPerson, people: list[Enrollment], attempt: int
) -> None:
    at_once(bringing(admin.principal, people, 70), bringing(instructor.principal, people[::-1], 80))
    assert ExamScore.objects.count() == 2 * ROWS
    assert ExamScore.objects.values("score", "version").distinct().count() == 1
    assert set(ExamScore.objects.values_list("version", flat=True)) == {2}


@pytest.mark.parametrize("attempt", range(3))
def test_single_scores_during_an_import_come_before_it_or_after_it(
    admin: Person, instructor: StaffPerson, people: list[Enrollment], attempt: int
) -> None:
    def single(one: Enrollment) -> Callable[[], Any]:
        return lambda: score_put(actor=instructor.principal, enrollment_id=one.pk, exam="prelim", score=Decimal("55.5"))

    at_once(bringing(admin.principal, people, 80), single(people[0]), single(people[-1]))
    assert ExamScore.objects.count() == 2 * ROWS
    for one in (people[0], people[-1]):
        row = ExamScore.objects.get(enrollment=one, exam="prelim")
        assert (row.version, row.score in {Decimal(80), Decimal("55.5")}) == (2, True)


@pytest.mark.parametrize("attempt", range(3))
def test_a_file_that_meets_the_closing_of_its_term_is_frozen_with_it_or_refused(
    admin: Person, people: list[Enrollment], term: Term, attempt: int
) -> None:
    refused: list[str] = []
    bring, closer = bringing(admin.principal, people, 80), admin.client

    def file() -> None:
        try:
            bring()
        except Conflict as conflict:
            refused.append(conflict.code)

    _, closed = at_once(file, lambda: closer.post(f"/api/v1/terms/{term.pk}/close"))
    assert closed.status_code == 200
    assert refused in ([], ["term_closed"])
    assert ExamScore.objects.count() == (0 if refused else 2 * ROWS)
    frozen = {len(sheet.inputs["exams"]) for sheet in GradeSheet.objects.all()}
    assert frozen == ({0} if refused else {2})
    assert list(sheet_findings()) == []
