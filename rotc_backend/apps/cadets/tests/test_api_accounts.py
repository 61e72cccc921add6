"""Which account stands behind which record."""

from typing import Any

import pytest

from apps.accounts.models import Role, Status, User
from apps.accounts.tests import factories as accounts
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet, StaffProfile
from apps.cadets.tests import factories
from apps.cadets.tests.expectations import at_once, fields_of, recorded, refused, told
from core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

STAFF = ["role:admin", "role:training_staff"]


def of_cadet(cadet: Cadet) -> str:
    return f"/api/v1/cadets/{cadet.pk}/account"


def of_staff(profile: StaffProfile) -> str:
    return f"/api/v1/staff/{profile.pk}/account"


def link(admin: Person, path: str, user: User) -> Any:
    return admin.client.put(path, {"user_id": user.pk})


def test_a_cadet_gets_an_account_and_both_sides_hear_of_it(admin: Person) -> None:
    cadet, user = factories.cadet(), accounts.user("liza")
    answer = link(admin, of_cadet(cadet), user)
    assert (answer.status_code, answer.json()["user_id"], answer["ETag"]) == (200, user.pk, '"v2"')
    assert told() == [("cadet.changed", [*STAFF, f"user:{user.pk}"])]
    assert accounts.signed_in(user).client.get("/api/v1/cadets/me").json()["id"] == cadet.pk
    assert link(admin, of_cadet(cadet), user)["ETag"] == '"v2"'  # again: nothing happens
    assert recorded("cadet.") == ["cadet.link_account"]


def test_an_account_that_waits_for_approval_can_be_linked(admin: Person) -> None:
    user = accounts.user("liza", status=Status.PENDING)
    assert link(admin, of_cadet(factories.cadet()), user).status_code == 200


def test_staff_get_accounts_of_staff_and_administrators(admin: Person) -> None:
    user = accounts.user("ramon", role=Role.TRAINING_STAFF)
    for account in (user, admin.user):
        answer = link(admin, of_staff(factories.staff_profile()), account)
        assert (answer.status_code, answer.json()["user_id"]) == (200, account.pk)
    assert admin.client.get("/api/v1/staff/me").status_code == 200
    assert recorded("staff.") == ["staff.link_account"] * 2


def test_the_role_has_to_fit(admin: Person) -> None:
    staff, cadet = accounts.user("ramon", role=Role.TRAINING_STAFF), accounts.user("liza")
    assert refused(link(admin, of_cadet(factories.cadet()), staff)) == (409, "role_does_not_fit")
    assert refused(link(admin, of_cadet(factories.cadet()), admin.user)) == (409, "role_does_not_fit")
    assert refused(link(admin, of_staff(factories.staff_profile()), cadet)) == (409, "role_does_not_fit")
    assert not Cadet.objects.exclude(user=None).exists()
    assert told() == []


def test_an_account_has_one_record(admin: Person) -> None:
    user = accounts.user("liza")
    link(admin, of_cadet(factories.cadet()), user)
    assert refused(link(admin, of_cadet(factories.cadet()), user)) == (409, "account_linked")
    # Whose role was changed meanwhile is a cadet's account still, until it is unlinked.
    User.objects.filter(pk=user.pk).update(role=Role.TRAINING_STAFF)
    assert refused(link(admin, of_staff(factories.staff_profile()), user)) == (409, "account_linked")
    assert not StaffProfile.objects.exclude(user=None).exists()


def test_a_record_has_one_account(admin: Person) -> None:
    cadet = factories.cadet(user=accounts.user("liza"))
    assert refused(link(admin, of_cadet(cadet), accounts.user("bea"))) == (409, "already_linked")
    profile = factories.staff_profile(user=accounts.user("ramon", role=Role.TRAINING_STAFF))
    assert refused(link(admin, of_staff(profile), admin.user)) == (409, "already_linked")


