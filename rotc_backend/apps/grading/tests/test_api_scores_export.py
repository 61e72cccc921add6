import io
from typing import Any

import openpyxl
import pytest
from django.db import transaction

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet, Term
from apps.cadets.tests import factories as unit
from apps.cadets.tests import tables
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.grading import rules
from apps.grading.models import ExamScore
from apps.grading.selectors.exports import scores_sheet
from apps.grading.services.imports import scores_import
from apps.grading.tests import factories
from apps.training.tests.problems import fields_of, problem_of
from core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def path(term: Term) -> str:
    return f"/api/v1/terms/{term.pk}/scores/export"


def lines(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return answer.getvalue().decode("utf-8-sig").splitlines()


def test_staff_take_the_scores_of_a_term_as_csv(
    instructor: StaffPerson, liza: CadetPerson, omar: CadetPerson, term: Term
) -> None:
    factories.scores(liza.enrollment, "85", None, "90.5")
    answer = instructor.client.get(path(term))
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="scores-2026-2027-1st.csv"'
    assert answer["Cache-Control"] == "no-store"
    assert lines(answer) == [
        "Student ID,Name,Company,Platoon,Prelim,Midterm,Final",
        f'{liza.cadet.student_id},"Macaraeg, Liza",Alpha,1st Platoon,85.00,,90.50',
        f'{omar.cadet.student_id},"Pangandaman, Omar",Bravo,1st Platoon,,,',
    ]


def test_a_workbook_holds_numbers(instructor: StaffPerson, liza: CadetPerson, term: Term) -> None:
    factories.scores(liza.enrollment, "85.25")
    answer = instructor.client.get(path(term), {"file_format": "xlsx"}, headers={"Accept": XLSX})
    assert answer["Content-Type"] == XLSX
    (sheet,) = openpyxl.load_workbook(io.BytesIO(answer.getvalue())).worksheets
    _, row = sheet.iter_rows(values_only=True)
    assert (row[0], *row[4:]) == (liza.cadet.student_id, 85.25, None, None)


def test_a_company_or_a_platoon_alone_can_be_taken(
    instructor: StaffPerson, liza: CadetPerson, omar: CadetPerson, term: Term
) -> None:
    company, platoon = omar.enrollment.company_id, omar.enrollment.platoon_id
    assert company is not None
    assert platoon is not None
    for query, people in (
        ({"company": company}, [omar]),
        ({"platoon": platoon}, [liza, omar]),
        ({"company": 2**62}, []),
    ):
        found = [line.split(",")[0] for line in lines(instructor.client.get(path(term), query))[1:]]
        assert found == [person.cadet.student_id for person in people]


def test_a_download_is_audited_without_its_rows(instructor: StaffPerson, liza: CadetPerson, term: Term) -> None:
    company = liza.enrollment.company_id
    assert company is not None
    instructor.client.get(path(term), {"file_format": "xlsx", "company": str(company)})
    entry = AuditEntry.objects.get(action="score.export")
    assert (entry.actor_id, entry.target, entry.before) == (instructor.user.pk, f"term:{term.pk}", None)
    assert entry.after == {"file_format": "xlsx", "filters": {"company": company}}


def test_who_may_not_take_them_leaves_no_trace(liza: CadetPerson, instructor: StaffPerson, term: Term) -> None:
    assert problem_of(liza.client.get(path(term))) == (403, "permission_denied")
    for query, field in (({"file_format": "pdf"}, "file_format"), ({"company": "x"}, "company"), ({"a": 1}, "a")):
        assert list(fields_of(instructor.client.get(path(term), query))) == [field]
    assert problem_of(instructor.client.get(f"/api/v1/terms/{2**62}/scores/export")) == (404, "not_found")
    assert not AuditEntry.objects.filter(action="score.export").exists()


def test_a_closed_term_can_still_be_taken(instructor: StaffPerson, liza: CadetPerson, term: Term) -> None:
    Term.objects.update(closed_at=now())
    assert len(lines(instructor.client.get(path(term)))) == 2


@pytest.mark.parametrize("on_duplicate", ["update", "skip"])
@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_importing_an_export_changes_nothing(
    admin: Person, instructor: StaffPerson, term: Term, file_format: str, on_duplicate: str
) -> None:
    for scores in (("0", "100", "66.67"), (None, "33.33", None), (None, None, None), ("87.30", "85.1", "0.01")):
        factories.scores(unit.enrolled(), *scores)
    factories.scores(unit.enrolled("00017", status="dropped"), "50")
    factories.scores(unit.enrolled("2026E5", archived_at=now()), "50")
    rows = tables.read(admin.client.get(path(term), {"file_format": file_format}), rules.SCORE_COLUMNS)
    assert len(rows) == Cadet.objects.count()
    before = tables.footprint(ExamScore)
    with transaction.atomic():
        done = scores_import(
            actor=instructor.principal,
            rows=rows,
            term_id=term.pk,
            on_duplicate=on_duplicate,
            dry_run=False,
            progress=tables.heard,
        )
    assert set(tables.fates(done)) == {"unchanged"}, tables.problems(done)
    assert tables.footprint(ExamScore) == before


@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_an_export_brings_lost_scores_back(
    admin: Person, liza: CadetPerson, omar: CadetPerson, term: Term, file_format: str
) -> None:
    factories.scores(liza.enrollment, "66.67", None, "0.01")
    factories.scores(omar.enrollment, None, "100")
    taken = list(scores_sheet(term_id=term.pk))
    rows = tables.read(admin.client.get(path(term), {"file_format": file_format}), rules.SCORE_COLUMNS)
    ExamScore.objects.all().delete()
    with transaction.atomic():
        scores_import(
            actor=admin.principal,
            rows=rows,
            term_id=term.pk,
            on_duplicate="skip",
            dry_run=False,
            progress=tables.heard,
        )
    assert list(scores_sheet(term_id=term.pk)) == taken
