from typing import Any

import pytest

from apps.accounts.tests.factories import Person
from apps.cadets.models import Enrollment, Term
from apps.cadets.tests import factories as unit
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.grading.selectors import grades_of
from apps.grading.tests import factories
from apps.training.models import TrainingDay
from core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)


def path(term: Term) -> str:
    return f"/api/v1/terms/{term.pk}/grades"


def company_of(number: int) -> list[Enrollment]:
    """So many cadets with records on fifteen days, scores, merits and adjustments."""
    held = list(TrainingDay.objects.order_by("date")) or factories.days(15)
    enrollments = [unit.enrolled(last_name=f"Name{index:03d}") for index in range(number)]
    for enrollment in enrollments:
        factories.attend(enrollment, held, ["present"] * 15)
        factories.scores(enrollment, "80", "85", "90")
        factories.awards(enrollment, merits=5, demerits=10)
        factories.adjustment(enrollment, "aptitude", "0.5")
    return enrollments


def test_a_line_holds_the_parts_and_the_outcome_of_each_cadet(
    instructor: StaffPerson, liza: CadetPerson, omar: CadetPerson, term: Term
) -> None:
    factories.attend(liza.enrollment, factories.days(15), ["present"] * 12 + ["absent"] * 3)
    factories.scores(liza.enrollment, "85", "90", "95")
    factories.awards(liza.enrollment, merits=10, demerits=2)
    answer = instructor.client.get(path(term)).json()
    assert answer["count"] == 2
    assert answer["results"][0] == {
        "enrollment_id": liza.enrollment.pk,
        "cadet": {"id": liza.cadet.pk, "student_id": liza.cadet.student_id, "full_name": "Macaraeg, Liza"},
        "archived": False,
        "company": "Alpha",
        "platoon": "1st Platoon",
        "level": "MS1",
        "status": "ongoing",
        "attended": 12,
        "held": 15,
        "attendance": "24.00",
        "aptitude": "30.00",
        "subject": "36.00",
        "total": "90.00",
        "equivalent": "1.50",
        "remark": "Passed",
        "provisional": True,
    }
    other = answer["results"][1]
    assert (other["company"], other["attendance"], other["remark"]) == ("Bravo", "0.00", "In progress")


def test_a_sheet_is_of_a_company_or_a_platoon_and_sorted_by_name(instructor: StaffPerson, term: Term) -> None:
    medics = unit.platoon("Medics")
    second = unit.enrolled(last_name="Bautista")
    first = unit.enrolled(last_name="Abad", platoon=medics)
    third = unit.enrolled(last_name="Cruz", company=unit.company("Bravo"), platoon=medics)
    fourth = unit.enrolled(last_name="Dagohoy", company=None, platoon=None)
    unit.enroll(unit.cadet(), term=unit.former_term())

    def ids(**filters: Any) -> list[int]:
        return [row["enrollment_id"] for row in instructor.client.get(path(term), filters).json()["results"]]

    assert ids() == [first.pk, second.pk, third.pk, fourth.pk]
    assert ids(company=unit.company("Alpha").pk) == [first.pk, second.pk]
    assert ids(platoon=medics.pk) == [first.pk, third.pk]
    assert ids(company=unit.company("Bravo").pk, platoon=medics.pk) == [third.pk]
    assert ids(company=2**62) == []
    assert ids(page=2, page_size=3) == [fourth.pk]
    assert instructor.client.get(path(term), {"company": "Alpha"}).status_code == 400


def test_fifty_grades_need_six_queries_as_one_does(
    instructor: StaffPerson, term: Term, django_assert_num_queries: Any
) -> None:
    company_of(1)
    client = instructor.client
    factories.token_read_lately(client)
    with django_assert_num_queries(6):
        client.get(path(term))
    company_of(49)
    factories.cache_emptied()
    factories.token_read_lately(client)
    with django_assert_num_queries(6):
        answer = client.get(path(term))
    assert answer["Cache-Status"] == "rgms; fwd=uri-miss; stored"
    assert len(answer.json()["results"]) == 50
    with django_assert_num_queries(0):
        assert client.get(path(term))["Cache-Status"] == "rgms; hit"


def test_a_closed_terms_sheet_needs_three(
    admin: Person, instructor: StaffPerson, term: Term, django_assert_num_queries: Any
) -> None:
    company_of(20)
    before = instructor.client.get(path(term)).json()["results"]
    admin.client.post(f"/api/v1/terms/{term.pk}/close")
    client = instructor.client
    factories.token_read_lately(client)
    with django_assert_num_queries(3):
        after = client.get(path(term)).json()["results"]
    assert after == [{**line, "provisional": False} for line in before]


def test_cadets_see_no_sheet_and_an_unknown_term_is_not_found(
    instructor: StaffPerson, liza: CadetPerson, term: Term
) -> None:
    assert liza.client.get(path(term)).status_code == 403
    assert instructor.client.get(f"/api/v1/terms/{2**62}/grades").status_code == 404
    assert instructor.client.get(path(unit.former_term())).json()["results"] == []


def test_an_archived_cadet_is_marked(instructor: StaffPerson, liza: CadetPerson, term: Term) -> None:
    type(liza.cadet).objects.filter(pk=liza.cadet.pk).update(archived_at=now())
    assert instructor.client.get(path(term)).json()["results"][0]["archived"] is True


def test_grades_are_computed_for_other_apps_with_the_same_few_queries(
    admin: Person, term: Term, django_assert_num_queries: Any
) -> None:
    """Of several terms, open and closed, in the order they were asked for."""
    former = unit.former_term()
    enrollments = company_of(3)
    unit.enroll(enrollments[0].cadet, term=former)
    admin.client.post(f"/api/v1/terms/{former.pk}/close")
    rows = list(Enrollment.objects.select_related("term").order_by("-id"))
    with django_assert_num_queries(5):
        grades = grades_of(enrollments=rows, today=unit.today())
    assert [grade.provisional for grade in grades] == [False, True, True, True]
    assert grades_of(enrollments=[], today=unit.today()) == []


def test_many_grades_are_those_of_each_alone(term: Term, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.grading.selectors import grades as selectors

    company_of(4)
    rows = list(Enrollment.objects.select_related("term").order_by("id"))
    alone = [grades_of(enrollments=[one], today=unit.today())[0] for one in rows]
    monkeypatch.setattr(selectors, "_NAMED_AT_MOST", 2)  # whole terms are read then, and others' rows left aside
    assert grades_of(enrollments=rows, today=unit.today()) == alone
    assert grades_of(enrollments=rows[:3], today=unit.today()) == alone[:3]
