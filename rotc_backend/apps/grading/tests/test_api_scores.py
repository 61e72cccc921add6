from decimal import Decimal
from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Term
from apps.cadets.tests import factories as unit
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.grading.models import ExamScore
from apps.grading.tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


def of(person: CadetPerson, exam: str = "prelim") -> str:
    return f"/api/v1/enrollments/{person.enrollment.pk}/scores/{exam}"


def bulk(term: Term) -> str:
    return f"/api/v1/terms/{term.pk}/scores"


def fields_of(answer: Any) -> dict[str, str]:
    assert answer.status_code == 400, answer.content
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


def told() -> list[tuple[str, list[str], dict[str, Any]]]:
    return [(event.type, event.recipients, event.data) for event in Event.objects.order_by("id")]


def stored() -> dict[tuple[int, str], Decimal]:
    return {(row.enrollment_id, row.exam): row.score for row in ExamScore.objects.all()}


# --- One score --------------------------------------------------------------------------------------------------------


def test_a_score_is_recorded_corrected_and_removed(instructor: StaffPerson, liza: CadetPerson) -> None:
    created = instructor.client.put(of(liza), {"score": "85"})
    row = ExamScore.objects.get()
    assert (created.status_code, created["ETag"], created.json()["etag"]) == (201, f'"v1-{row.pk}"', created["ETag"])
    assert (created.json()["exam"], created.json()["score"], created.json()["version"]) == ("prelim", "85.00", 1)
    corrected = instructor.client.put(of(liza), {"score": "85.25"})
    assert (corrected.status_code, corrected["ETag"], corrected.json()["score"]) == (200, f'"v2-{row.pk}"', "85.25")
    listed = instructor.client.get(f"/api/v1/enrollments/{liza.enrollment.pk}/scores").json()
    assert listed["scores"] == [
        corrected.json(),
        {"exam": "midterm", "score": None, "version": None, "etag": None, "updated_at": None},
        {"exam": "final", "score": None, "version": None, "etag": None, "updated_at": None},
    ]
    assert instructor.client.delete(of(liza)).status_code == 204
    assert instructor.client.delete(of(liza)).status_code == 404
    assert stored() == {}

    target = f"enrollment:{liza.enrollment.pk}"
    entries = AuditEntry.objects.filter(action="score.record", target=target).order_by("id")
    key = str(liza.enrollment.pk)
    assert [(entry.before, entry.after) for entry in entries] == [
        ({key: {"prelim": None}}, {key: {"prelim": "85.00"}}),
        ({key: {"prelim": "85.00"}}, {key: {"prelim": "85.25"}}),
        ({key: {"prelim": "85.25"}}, {key: {"prelim": None}}),
    ]
    term_id, enrollment_id = liza.enrollment.term_id, liza.enrollment.pk
    one = [
        (
            "scores.recorded",
            ["role:admin", "role:training_staff"],
            {"term_id": term_id, "enrollment_ids": [enrollment_id]},
        ),
        (
            "grade.changed",
            [f"user:{liza.user.pk}"],
            {"term_id": term_id, "enrollment_id": enrollment_id, "cause": "score"},
        ),
    ]
    assert told() == one * 3


def test_the_same_score_again_changes_nothing(instructor: StaffPerson, liza: CadetPerson) -> None:
    instructor.client.put(of(liza), {"score": "85"})
    Event.objects.all().delete()
    again = instructor.client.put(of(liza), {"score": "85.00"})
    assert (again.status_code, again.json()["version"]) == (200, 1)
    assert told() == []
    assert AuditEntry.objects.filter(action="score.record").count() == 1


def test_nobody_is_told_of_a_cadet_without_an_account(instructor: StaffPerson, term: Term) -> None:
    enrollment = unit.enrolled()
    instructor.client.put(f"/api/v1/enrollments/{enrollment.pk}/scores/final", {"score": "1"})
    assert [kind for kind, _, _ in told()] == ["scores.recorded"]


@pytest.mark.parametrize(
    ("score", "code"),
    [
        ("100.01", "max_value"),
        ("-0.01", "min_value"),
        ("85.005", "max_decimal_places"),
        ("1e3", "max_whole_digits"),
        ("NaN", "invalid"),
        ("Infinity", "invalid"),
        ("", "invalid"),
        (None, "null"),
        ([], "invalid"),
        (True, "invalid"),
    ],
)
def test_a_score_that_cannot_be_is_refused(instructor: StaffPerson, liza: CadetPerson, score: Any, code: str) -> None:
    assert fields_of(instructor.client.put(of(liza), {"score": score})) == {"score": code}
    assert stored() == {}
    assert told() == []