def test_nothing_that_is_archived_is_linked(admin: Person) -> None:
    user = accounts.user("liza")
    archived = factories.cadet(archived_at=now())
    assert refused(link(admin, of_cadet(archived), user)) == (409, "record_archived")
    User.objects.filter(pk=user.pk).update(archived_at=now())
    assert refused(link(admin, of_cadet(factories.cadet()), user)) == (409, "account_archived")


@pytest.mark.parametrize(
    ("given", "corrections"),
    [
        ({"user_id": 999}, {"user_id": "unknown_user"}),
        ({"user_id": None}, {"user_id": "null"}),
        ({"user_id": 2**70}, {"user_id": "max_value"}),
        ({}, {"user_id": "required"}),
        ({"user": 1, "user_id": 1}, {"user": "unknown_field"}),
    ],
)
def test_a_field_that_needs_correction_is_named(
    admin: Person, given: dict[str, Any], corrections: dict[str, str]
) -> None:
    assert fields_of(admin.client.put(of_cadet(factories.cadet()), given)) == corrections
    assert fields_of(admin.client.put(of_staff(factories.staff_profile()), given)) == corrections


def test_an_account_is_taken_away_and_its_holder_hears_of_it(admin: Person) -> None:
    user = accounts.user("liza")
    cadet = factories.cadet(user=user)
    for _ in range(2):
        assert admin.client.delete(of_cadet(cadet)).status_code == 204
    cadet.refresh_from_db()
    assert cadet.user_id is None
    assert told() == [("cadet.changed", [*STAFF, f"user:{user.pk}"])]
    assert recorded("cadet.") == ["cadet.unlink_account"]
    assert refused(accounts.signed_in(user).client.get("/api/v1/cadets/me")) == (404, "no_cadet_record")
    assert link(admin, of_cadet(factories.cadet()), user).status_code == 200


def test_staff_lose_their_account_too(admin: Person) -> None:
    profile = factories.staff_profile(user=admin.user)
    assert admin.client.delete(of_staff(profile)).status_code == 204
    assert refused(admin.client.get("/api/v1/staff/me")) == (404, "no_staff_profile")
    assert refused(admin.client.delete("/api/v1/staff/999/account")) == (404, "not_found")
    assert refused(admin.client.delete("/api/v1/cadets/999/account")) == (404, "not_found")


def test_of_two_cadets_linked_to_one_account_at_once_one_gets_it(admin: Person) -> None:
    user = accounts.user("liza")
    paths = [of_cadet(factories.cadet()) for _ in range(3)]
    answers = at_once(*[lambda path=path: link(admin, path, user) for path in paths])
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert Cadet.objects.filter(user=user).count() == 1


def test_of_a_cadet_and_a_staff_profile_linked_to_one_account_at_once_one_gets_it(admin: Person) -> None:
    """The role fits only one of them, so the other is already refused; the lock is what this is about."""
    from apps.cadets import rules

    both = frozenset({"cadet", "training_staff", "admin"})
    before = dict(rules.ROLES_OF_RECORD)
    rules.ROLES_OF_RECORD.update({rules.CADET_RECORD: both, rules.STAFF_RECORD: both})
    try:
        for number in range(4):
            user = accounts.user(f"account{number}")
            paths = [of_cadet(factories.cadet()), of_staff(factories.staff_profile())]
            answers = at_once(*[lambda path=path, user=user: link(admin, path, user) for path in paths])
            assert sorted(answer.status_code for answer in answers) == [200, 409]
            linked = Cadet.objects.filter(user=user).count() + StaffProfile.objects.filter(user=user).count()
            assert linked == 1
    finally:
        rules.ROLES_OF_RECORD.update(before)


def test_of_two_accounts_linked_to_one_cadet_at_once_one_is_behind_it(admin: Person) -> None:
    cadet = factories.cadet()
    users = [accounts.user(name) for name in ("liza", "bea")]
    answers = at_once(*[lambda user=user: link(admin, of_cadet(cadet), user) for user in users])
    assert sorted(answer.status_code for answer in answers) == [200, 409]
