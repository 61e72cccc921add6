import pytest

from apps.accounts.models import Role
from apps.accounts.tests import factories as accounts
from apps.cadets import selectors
from apps.cadets.models import StaffFunction, Term
from apps.cadets.tests import factories
from apps.cadets.tests.factories import cadet, enrolled
from core.clock import now
from core.errors import NotFound

pytestmark = pytest.mark.django_db


def test_who_is_enrolled_comes_by_name_with_one_query(
    term: Term, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    bravo = factories.company("Bravo")
    enrolled("a", last_name="Uy")
    enrolled("b", last_name="Abad", company=bravo, platoon=None, status="dropped")
    enrolled("c", archived_at=now())
    enrolled("d", term=factories.former_term())
    with django_assert_num_queries(1):  # type: ignore[operator]
        found = [
            (row.cadet.student_id, str(row.company), row.platoon and row.platoon.name)
            for row in selectors.enrolled(term_id=term.pk)
        ]
    assert found == [("b", "Bravo", None), ("a", "Alpha", "1st Platoon")]
    assert [row.cadet.student_id for row in selectors.enrolled(term_id=term.pk, company_id=bravo.pk)] == ["b"]
    platoon = factories.platoon()
    assert [row.cadet.student_id for row in selectors.enrolled(term_id=term.pk, platoon_id=platoon.pk)] == ["a"]
    assert [row.cadet.student_id for row in selectors.enrolled(term_id=term.pk, archived=True)] == ["c"]
    assert selectors.enrolled(term_id=term.pk, archived=None).count() == 3


def test_cadets_are_found_by_number_in_any_letter_case() -> None:
    one, other = cadet("Ab-1"), cadet("ab-2", archived_at=now())
    assert selectors.cadet_by_student_id(student_id="AB-1") == one
    assert selectors.cadet_by_student_id(student_id="AB-3") is None
    assert selectors.cadets_by_student_id(student_ids=["aB-1", "AB-2", "ab-3"]) == {"ab-1": one, "ab-2": other}
    assert selectors.cadets_by_student_id(student_ids=[]) == {}


def test_accounts_of_a_company_are_those_of_its_cadets_in_the_term(term: Term) -> None:
    alpha, bravo = factories.company("Alpha"), factories.company("Bravo")
    users = [accounts.user(name) for name in ("liza", "omar", "bea", "ana")]
    enrolled(user=users[1])
    enrolled(user=users[0])
    enrolled(user=users[2], company=bravo)
    enrolled(user=users[3], archived_at=now())
    enrolled()
    expected = sorted(user.pk for user in users[:2])
    assert selectors.user_ids_of_company(company_id=alpha.pk, term_id=term.pk) == expected
    assert selectors.user_ids_of_company(company_id=alpha.pk, term_id=term.pk + 1) == []


def test_a_cadets_enrollment_in_a_term_is_found_or_said_to_be_missing(term: Term) -> None:
    enrollment = enrolled()
    assert selectors.enrollment_of(cadet_id=enrollment.cadet_id, term_id=term.pk) == enrollment
    with pytest.raises(NotFound) as caught:
        selectors.enrollment_of(cadet_id=enrollment.cadet_id, term_id=term.pk + 1)
    assert caught.value.code == "not_enrolled"


def test_only_staff_in_deciding_functions_decide() -> None:
    def staff(name: str, function: str) -> int:
        user = accounts.user(name, role=Role.TRAINING_STAFF)
        factories.staff_profile(function=function, user=user)
        return user.pk

    deciding = [
        staff(f"s{place}", function)
        for place, function in enumerate(
            (
                StaffFunction.COMMANDANT,
                StaffFunction.ASSISTANT_COMMANDANT,
                StaffFunction.NSTP_DIRECTOR,
                StaffFunction.ROTC_COORDINATOR,
                StaffFunction.ADMIN_NCO,
            )
        )
    ]
    others = [staff("i", StaffFunction.INSTRUCTOR), staff("a", StaffFunction.ADMIN)]
    factories.staff_profile(function=StaffFunction.COMMANDANT)
    assert selectors.deciding_user_ids() == deciding
    assert selectors.staff_function_of(user_id=others[0]) == "instructor"
    assert selectors.staff_function_of(user_id=deciding[0]) == "commandant"
    selectors.staff_of_user(user_id=deciding[0])
    from apps.cadets.models import StaffProfile

    StaffProfile.objects.update(archived_at=now())
    assert selectors.deciding_user_ids() == []
    assert selectors.staff_function_of(user_id=deciding[0]) is None


def test_lists_in_use_and_archived_ones_are_told_apart() -> None:
    platoon = factories.platoon("Echo")
    assert platoon in selectors.platoons_listed()
    platoon.archived_at = now()
    platoon.save()
    assert platoon not in selectors.platoons_listed()
    assert list(selectors.platoons_listed(archived=True)) == [platoon]
