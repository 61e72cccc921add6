"""Certificates: issued from what was frozen, checked by everybody, never forged."""

import secrets
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from redis.exceptions import ConnectionError as RedisAway
from rest_framework.test import APIClient

from apps.accounts.models import AuditEntry
from apps.cadets.models import Cadet, Enrollment
from apps.cadets.tests import factories as cadets
from apps.grading.models import GradeSheet
from apps.grading.services.closing import term_close, term_reopen
from apps.grading.tests import factories as grading
from apps.reports import rules
from apps.reports.models import Certificate, Report, State
from apps.reports.services.certificates import certificate_issue, certificate_revoke
from apps.reports.tests import factories
from core.clock import manila_date, now
from core.errors import Conflict, PermissionRefused

pytestmark = pytest.mark.django_db
CERTIFICATES = "/api/v1/certificates"


@pytest.fixture
def passed(admin: Any, term: Any) -> Enrollment:
    """Somebody who has passed a term that is closed, with merits enough for a certificate of them."""
    enrollment = cadets.enrolled(last_name="Peñaranda", first_name="María", middle_name="Santos", suffix="II")
    grading.attend(enrollment, grading.days(3), ["present", "late", "present"])
    grading.scores(enrollment, "85", "90", "95")
    grading.awards(enrollment, merits=60, demerits=5)
    term_close(actor=admin.principal, term_id=term.pk)
    return enrollment


def issue(person: Any, enrollment: Enrollment, certificate_type: str = "completion") -> Certificate:
    return certificate_issue(actor=person.principal, enrollment_id=enrollment.pk, certificate_type=certificate_type)


def asked(code: str) -> Any:
    return APIClient().get(f"{CERTIFICATES}/{code}")


def test_the_paper_and_the_public_answer_say_the_same(admin, passed):
    report, content = factories.made(admin.principal, "certificate", enrollment_id=passed.pk)
    made = Certificate.objects.get()
    (page,) = factories.pages_of(content)
    code = rules.code_shown(made.code)
    for words in (
        "CERTIFICATE OF COMPLETION",
        "María Santos Peñaranda II",
        "military science level MS1",
        "First semester, School Year 2026-2027",
        "Final equivalent: 1.00",
        "Commandant",
        "NSTP Director",
        code,
        f"https://rgms.example/certificates/{made.code}",
    ):
        assert words in page, words
    assert admin.client.get(f"/api/v1/reports/{report.pk}").json()["certificate_code"] == code
    answer = asked(code)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    body = answer.json()
    assert body.pop("issued_at")
    assert body == {
        "code": code,
        "state": "valid",
        "type": "completion",
        "name": "María Santos Peñaranda II",
        "school_year": "2026-2027",
        "semester": "First semester",
        "level": "MS1",
        "equivalent": "1.00",
        "remark": "Passed",
        "merits": None,
        "decided_on": str(manila_date(now())),
        "revoked_at": None,
    }
    assert asked(made.code.lower()).json()["code"] == code


def test_what_it_says_stays_what_was_decided_whatever_changes(admin, passed):
    made = issue(admin, passed)
    Cadet.objects.update(last_name="Cruz")
    Enrollment.objects.update(level="MS2")
    assert asked(made.code).json()["name"] == "María Santos Peñaranda II"
    assert asked(made.code).json()["level"] == "MS1"


def test_printing_it_again_gives_the_same_code_and_another_name_another(admin, passed):
    first = issue(admin, passed)
    assert issue(admin, passed) == first
    assert AuditEntry.objects.filter(action="certificate.issue").count() == 1
    Cadet.objects.update(first_name="Marla")
    second = issue(admin, passed)
    assert second.code != first.code
    assert [asked(one.code).json()["state"] for one in (first, second)] == ["superseded", "valid"]


def test_a_term_that_is_opened_again_supersedes_its_certificates(admin, passed, term):
    first = issue(admin, passed)
    term_reopen(actor=admin.principal, term_id=term.pk, reason="A score was missing.")
    assert asked(first.code).json()["state"] == "superseded"
    with pytest.raises(Conflict) as refused:
        issue(admin, passed)
    assert refused.value.code == "term_open"
    term_close(actor=admin.principal, term_id=term.pk)
    second = issue(admin, passed)
    assert [asked(one.code).json()["state"] for one in (first, second)] == ["superseded", "valid"]


def test_a_certificate_of_merit_says_how_many(admin, passed):
    _, content = factories.made(admin.principal, "certificate", enrollment_id=passed.pk, certificate_type="merit")
    assert "Merits earned: 60" in factories.pages_of(content)[0]
    made = Certificate.objects.get()
    assert (asked(made.code).json()["type"], asked(made.code).json()["merits"]) == ("merit", 60)
    issue(admin, passed)
    assert Certificate.objects.filter(superseded_at=None).count() == 2


@pytest.mark.parametrize("certificate_type", ["completion", "merit"])
def test_who_has_not_passed_gets_none(admin, term, certificate_type):
    enrollment = cadets.enrolled()
    answer = admin.client.post(
        "/api/v1/reports",
        {"kind": "certificate", "enrollment_id": enrollment.pk, "certificate_type": certificate_type},
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "term_open")
    term_close(actor=admin.principal, term_id=term.pk)
    with pytest.raises(Conflict) as refused:
        issue(admin, enrollment, certificate_type)
    assert refused.value.code == "not_passed"
    assert not Certificate.objects.exists()
    assert not Report.objects.exists()


