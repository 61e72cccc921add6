import datetime as dt
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts import services
from apps.accounts.models import Attempts, AuditEntry, Role, Session, Status, User
from apps.accounts.tests import factories
from apps.accounts.tests.concurrency import together
from apps.accounts.tests.factories import PASSWORD, Person

pytestmark = pytest.mark.django_db
WRONG = "not the password"


def sign_in(username: str, password: str, **environment: Any) -> Any:
    return APIClient().post("/api/v1/auth/login", {"username": username, "password": password}, **environment)


def codes(username: str, passwords: list[str], **environment: Any) -> list[tuple[int, str | None]]:
    answers = [sign_in(username, password, **environment) for password in passwords]
    return [(answer.status_code, answer.json().get("code")) for answer in answers]


def time_passes(**duration: float) -> None:
    """As if everything that is counted had happened so long before."""
    past = dt.timedelta(**duration)
    for row in Attempts.objects.all():
        row.at = [at - past for at in row.at]
        row.last_at -= past
        row.locked_until = row.locked_until and row.locked_until - past
        row.save()


def test_the_sixth_guess_is_refused_and_so_is_the_right_password() -> None:
    factories.user("Liza")
    assert codes("Liza", [WRONG] * 5) == [(401, "credentials_wrong")] * 5
    answer = sign_in("Liza", PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (429, "account_locked")
    assert 14 * 60 < int(answer.headers["Retry-After"]) <= 15 * 60
    assert Session.objects.count() == 0
    factories.user("Omar")
    assert sign_in("Omar", PASSWORD).status_code == 200


def test_a_lock_ends_after_fifteen_minutes_and_the_count_starts_again() -> None:
    factories.user("Liza")
    codes("Liza", [WRONG] * 5)
    time_passes(minutes=14.9)
    assert sign_in("Liza", PASSWORD).status_code == 429
    time_passes(minutes=0.2)
    assert codes("Liza", [WRONG] * 4) == [(401, "credentials_wrong")] * 4
    assert sign_in("Liza", PASSWORD).status_code == 200


def test_refusals_during_a_lock_do_not_prolong_it() -> None:
    factories.user("Liza")
    codes("Liza", [WRONG] * 5)
    time_passes(minutes=10)
    codes("Liza", [WRONG] * 5)
    time_passes(minutes=5.1)
    assert sign_in("Liza", PASSWORD).status_code == 200


def test_guesses_count_for_fifteen_minutes_each() -> None:
    factories.user("Liza")
    codes("Liza", [WRONG] * 2)
    time_passes(minutes=10)
    codes("Liza", [WRONG] * 2)
    time_passes(minutes=5.1)  # the first two are forgotten
    assert codes("Liza", [WRONG] * 3) == [(401, "credentials_wrong")] * 3
    assert sign_in("Liza", PASSWORD).status_code == 429


def test_the_right_password_starts_the_count_again_also_when_the_account_is_closed() -> None:
    account = factories.user("Liza")
    for status, expected in ((Status.APPROVED, 200), (Status.PENDING, 403)):
        User.objects.filter(pk=account.pk).update(status=status)
        codes("Liza", [WRONG] * 4)
        assert sign_in("Liza", PASSWORD).status_code == expected
    assert codes("Liza", [WRONG] * 5) == [(401, "credentials_wrong")] * 5


def test_every_letter_case_and_form_of_a_name_is_the_same_account() -> None:
    name = "Jos\N{LATIN SMALL LETTER E WITH ACUTE}"
    services.user_create(actor_id=None, username=name, role=Role.CADET, status=Status.APPROVED, password=PASSWORD)
    typed = [
        "jos\N{LATIN SMALL LETTER E WITH ACUTE}",
        "JOS\N{LATIN CAPITAL LETTER E WITH ACUTE}",
        "Jose\N{COMBINING ACUTE ACCENT}",
        "JoS\N{LATIN SMALL LETTER E WITH ACUTE}",
        "jOsE\N{COMBINING ACUTE ACCENT}",
    ]
    for name in typed:
        assert sign_in(name, WRONG).status_code == 401
    assert sign_in("Jos\N{LATIN SMALL LETTER E WITH ACUTE}", PASSWORD).json()["code"] == "account_locked"
    assert Attempts.objects.filter(kind="account").count() == 1


def test_a_name_that_only_looks_alike_is_not_locked_with_it() -> None:
    factories.user("admin", role=Role.ADMIN)
    codes("adm\N{LATIN SMALL LETTER DOTLESS I}n", [WRONG] * 5)
    assert sign_in("admin", PASSWORD).status_code == 200


def test_a_name_that_nobody_has_is_locked_in_the_same_way() -> None:
    factories.user("Liza")
    assert codes("nobody", [WRONG] * 6) == codes("Liza", [WRONG] * 6)


def test_what_was_typed_as_a_name_is_not_kept() -> None:
    sign_in("my-password-in-the-wrong-field", WRONG)
    assert "wrong-field" not in str(list(Attempts.objects.values()))


# --- Addresses --------------------------------------------------------------------------------------------------------

EDGE = "104.22.17.40, 10.21.157.68"


@pytest.fixture
def behind_render(settings: Settings) -> None:
    settings.TRUSTED_PROXY_COUNT = 1


def from_address(address: str) -> dict[str, str]:
    return {"REMOTE_ADDR": "10.21.157.1", "HTTP_X_FORWARDED_FOR": f"{address}, {EDGE}"}


def test_thirty_guesses_at_many_accounts_lock_the_address_and_nobody_else(behind_render: None) -> None:
    factories.user("Liza")
    attacker, cadet = from_address("198.51.100.7"), from_address("203.0.113.5")
    for number in range(30):
        assert sign_in(f"guessed{number}", WRONG, **attacker).status_code == 401
    answer = sign_in("Liza", PASSWORD, **attacker)
    assert (answer.status_code, answer.json()["code"]) == (429, "address_locked")
    assert 14 * 60 < int(answer.headers["Retry-After"]) <= 15 * 60
    # The failure of the replaced system: everybody came from the proxy's address, and one locked all out.
    assert sign_in("Liza", PASSWORD, **cadet).status_code == 200


def test_a_forged_header_neither_helps_nor_locks_others_out(behind_render: None) -> None:
    factories.user("Liza")
    for number in range(30):
        forged = from_address(f"203.0.113.{number}, 198.51.100.7")
        assert sign_in(f"guessed{number}", WRONG, **forged).status_code == 401
    assert sign_in("Liza", PASSWORD, **from_address("203.0.113.250, 198.51.100.7")).status_code == 429
    assert sign_in("Liza", PASSWORD, **from_address("203.0.113.5")).status_code == 200


def test_without_proxies_the_header_is_not_believed(settings: Settings) -> None:
    settings.TRUSTED_PROXY_COUNT = 0
    for number in range(30):
        sign_in(f"guessed{number}", WRONG, HTTP_X_FORWARDED_FOR=f"203.0.113.{number}")
    assert sign_in("x", WRONG, HTTP_X_FORWARDED_FOR="203.0.113.99").json()["code"] == "address_locked"


def test_when_the_client_cannot_be_told_only_the_account_is_counted(behind_render: None) -> None:
    for number in range(31):
        assert sign_in(f"guessed{number}", WRONG, REMOTE_ADDR="10.21.157.1").status_code == 401
    assert not Attempts.objects.filter(kind="address").exists()


def test_the_right_password_does_not_forget_the_guesses_of_its_address() -> None:
    factories.user("Liza")
    for number in range(29):
        sign_in(f"guessed{number}", WRONG)
    assert sign_in("Liza", PASSWORD).status_code == 200
    sign_in("another", WRONG)
    assert sign_in("Liza", PASSWORD).json()["code"] == "address_locked"


def test_many_who_sign_in_from_one_address_with_right_passwords_lock_nothing() -> None:
    factories.user("Liza")
    assert {sign_in("Liza", PASSWORD).status_code for _ in range(40)} == {200}
    assert not Attempts.objects.exists()


# --- Parallel guesses -------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_twenty_parallel_guesses_exactly_five_are_counted_and_the_others_refused() -> None:
    factories.user("Liza")
    outcomes = together([lambda: str(sign_in("Liza", WRONG).json()["code"])] * 20)
    assert outcomes == ["account_locked"] * 15 + ["credentials_wrong"] * 5
    row = Attempts.objects.get(kind="account")
    assert len(row.at) == 5
    assert row.locked_until is not None


@pytest.mark.django_db(transaction=True)
def test_parallel_guesses_at_many_accounts_are_counted_exactly_by_address() -> None:
    works = [(lambda name=f"guessed{number}": str(sign_in(name, WRONG).json()["code"])) for number in range(36)]
    outcomes = together(works)
    assert outcomes == ["address_locked"] * 6 + ["credentials_wrong"] * 30
    assert len(Attempts.objects.get(kind="address").at) == 30


@pytest.mark.django_db(transaction=True)
def test_parallel_sign_ins_with_the_right_password_all_succeed() -> None:
    factories.user("Liza")
    outcomes = together([lambda: str(sign_in("Liza", PASSWORD).status_code)] * 12)
    assert outcomes == ["200"] * 12


def test_the_right_password_does_not_open_when_parallel_guesses_have_locked_meanwhile(settings: Settings) -> None:
    from apps.accounts.tests.hashers import WATCHED, WatchedHasher

    settings.PASSWORD_HASHERS = WATCHED
    factories.user("Liza")
    codes("Liza", [WRONG] * 4)
    WatchedHasher.after_verify.append(lambda: sign_in("Liza", WRONG))
    assert sign_in("Liza", PASSWORD).json()["code"] == "account_locked"
    assert Session.objects.count() == 0


# --- Elsewhere --------------------------------------------------------------------------------------------------------


def test_an_administrator_lifts_the_lock_of_an_account_once(admin: Person) -> None:
    account = factories.user("Omar")
    codes("OMAR", [WRONG] * 5)
    for _ in range(2):
        assert admin.client.post(f"/api/v1/users/{account.pk}/unlock").status_code == 200
    entry = AuditEntry.objects.get(action="user.unlock")
    assert (entry.actor_id, entry.target) == (admin.user.pk, f"user:{account.pk}")
    assert sign_in("Omar", PASSWORD).status_code == 200


def test_the_admin_site_counts_and_locks_as_the_sign_in_does() -> None:
    factories.user("Amina", role=Role.ADMIN)
    site = Client()

    def enter(password: str, name: str = "Amina") -> Any:
        return site.post("/admin/login/?next=/admin/", {"username": name, "password": password})

    assert [enter(WRONG).status_code for _ in range(3)] == [200] * 3
    assert codes("AMINA", [WRONG] * 2) == [(401, "credentials_wrong")] * 2
    refused = enter(PASSWORD)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert b"Wait before the next try" in refused.content
    assert site.get("/admin/").status_code == 302
    assert sign_in("amina", PASSWORD).json()["code"] == "account_locked"
    Attempts.objects.all().delete()
    assert enter(PASSWORD).status_code == 302


def test_the_admin_site_locks_an_address() -> None:
    factories.user("Amina", role=Role.ADMIN)
    for number in range(30):
        Client().post("/admin/login/", {"username": f"guessed{number}", "password": WRONG})
    assert Client().post("/admin/login/", {"username": "Amina", "password": PASSWORD}).status_code == 429


def test_cleaning_up_forgets_old_attempts_and_no_lock() -> None:
    codes("locked", [WRONG] * 5)
    sign_in("old", WRONG)
    Attempts.objects.filter(kind="account", locked_until=None).update(last_at=F("last_at") - dt.timedelta(minutes=31))
    assert services.tokens_cleanup()["attempts"] == 1
    assert sign_in("locked", WRONG).status_code == 429