@pytest.mark.parametrize("score", ["0", "100", "0.01", 85.5])
def test_scores_from_nothing_to_a_hundred_are_taken(instructor: StaffPerson, liza: CadetPerson, score: Any) -> None:
    assert instructor.client.put(of(liza), {"score": score}).status_code == 201
    assert stored() == {(liza.enrollment.pk, "prelim"): Decimal(str(score))}


def test_an_unknown_exam_or_enrollment_is_not_found(instructor: StaffPerson, liza: CadetPerson) -> None:
    for path in (of(liza, "quiz"), of(liza, "%00"), f"/api/v1/enrollments/{2**62}/scores/final"):
        assert instructor.client.put(path, {"score": "1"}).status_code == 404
        assert instructor.client.delete(path).status_code == 404
    assert instructor.client.get(f"/api/v1/enrollments/{2**62}/scores").status_code == 404


def test_a_correction_may_name_the_version_it_was_made_from(instructor: StaffPerson, liza: CadetPerson) -> None:
    def correct(score: str, etag: str) -> Any:
        return instructor.client.put(of(liza), {"score": score}, headers={"If-Match": etag})

    gone = correct("85", '"v1-1"')
    assert (gone.status_code, gone.json()["code"]) == (412, "version_changed")
    first = instructor.client.put(of(liza), {"score": "85"})["ETag"]
    assert correct("86", '"v7"').status_code == 412
    second = correct("86", first)
    assert second.status_code == 200
    stale = correct("87", first)
    assert (stale.status_code, stale.json()["code"]) == (412, "version_changed")
    assert correct("87", second["ETag"]).status_code == 200
    for malformed in ("v1", '"v0-1"', '"v1-"', 'W/"v1-1"', "*"):
        assert fields_of(correct("1", malformed)) == {"If-Match": "invalid"}
    assert stored() == {(liza.enrollment.pk, "prelim"): Decimal(87)}


def test_a_score_that_was_removed_and_recorded_anew_is_another_one(
    instructor: StaffPerson, colleague: StaffPerson, liza: CadetPerson
) -> None:
    read = instructor.client.put(of(liza), {"score": "85"})["ETag"]
    colleague.client.delete(of(liza))
    anew = colleague.client.put(of(liza), {"score": "70"})
    assert anew.json()["version"] == 1
    answer = instructor.client.put(of(liza), {"score": "86"}, headers={"If-Match": read})
    assert (answer.status_code, answer.json()["code"]) == (412, "version_changed")
    assert stored() == {(liza.enrollment.pk, "prelim"): Decimal(70)}