def test_nothing_is_certified_from_a_sheet_that_somebody_has_written_over(admin, passed):
    sheet = GradeSheet.objects.get()
    sheet.result["equivalent"] = "3.00"
    sheet.save(update_fields=["result"])
    with pytest.raises(Conflict) as refused:
        issue(admin, passed)
    assert refused.value.code == "sheet_unsound"


def test_only_administrators_issue_and_revoke(admin, instructor, passed):
    with pytest.raises(PermissionRefused):
        issue(instructor, passed)
    made = issue(admin, passed)
    with pytest.raises(PermissionRefused):
        certificate_revoke(actor=instructor.principal, code=made.code, reason="No.")
    assert instructor.client.post(f"{CERTIFICATES}/{made.code}/revoke", {"reason": "No."}).status_code == 403


def test_a_revoked_one_is_told_so_but_not_why(admin, passed):
    made = issue(admin, passed)
    address = f"{CERTIFICATES}/{rules.code_shown(made.code)}/revoke"
    assert admin.client.post(address, {"reason": " "}).status_code == 400
    answer = admin.client.post(address, {"reason": "The exam was somebody else's."})
    assert (answer.status_code, answer.json()["state"]) == (200, "revoked")
    told = asked(made.code)
    assert told.json()["state"] == "revoked"
    assert told.json()["revoked_at"]
    assert "somebody" not in told.content.decode()
    again = admin.client.post(address, {"reason": "Once more."})
    assert (again.status_code, again.json()["code"]) == (409, "certificate_revoked")
    entry = AuditEntry.objects.get(action="certificate.revoke")
    assert entry.after == {"reason": "The exam was somebody else's."}
    assert issue(admin, passed).code != made.code


def test_removing_a_report_leaves_its_certificate_valid(admin, passed):
    report = factories.asked(admin.principal, "certificate", enrollment_id=passed.pk)
    admin.client.delete(f"/api/v1/reports/{report.pk}")
    assert asked(Certificate.objects.get().code).json()["state"] == "valid"


def test_one_that_is_no_longer_in_force_is_not_printed_again(admin, passed):
    report = factories.asked(admin.principal, "certificate", enrollment_id=passed.pk)
    certificate_revoke(actor=admin.principal, code=Certificate.objects.get().code, reason="No.")
    assert factories.performed(report) == State.FAILED
    assert report.problem_code == "certificate_not_in_force"


# --- Forging ----------------------------------------------------------------------------------------------------------


def test_what_was_never_issued_and_what_was_misread_look_the_same(admin, passed):
    made = issue(admin, passed)
    never = rules.code_made(secrets.token_bytes(rules.CODE_BYTES))
    other = "7" if made.code[3] != "7" else "8"
    misread = made.code[:3] + other + made.code[4:]
    answers = [asked(code) for code in (never, misread, "x", "%00", "é" * 20, "A" * 2000)]
    assert {answer.status_code for answer in answers} == {404}
    assert {(answer.json()["code"], answer.json()["detail"]) for answer in answers} == {
        (answers[0].json()["code"], answers[0].json()["detail"])
    }


def test_a_misread_code_costs_no_query_and_a_right_one_one(admin, passed):
    made = issue(admin, passed)
    with CaptureQueriesContext(connection) as captured:
        asked("K3ZQ9-4T7WV-0H2M8-6XB1C")
    assert len(captured) == 0
    with CaptureQueriesContext(connection) as captured:
        asked(made.code)
    assert len(captured) == 1


def test_an_address_that_asks_too_often_has_to_wait_and_others_do_not(admin, passed, monkeypatch):
    monkeypatch.setattr("apps.reports.api.throttles.CERTIFICATE_ASKS", 3)
    monkeypatch.setattr("apps.reports.api.throttles.time.time", lambda: 1_000_000.0)
    made = issue(admin, passed)
    assert [asked(made.code).status_code for _ in range(3)] == [200] * 3
    answer = asked(made.code)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert APIClient(REMOTE_ADDR="10.9.9.9").get(f"{CERTIFICATES}/{made.code}").status_code == 200
    assert Client().get(f"/certificates/{made.code}").status_code == 429


def test_without_redis_everybody_is_answered(admin, passed, monkeypatch):
    def away(*_: Any, **__: Any) -> Any:
        raise RedisAway

    made = issue(admin, passed)
    monkeypatch.setattr(cache, "add", away)
    assert asked(made.code).status_code == 200


def test_an_old_token_breaks_nothing(admin, passed):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Bearer undefined")
    assert client.get(f"{CERTIFICATES}/{issue(admin, passed).code}").status_code == 200


# --- The page for people ----------------------------------------------------------------------------------------------


def test_the_printed_address_opens_a_page_for_people(admin, passed):
    made = issue(admin, passed)
    answer = Client().get(f"/certificates/{made.code}")
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "Valid." in text
    assert "María Santos Peñaranda II" in text
    assert "script" not in answer["Content-Security-Policy"].replace("script-src", "")
    certificate_revoke(actor=admin.principal, code=made.code, reason="A secret reason")
    text = Client().get(f"/certificates/{made.code}").content.decode()
    assert "Revoked" in text
    assert "Valid." not in text
    assert "secret" not in text


def test_the_page_says_what_is_unknown_and_escapes_what_was_typed():
    answer = Client().get("/certificates/<script>")
    assert answer.status_code == 404
    assert "No certificate has this code." in answer.content.decode()
    assert "<script>" not in answer.content.decode()
