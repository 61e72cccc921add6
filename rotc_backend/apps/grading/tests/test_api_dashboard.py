import datetime as dt
from typing import Any

import pytest

from apps.accounts.models import Role, Status
from apps.accounts.tests import factories as accounts
from apps.cadets.models import Cadet, Term
from apps.cadets.tests import factories as unit
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.grading.tests import factories
from apps.training.models import ExcuseLetter
from core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/dashboard"
NONE = {"ongoing": 0, "completed": 0, "incomplete": 0, "failed": 0, "dropped": 0, "deferred": 0}


def test_it_counts_what_staff_look_for_first(instructor: StaffPerson, liza: CadetPerson, omar: CadetPerson) -> None:
    term = liza.enrollment.term
    held = factories.days(2)
    factories.day(days_ago=0, cancelled_at=now(), cancel_reason="Typhoon")
    factories.day(days_ago=-5)
    factories.attend(liza.enrollment, held, ["present", "late"])
    factories.scores(liza.enrollment, "100", "100", "100")
    unit.enrolled(last_name="Abad", status="dropped", company=None, enrolled_on=held[1].date + dt.timedelta(days=1))
    gone = unit.enrolled(last_name="Archived")
    factories.attend(gone, held[1:], ["present"])
    Cadet.objects.filter(pk=gone.cadet_id).update(archived_at=now())
    for place, state in enumerate(("pending", "pending", "withdrawn")):
        date = held[0].date + dt.timedelta(days=place)
        ExcuseLetter.objects.create(cadet=liza.cadet, term=term, date_absent=date, reason="Fever", state=state)
    accounts.user("Wahid", status=Status.PENDING)
    accounts.user("Salazar", status=Status.PENDING, role=Role.TRAINING_STAFF)

    alpha, bravo = unit.company("Alpha"), unit.company("Bravo")
    assert instructor.client.get(PATH).json() == {
        "term": {"id": term.pk, "school_year": term.school_year, "semester": "1st", "closed": False},
        "as_of": unit.today().isoformat(),
        "enrolled": 3,
        "statuses": {**NONE, "ongoing": 2, "dropped": 1},
        "companies": [
            {"company": {"id": alpha.pk, "name": "Alpha"}, "statuses": {**NONE, "ongoing": 1}},
            {"company": {"id": bravo.pk, "name": "Bravo"}, "statuses": {**NONE, "ongoing": 1}},
            {"company": None, "statuses": {**NONE, "dropped": 1}},
        ],
        "grades": [
            {"remark": "Passed", "equivalent": "1.00", "count": 1},
            {"remark": "In progress", "equivalent": None, "count": 1},
            {"remark": "Dropped", "equivalent": None, "count": 1},
        ],
        "last_day": {
            "id": held[1].pk,
            "date": held[1].date.isoformat(),
            "title": held[1].title,
            "expected": 2,
            "by_status": {"present": 0, "late": 1, "excused": 0, "absent": 0, "unmarked": 1},
        },
        "pending_letters": 2,
        "pending_accounts": 2,
    }


def test_an_empty_term_is_all_zeros(instructor: StaffPerson, term: Term) -> None:
    body = instructor.client.get(PATH).json()
    assert (body["enrolled"], body["statuses"], body["companies"], body["grades"]) == (0, NONE, [], [])
    assert body["last_day"] is None


def test_another_term_is_asked_by_its_id(instructor: StaffPerson, term: Term) -> None:
    former = unit.former_term()
    unit.enroll(unit.cadet(), term=former)
    assert instructor.client.get(PATH, {"term": former.pk}).json()["enrolled"] == 1
    assert instructor.client.get(PATH).json()["enrolled"] == 0
    assert instructor.client.get(PATH, {"term": 2**62}).status_code == 404
    Term.objects.filter(pk=term.pk).update(is_current=False)
    assert instructor.client.get(PATH).json()["code"] == "no_current_term"


def test_its_queries_do_not_grow_with_the_unit(
    instructor: StaffPerson, liza: CadetPerson, django_assert_num_queries: Any
) -> None:
    client = instructor.client
    held = factories.days(1)
    for expected in (11, 11):
        factories.cache_emptied()
        factories.token_read_lately(client)
        with django_assert_num_queries(expected):
            client.get(PATH)
        for _ in range(20):
            factories.attend(unit.enrolled(company=unit.company("Bravo")), held, ["present"])
    client.get(PATH)
    factories.token_read_lately(client)
    with django_assert_num_queries(3):
        client.get(PATH)


def test_what_waits_for_a_decision_is_never_stale(instructor: StaffPerson, liza: CadetPerson) -> None:
    client = instructor.client
    assert client.get(PATH).json()["pending_accounts"] == 0
    accounts.user("Wahid", status=Status.PENDING)
    ExcuseLetter.objects.create(cadet=liza.cadet, term=liza.enrollment.term, date_absent=unit.today(), reason="Fever")
    body = client.get(PATH).json()
    assert (body["pending_accounts"], body["pending_letters"]) == (1, 1)


def test_it_is_not_for_cadets(liza: CadetPerson) -> None:
    assert liza.client.get(PATH).status_code == 403