def test_cadets_neither_read_nor_write_scores(liza: CadetPerson, term: Term) -> None:
    client = liza.client
    for answer in (
        client.get(f"/api/v1/enrollments/{liza.enrollment.pk}/scores"),
        client.put(of(liza), {"score": "100"}),
        client.delete(of(liza)),
        client.post(bulk(term), {"records": []}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert stored() == {}


def test_a_closed_term_takes_no_scores(admin: Person, liza: CadetPerson, term: Term) -> None:
    factories.scores(liza.enrollment, "80")
    admin.client.post(f"/api/v1/terms/{term.pk}/close")
    line = {"enrollment_id": liza.enrollment.pk, "exam": "prelim", "score": "100"}
    for answer in (
        admin.client.put(of(liza), {"score": "100"}),
        admin.client.delete(of(liza)),
        admin.client.post(bulk(term), {"records": [line]}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "term_closed")
    assert stored() == {(liza.enrollment.pk, "prelim"): Decimal(80)}


# --- Many scores ------------------------------------------------------------------------------------------------------


def test_many_scores_are_written_in_one_call(
    instructor: StaffPerson, liza: CadetPerson, omar: CadetPerson, term: Term
) -> None:
    factories.scores(liza.enrollment, "80", "70", "60")
    lines = [
        {"enrollment_id": liza.enrollment.pk, "exam": "prelim", "score": "80.00"},
        {"student_id": liza.cadet.student_id.lower(), "exam": "midterm", "score": "75.5"},
        {"enrollment_id": liza.enrollment.pk, "exam": "final", "score": None},
        {"student_id": omar.cadet.student_id, "exam": "prelim", "score": 91},
        {"student_id": omar.cadet.student_id, "exam": "final", "score": None},
    ]
    answer = instructor.client.post(bulk(term), {"records": lines})
    assert answer.status_code == 200, answer.content
    assert answer.json() == {"created": 1, "changed": 1, "removed": 1, "unchanged": 2}
    written = {
        (liza.enrollment.pk, "prelim"): Decimal(80),
        (liza.enrollment.pk, "midterm"): Decimal("75.5"),
        (omar.enrollment.pk, "prelim"): Decimal(91),
    }
    assert stored() == written
    assert [(kind, recipients) for kind, recipients, _ in told()] == [
        ("scores.recorded", ["role:admin", "role:training_staff"]),
        ("grade.changed", [f"user:{liza.user.pk}"]),
        ("grade.changed", [f"user:{omar.user.pk}"]),
    ]
    entry = AuditEntry.objects.get(action="score.record_many")
    assert (entry.target, entry.actor_id) == (f"term:{term.pk}", instructor.user.pk)
    assert entry.before == {
        str(liza.enrollment.pk): {"midterm": "70.00", "final": "60.00"},
        str(omar.enrollment.pk): {"prelim": None},
    }

    Event.objects.all().delete()
    again = instructor.client.post(bulk(term), {"records": lines})
    assert again.json() == {"created": 0, "changed": 0, "removed": 0, "unchanged": 5}
    assert stored() == written
    assert told() == []
    assert AuditEntry.objects.filter(action__startswith="score.").count() == 1


def test_every_line_that_cannot_be_taken_is_named_and_nothing_is_saved(
    instructor: StaffPerson, liza: CadetPerson, term: Term
) -> None:
    elsewhere = unit.enroll(unit.cadet(), term=unit.former_term())
    own = liza.enrollment.pk
    lines = [
        {"enrollment_id": own, "exam": "prelim", "score": "80"},
        {"enrollment_id": elsewhere.pk, "exam": "prelim", "score": "80"},
        {"student_id": "no-such-one", "exam": "prelim", "score": "80"},
        {"student_id": liza.cadet.student_id, "exam": "prelim", "score": "90"},
        {"student_id": elsewhere.cadet.student_id, "exam": "final", "score": None},
    ]
    assert fields_of(instructor.client.post(bulk(term), {"records": lines})) == {
        "records.1.enrollment_id": "unknown_enrollment",
        "records.2.student_id": "unknown_cadet",
        "records.3.student_id": "duplicate",
        "records.4.student_id": "unknown_cadet",
    }
    assert stored() == {}
    assert told() == []


def test_lines_that_are_malformed_are_named(instructor: StaffPerson, liza: CadetPerson, term: Term) -> None:
    own = liza.enrollment.pk
    lines: list[Any] = [
        {"enrollment_id": own, "exam": "prelim", "score": "80"},
        {"enrollment_id": own, "student_id": "x", "exam": "prelim", "score": "80"},
        {"exam": "quiz", "score": "101"},
        {"enrollment_id": 2**63, "exam": "prelim", "score": "80"},
        {"enrollment_id": own, "exam": "final"},
        {"student_id": "nul\x00", "exam": "final", "score": "1"},
        7,
    ]
    found = fields_of(instructor.client.post(bulk(term), {"records": lines}))
    assert found == {
        "records.1": "exactly_one",
        "records.2.exam": "invalid_choice",
        "records.2.score": "max_value",
        "records.3.enrollment_id": "max_value",
        "records.4.score": "required",
        "records.5.student_id": "null_characters_not_allowed",
        "records.6": "invalid",
    }
    assert stored() == {}


@pytest.mark.parametrize(
    ("records", "code"), [([], "empty"), ("x", "not_a_list"), (None, "null"), ([{}] * 501, "max_length")]
)
def test_one_to_five_hundred_lines_are_taken(instructor: StaffPerson, term: Term, records: Any, code: str) -> None:
    assert fields_of(instructor.client.post(bulk(term), {"records": records})) == {"records": code}


def test_five_hundred_lines_need_no_more_queries_than_two(
    instructor: StaffPerson, term: Term, django_assert_max_num_queries: Any
) -> None:
    enrollments = [unit.enrolled() for _ in range(167)]
    lines = [
        {"enrollment_id": one.pk, "exam": exam, "score": "80"}
        for one in enrollments
        for exam in ("prelim", "midterm", "final")
    ][:500]
    client = instructor.client
    with django_assert_max_num_queries(14):
        assert client.post(bulk(term), {"records": lines}).json()["created"] == 500
    with django_assert_max_num_queries(14):
        changed = [{**line, "score": "81"} for line in lines]
        assert client.post(bulk(term), {"records": changed}).json()["changed"] == 500


def test_a_term_that_there_is_not_is_not_found(instructor: StaffPerson) -> None:
    line = {"enrollment_id": 1, "exam": "prelim", "score": "80"}
    assert instructor.client.post(f"/api/v1/terms/{2**62}/scores", {"records": [line]}).status_code == 404
