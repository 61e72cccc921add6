import datetime as dt

import pytest

from apps.accounts.rules import Principal, RevocationWindow, reuse_is_theft, sign_in_refusal

NOW = dt.datetime(2026, 3, 1, 8, tzinfo=dt.UTC)


def principal(*, role: str = "cadet", session_id: str = "s1", version: int = 2, generation: int = 5) -> Principal:
    return Principal(
        user_id=7,
        username="Liza",
        role=role,
        session_id=session_id,
        version=version,
        generation=generation,
        expires_at=NOW,
    )


@pytest.mark.parametrize(
    ("sessions", "least_version", "generation", "revoked"),
    [
        ([], {}, 5, False),
        (["s2"], {8: 99}, 4, False),
        (["s1"], {}, 5, True),
        ([], {7: 2}, 5, False),
        ([], {7: 3}, 5, True),
        ([], {}, 6, True),
    ],
)
def test_a_token_is_revoked_by_its_session_its_version_or_its_generation(
    sessions: list[str], least_version: dict[int, int], generation: int, revoked: bool
) -> None:
    window = RevocationWindow(sessions=frozenset(sessions), least_version=least_version, generation=generation)
    assert window.revokes(principal()) is revoked


@pytest.mark.parametrize(
    ("approved", "archived", "refusal"),
    [
        (True, False, None),
        (False, False, "account_pending"),
        (True, True, "account_archived"),
        (False, True, "account_archived"),
    ],
)
def test_only_an_approved_account_that_is_not_archived_may_sign_in(
    approved: bool, archived: bool, refusal: str | None
) -> None:
    assert sign_in_refusal(approved=approved, archived=archived) == refusal


@pytest.mark.parametrize(
    ("presented", "seconds_since_rotation", "theft"),
    [("before", 0, False), ("before", 30, False), ("before", 30.001, True), ("long before", 0, True)],
)
def test_a_token_is_stolen_unless_it_was_the_current_one_seconds_ago(
    presented: str, seconds_since_rotation: float, theft: bool
) -> None:
    rotated_at = NOW - dt.timedelta(seconds=seconds_since_rotation)
    assert reuse_is_theft(presented=presented, previous="before", rotated_at=rotated_at, now=NOW) is theft


def test_a_token_that_never_was_the_current_one_is_stolen() -> None:
    assert reuse_is_theft(presented="", previous="", rotated_at=None, now=NOW)


@pytest.mark.parametrize(
    ("role", "is_admin", "is_staff_member"),
    [("admin", True, True), ("training_staff", False, True), ("cadet", False, False), ("other", False, False)],
)
def test_what_a_role_is(role: str, is_admin: bool, is_staff_member: bool) -> None:
    who = principal(role=role)
    assert (who.is_admin, who.is_staff_member, who.is_authenticated, who.pk) == (is_admin, is_staff_member, True, 7)
