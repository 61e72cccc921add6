"""Each operation on reports: who may, what comes back, what is refused."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from django.core import signing
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts.models import AuditEntry
from apps.accounts.services import user_archive
from apps.cadets.tests import factories as cadets
from apps.events.models import Event
from apps.reports import rules
from apps.reports.models import Report, State
from apps.reports.tests import factories
from apps.training.tests import factories as training
from core.clock import manila_date, now

pytestmark = pytest.mark.django_db
REPORTS = "/api/v1/reports"


def ask(person: Any, kind: str = "grade_sheet", **fields: Any) -> Any:
    return person.client.post(REPORTS, {"kind": kind, **fields})


def problems(answer: Any) -> dict[str, str]:
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


# --- Asking -----------------------------------------------------------------------------------------------------------


def test_a_report_is_taken_for_the_worker(instructor, term):
    company = cadets.company()
    answer = ask(instructor, company_id=company.pk)
    assert answer.status_code == 202, answer.content
    report = Report.objects.get()
    assert answer["Location"] == f"{REPORTS}/{report.pk}"
    body = answer.json()
    assert {name: body[name] for name in ("id", "kind", "file_format", "state", "term_id", "company_id")} == {
        "id": report.pk,
        "kind": "grade_sheet",
        "file_format": "pdf",
        "state": "queued",
        "term_id": term.pk,
        "company_id": company.pk,
    }
    assert body["title"] == "Grade sheet, Alpha, 2026-2027 First semester"
    assert body["file_name"] == "grade-sheet-alpha-2026-2027-1st.pdf"
    assert body["requested_by"] == {"id": instructor.user.pk, "username": "Ramon"}
    entry = AuditEntry.objects.get(action="report.create")
    assert (entry.actor_id, entry.target) == (instructor.user.pk, f"report:{report.pk}")


def test_once_it_is_committed_the_worker_is_asked_once(admin, term, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        ask(admin)
    assert len(callbacks) == 1


def test_the_same_client_id_is_the_same_report_of_the_same_account_only(
    admin, instructor, term, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks() as callbacks:
        first, again = ask(admin, client_id="page-1"), ask(admin, client_id="page-1")
    assert (first.json()["id"], again.status_code) == (again.json()["id"], 202)
    assert len(callbacks) == 1
    assert AuditEntry.objects.filter(action="report.create").count() == 1
    other = ask(admin, client_id="page-1", file_format="csv")
    assert (other.status_code, other.json()["code"]) == (409, "client_id_used")
    assert ask(instructor, client_id="page-1").json()["id"] != first.json()["id"]
    assert ask(admin, client_id="no spaces, please").status_code == 400


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("attendance_day", {}, {"training_day_id": "required"}),
        ("attendance_day", {"training_day_id": 999}, {"training_day_id": "unknown_training_day"}),
        ("attendance_day", {"training_day_id": 999, "term_id": 1}, {"term_id": "not_for_this_kind"}),
        ("grade_sheet", {"training_day_id": 1, "day": "2026-08-01"}, {"training_day_id": "", "day": ""}),
        ("grade_sheet", {"term_id": 999}, {"term_id": "unknown_term"}),
        ("grade_sheet", {"company_id": 999}, {"company_id": "unknown_company"}),
        ("certificate", {}, {"enrollment_id": "required"}),
        ("certificate", {"enrollment_id": 1, "file_format": "csv"}, {"file_format": "not_for_this_kind"}),
        ("daily", {}, {"day": "required"}),
        ("daily", {"day": "2100-01-01"}, {"day": "in_the_future"}),
        ("daily", {"day": "yesterday"}, {"day": "invalid"}),
        ("grade_slip", {}, {"enrollment_id": "required"}),
        ("novel", {}, {"kind": "invalid_choice"}),
        ("grade_sheet", {"company": 1}, {"company": "unknown_field"}),
        ("grade_sheet", {"company_id": 0}, {"company_id": "min_value"}),
        ("master_list", {"file_format": "docx"}, {"file_format": "invalid_choice"}),
    ],
)
def test_what_is_odd_is_named_by_its_field_and_nothing_is_made(admin, term, kind, fields, expected):
    answer = ask(admin, kind, **fields)
    assert answer.status_code == 400
    found = problems(answer)
    assert set(found) == set(expected)
    assert all(found[name] == code for name, code in expected.items() if code)
    assert not Report.objects.exists()


def test_without_a_current_term_it_has_to_be_named(admin):
    answer = ask(admin)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_current_term")


@pytest.mark.parametrize("kind", ["master_list", "certificate"])
def test_lists_of_people_and_certificates_are_for_administrators(instructor, liza, term, kind):
    fields = {"enrollment_id": liza.enrollment.pk} if kind == "certificate" else {}
    answer = ask(instructor, kind, **fields)
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")


@pytest.mark.parametrize("kind", [kind for kind in rules.KINDS if kind != "grade_slip"])
def test_a_cadet_asks_for_nothing_but_a_slip(liza, term, kind):
    assert ask(liza, kind).status_code == 403


def test_a_cadet_gets_the_own_slip_and_never_anothers(liza, omar, term):
    own = ask(liza, "grade_slip")
    assert own.json()["enrollment_id"] == liza.enrollment.pk
    assert ask(liza, "grade_slip", enrollment_id=liza.enrollment.pk).status_code == 202
    other = ask(liza, "grade_slip", enrollment_id=omar.enrollment.pk)
    missing = ask(liza, "grade_slip", enrollment_id=999_999)
    assert other.status_code == missing.status_code == 404
    assert other.json()["detail"] == missing.json()["detail"]
    assert Report.objects.count() == 2


def test_a_cadet_without_a_place_in_the_term_is_told_so(liza, term):
    former = cadets.former_term()
    answer = ask(liza, "grade_slip", term_id=former.pk)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_enrolled")


def test_twenty_at_once_are_enough(admin, term):
    for _ in range(rules.MOST_UNDER_WAY):
        assert ask(admin).status_code == 202
    answer = ask(admin)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_reports")


# --- Looking ----------------------------------------------------------------------------------------------------------


def test_everybody_sees_the_own_reports_an_administrator_all_and_staff_the_daily_ones(
    admin, instructor, colleague, liza, term
):
    own = factories.asked(instructor.principal, "grade_sheet")
    factories.asked(admin.principal, "master_list")
    slip = factories.asked(liza.principal, "grade_slip")
    daily = Report.objects.create(kind="daily", title="Daily report", file_name="x.pdf", day=manila_date(now()))
    seen = {
        person.user.username: [one["id"] for one in person.client.get(REPORTS).json()["results"]]
        for person in (admin, instructor, colleague, liza)
    }
    assert seen == {
        "Amina": sorted(Report.objects.values_list("pk", flat=True), reverse=True),
        "Ramon": [daily.pk, own.pk],
        "Corazon": [daily.pk],
        "Liza": [slip.pk],
    }
    assert colleague.client.get(f"{REPORTS}/{own.pk}").status_code == 404
    assert colleague.client.get(f"{REPORTS}/{daily.pk}").json()["requested_by"] is None
    assert liza.client.get(f"{REPORTS}/{daily.pk}").status_code == 404
    chosen = admin.client.get(REPORTS, {"kind": "grade_slip", "state": "queued"}).json()
    assert [one["id"] for one in chosen["results"]] == [slip.pk]


def test_a_list_costs_the_same_with_many(admin, term):
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            admin.client.get(REPORTS)
        return len(captured)

    factories.asked(admin.principal, "grade_sheet")
    cost()
    few = cost()
    for _ in range(10):
        factories.asked(admin.principal, "grade_sheet")
    assert cost() == few


# --- Links ------------------------------------------------------------------------------------------------------------


def link_of(person: Any, report: Report) -> Any:
    return person.client.get(f"{REPORTS}/{report.pk}/link")


def opened(url: str, **headers: str) -> tuple[Any, bytes]:
    """What a browser gets that follows a link: the answer, and the file."""
    answer: Any = APIClient().get(url, headers=headers)
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return answer, content


def test_a_link_opens_the_file_without_a_token_and_under_its_name(instructor, liza, term):
    report, content = factories.made(instructor.principal, "grade_sheet")
    answer = link_of(instructor, report)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    url = answer.json()["url"]
    assert report.file.rpartition("/")[2].partition(".")[0] not in url
    answer, found = opened(url)
    assert (answer.status_code, found) == (200, content)
    assert answer["Content-Type"] == "application/pdf"
    assert 'filename="grade-sheet-2026-2027-1st.pdf"' in answer["Content-Disposition"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert opened(url, accept="application/pdf")[0].status_code == 200


@pytest.mark.parametrize("file_format", ["xlsx", "csv"])
def test_other_formats_have_their_types(instructor, liza, term, file_format):
    report, _ = factories.made(instructor.principal, "grade_sheet", file_format=file_format)
    answer, _ = opened(link_of(instructor, report).json()["url"])
    expected = {
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "csv": "text/csv; charset=utf-8",
    }
    assert answer["Content-Type"] == expected[file_format]


def test_a_link_expires_and_a_forged_one_opens_nothing(instructor, liza, term, monkeypatch):
    report, _ = factories.made(instructor.principal, "grade_sheet")
    url = link_of(instructor, report).json()["url"]
    token = url.rpartition("/")[2]
    for forged in (
        f"{token[:-1]}x",
        "x",
        token.replace(":", ""),
        signing.dumps([report.pk], salt="other"),
        "\u0660" * 9,
    ):
        answer = APIClient().get(f"/api/v1/report-files/{forged}")
        assert (answer.status_code, answer.json()["code"]) == (404, "link_malformed"), forged
    monkeypatch.setattr(rules, "LINK_SECONDS", -1)
    answer = APIClient().get(url)
    assert (answer.status_code, answer.json()["code"]) == (404, "link_expired")


def test_a_link_dies_with_the_report_and_with_the_account(admin, instructor, liza, term):
    report, _ = factories.made(instructor.principal, "grade_sheet")
    url = link_of(instructor, report).json()["url"]
    user_archive(actor=admin.principal, user_id=instructor.user.pk)
    assert APIClient().get(url).status_code == 404
    own = link_of(admin, report).json()["url"]
    assert opened(own)[0].status_code == 200
    admin.client.delete(f"{REPORTS}/{report.pk}")
    assert APIClient().get(own).status_code == 404


def test_a_file_that_was_lost_is_said_to_be_missing(admin, liza, term, media: Path):
    report, _ = factories.made(admin.principal, "grade_sheet")
    url = link_of(admin, report).json()["url"]
    (media / report.file).unlink()
    answer = APIClient().get(url)
    assert (answer.status_code, answer.json()["code"]) == (404, "file_missing")


@pytest.mark.parametrize(
    ("state", "code"), [("queued", "report_not_ready"), ("failed", "report_not_ready"), ("expired", "report_expired")]
)
def test_there_is_no_link_without_a_file(admin, term, state, code):
    report = factories.asked(admin.principal, "grade_sheet")
    Report.objects.update(state=state)
    answer = link_of(admin, report)
    assert (answer.status_code, answer.json()["code"]) == (409, code)


# --- Stopping, trying again, removing ---------------------------------------------------------------------------------


def test_one_that_waits_is_stopped_and_can_be_asked_for_again(instructor, term, django_capture_on_commit_callbacks):
    report = factories.asked(instructor.principal, "grade_sheet")
    answer = instructor.client.post(f"{REPORTS}/{report.pk}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert answer.json()["problem"]["code"] == "cancelled"
    assert Event.objects.get(type="report.failed").data == {
        "report_id": report.pk,
        "state": "cancelled",
        "code": "cancelled",
    }
    again = instructor.client.post(f"{REPORTS}/{report.pk}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "report_ended")
    with django_capture_on_commit_callbacks() as callbacks:
        retried = instructor.client.post(f"{REPORTS}/{report.pk}/retry")
    assert (retried.status_code, retried.json()["state"], retried.json()["problem"]) == (202, "queued", None)
    assert len(callbacks) == 1
    twice = instructor.client.post(f"{REPORTS}/{report.pk}/retry")
    assert (twice.status_code, twice.json()["code"]) == (409, "report_not_ended")
    assert factories.performed(report) == State.READY


@pytest.mark.django_db(transaction=True)
def test_a_removed_report_is_gone_with_its_file(instructor, liza, term):
    report, _ = factories.made(instructor.principal, "grade_sheet")
    assert len(factories.stored_files()) == 1
    answer = instructor.client.delete(f"{REPORTS}/{report.pk}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert factories.stored_files() == []
    assert not Report.objects.exists()
    assert Event.objects.get(type="report.deleted").recipients == [f"user:{instructor.user.pk}"]
    entry = AuditEntry.objects.get(action="report.delete")
    assert entry.before is not None
    assert entry.before["state"] == "ready"
    assert instructor.client.delete(f"{REPORTS}/{report.pk}").status_code == 404


def test_anothers_report_can_be_neither_stopped_nor_removed(instructor, colleague, liza, term):
    report = factories.asked(instructor.principal, "grade_sheet")
    for person in (colleague, liza):
        assert person.client.delete(f"{REPORTS}/{report.pk}").status_code == 404
        for action in ("cancel", "retry"):
            assert person.client.post(f"{REPORTS}/{report.pk}/{action}").status_code == 404
    assert Report.objects.get().state == "queued"


def test_the_schedules_reports_belong_to_all_and_are_removed_by_administrators(admin, instructor):
    report = Report.objects.create(kind="daily", title="Daily report", file_name="x.pdf", day=dt.date(2026, 8, 1))
    for answer in (
        instructor.client.delete(f"{REPORTS}/{report.pk}"),
        instructor.client.post(f"{REPORTS}/{report.pk}/cancel"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert admin.client.delete(f"{REPORTS}/{report.pk}").status_code == 204


def test_nobody_is_let_in_without_a_token():
    for method, path in (("get", REPORTS), ("post", REPORTS), ("get", f"{REPORTS}/1"), ("delete", f"{REPORTS}/1")):
        assert getattr(APIClient(), method)(path).status_code == 401


def test_a_training_days_sheet_carries_its_date(instructor, term):
    day = training.day(title="Map reading")
    body = ask(instructor, "attendance_day", training_day_id=day.pk, file_format="xlsx").json()
    assert body["title"] == f"Attendance sheet, {day.date} Map reading"
    assert body["file_name"] == f"attendance-sheet-{day.date}.xlsx"
    assert body["term_id"] == term.pk
