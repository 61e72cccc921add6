"""Several people at once, with threads and connections of their own."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection, transaction

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Term
from apps.cadets.tests import factories as unit
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.grading.models import ExamScore, GradeSheet, GradingPolicy, MeritDemerit
from apps.grading.selectors import sheet_findings
from apps.grading.tests import factories
from core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """What each of `works` returns, all begun together. An exception of one is raised."""
    barrier = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)

    def run(place: int, work: Callable[[], Any]) -> None:
        try:
            barrier.wait(30)
            results[place] = work()
        except Exception as error:  # noqa: BLE001 - raised again below, in the thread that pytest watches
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place, work)) for place, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


def wait_for_a_waiting_connection() -> None:
    """Return when another connection to this database waits for a lock."""
    with connection.cursor() as cursor:
        for _ in range(600):
            # Within a transaction the view stays as it was first read, unless it is told otherwise.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0]:
                return
            time.sleep(0.05)
    raise AssertionError("nobody waits")


def statuses(answers: Sequence[Any]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def test_of_two_closings_one_freezes_each_grade_once(admin: Person, term: Term) -> None:
    enrollments = [unit.enrolled() for _ in range(30)]
    clients = [admin.client for _ in range(3)]
    answers = at_once(*(lambda client=client: client.post(f"/api/v1/terms/{term.pk}/close") for client in clients))
    assert statuses(answers) == {200: 1, 409: 2}
    assert {answer.json().get("code") for answer in answers if answer.status_code == 409} == {"term_closed"}
    assert GradeSheet.objects.count() == len(enrollments)
    assert set(GradeSheet.objects.values_list("revision", flat=True)) == {1}
    assert AuditEntry.objects.filter(action="term.close").count() == 1
    assert Event.objects.filter(type="term.closed").count() == 1


def test_of_two_reopenings_one_supersedes(admin: Person, liza: CadetPerson, term: Term) -> None:
    admin.client.post(f"/api/v1/terms/{term.pk}/close")
    clients = [admin.client for _ in range(2)]
    answers = at_once(
        *(lambda client=client: client.post(f"/api/v1/terms/{term.pk}/reopen", {"reason": "x"}) for client in clients)
    )
    assert statuses(answers) == {200: 1, 409: 1}
    assert Event.objects.filter(type="term.reopened").count() == 1


@pytest.mark.parametrize("attempt", range(4))
def test_no_write_reaches_a_grade_after_it_was_frozen(
    admin: Person, instructor: StaffPerson, term: Term, attempt: int
) -> None:
    enrollments = [unit.enrolled() for _ in range(6)]
    held = factories.days(2)
    day = f"/api/v1/training-days/{held[0].pk}/attendance"

    def close() -> Any:
        return [admin.client.post(f"/api/v1/terms/{term.pk}/close")]

    def score(exam: str) -> Callable[[], list[Any]]:
        client = instructor.client
        return lambda: [
            client.put(f"/api/v1/enrollments/{one.pk}/scores/{exam}", {"score": str(40 + attempt)})
            for one in enrollments
        ]

    def award() -> list[Any]:
        client = instructor.client
        return [
            client.post("/api/v1/merits", {"enrollment_id": one.pk, "kind": "demerit", "points": 9, "reason": "Late"})
            for one in enrollments
        ]

    def mark() -> list[Any]:
        client = instructor.client
        return [client.put(f"{day}/{one.cadet_id}", {"status": "late"}) for one in enrollments]

    answers = at_once(close, score("prelim"), score("final"), award, mark)
    assert answers[0][0].status_code == 200
    written = [answer for some in answers[1:] for answer in some]
    assert set(statuses(written)) <= {200, 201, 409}
    assert {answer.json()["code"] for answer in written if answer.status_code == 409} <= {"term_closed"}
    assert list(sheet_findings()) == []
    frozen = {
        (sheet.enrollment_id, exam): score
        for sheet in GradeSheet.objects.all()
        for exam, score in sheet.inputs["exams"].items()
    }
    assert frozen == {(row.enrollment_id, row.exam): str(row.score) for row in ExamScore.objects.all()}


@pytest.mark.parametrize("attempt", range(3))
def test_a_term_is_frozen_by_the_policy_that_it_is_shown_with(
    admin: Person, liza: CadetPerson, term: Term, attempt: int
) -> None:
    closer, changer = admin.client, admin.client
    answers = at_once(
        lambda: closer.post(f"/api/v1/terms/{term.pk}/close"),
        lambda: changer.patch("/api/v1/grading-policy", {"failing_equivalent": "4.00"}, headers={"If-Match": '"v1"'}),
    )
    assert statuses(answers) == {200: 2}
    shown = admin.client.get(f"/api/v1/terms/{term.pk}/grading-policy").json()["failing_equivalent"]
    assert GradeSheet.objects.get().inputs["policy"]["failing_equivalent"] == shown
    assert list(sheet_findings()) == []


def test_a_term_that_got_its_own_policy_and_was_closed_while_a_change_of_the_default_waited_keeps_its_own(
    admin: Person, term: Term
) -> None:
    client = admin.client
    answers: list[Any] = []

    def change() -> None:
        try:
            patch = client.patch("/api/v1/grading-policy", {"failing_equivalent": "4.00"}, headers={"If-Match": '"v1"'})
            answers.append(patch)
        except Exception as error:  # noqa: BLE001 - looked at below, in the thread that pytest watches
            answers.append(error)
        finally:
            connection.close()

    changer = threading.Thread(target=change)
    with transaction.atomic():
        Term.objects.select_for_update(no_key=True).get(pk=term.pk)
        changer.start()
        wait_for_a_waiting_connection()
        factories.own_policy(term, failing_equivalent="7.00")
        Term.objects.filter(pk=term.pk).update(closed_at=now(), closed_by=admin.user)
    changer.join(60)
    assert [getattr(answer, "status_code", answer) for answer in answers] == [200]
    assert dict(GradingPolicy.objects.values_list("term_id", "failing_equivalent")) == {None: "4.00", term.pk: "7.00"}


def test_of_two_revocations_of_one_merit_one_counts(admin: Person, liza: CadetPerson) -> None:
    row = factories.award(liza.enrollment, 10)
    clients = [admin.client for _ in range(3)]
    answers = at_once(
        *(
            lambda client=client, reason=reason: client.post(f"/api/v1/merits/{row.pk}/revoke", {"reason": reason})
            for client, reason in zip(clients, ("a", "b", "c"), strict=True)
        )
    )
    assert statuses(answers) == {200: 1, 409: 2}
    (done,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert MeritDemerit.objects.get(pk=row.pk).revoke_reason == done["revoke_reason"]
    assert Event.objects.filter(type="merit.revoked").count() == 1
    assert AuditEntry.objects.filter(action="merit.revoke").count() == 1


def test_two_uploads_of_the_same_cadets_end_as_one_of_them_and_never_deadlock(
    instructor: StaffPerson, colleague: StaffPerson, term: Term
) -> None:
    enrollments = [unit.enrolled() for _ in range(40)]

    def upload(person: Person, score: str, order: int) -> Callable[[], Any]:
        client = person.client
        lines = [
            {"enrollment_id": one.pk, "exam": exam, "score": score}
            for one in enrollments[::order]
            for exam in ("prelim", "final")
        ]
        return lambda: client.post(f"/api/v1/terms/{term.pk}/scores", {"records": lines})

    first, second = upload(instructor, "70", 1), upload(colleague, "80", -1)
    answers = at_once(first, second, upload(instructor, "70", -1), upload(colleague, "80", 1))
    assert statuses(answers) == {200: 4}
    assert sum(answer.json()["created"] for answer in answers) == 80
    assert ExamScore.objects.count() == 80
    assert ExamScore.objects.values("score").distinct().count() == 1


def test_two_first_scores_of_one_exam_are_one_row(instructor: StaffPerson, liza: CadetPerson) -> None:
    path = f"/api/v1/enrollments/{liza.enrollment.pk}/scores/final"
    clients = [instructor.client for _ in range(4)]
    answers = at_once(
        *(
            lambda client=client, score=score: client.put(path, {"score": str(score)})
            for score, client in enumerate(clients)
        )
    )
    assert statuses(answers) == {201: 1, 200: 3}
    assert ExamScore.objects.get().version == 4


def test_two_first_policies_of_one_term_are_one_row(admin: Person, term: Term) -> None:
    path = f"/api/v1/terms/{term.pk}/grading-policy"
    clients = [admin.client for _ in range(3)]
    etag = admin.client.get(path)["ETag"]
    answers = at_once(
        *(
            lambda client=client, failing=failing: client.patch(
                path, {"failing_equivalent": failing}, headers={"If-Match": etag}
            )
            for client, failing in zip(clients, ("4.00", "6.00", "7.00"), strict=True)
        )
    )
    assert statuses(answers) == {200: 1, 412: 2}
    assert GradingPolicy.objects.filter(term=term).count() == 1
