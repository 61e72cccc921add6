import datetime as dt

import pytest

from apps.accounts.rules import (
    Principal,
    RevocationWindow,
    admin_refusal,
    client_address,
    invitation_refusal,
    legacy_hash_of,
    reuse_is_theft,
    sign_in_refusal,
)

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


# --- Addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forwarded_for", "proxies", "address"),
    [
        # Without proxies the header is anybody's word.
        ("", 0, "127.0.0.1"),
        ("203.0.113.9", 0, "127.0.0.1"),
        # One proxy: its own word is the last element.
        ("198.51.100.7", 1, "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7", 1, "198.51.100.7"),
        # As on Render: the client, the edge that it came through, and hops inside the platform.
        ("198.51.100.7, 104.22.17.40", 1, "198.51.100.7"),
        ("198.51.100.7, 104.22.17.40, 10.21.157.68", 1, "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7, 104.22.17.40, 10.21.157.68", 1, "198.51.100.7"),
        ("2001:db8:1:2::1, 2606:4700::1", 1, "2001:db8:1:2::/64"),
        # A client that itself comes from the edge's networks, and what it has written.
        ("104.28.1.1, 104.22.17.40", 1, "104.28.1.1"),
        ("203.0.113.9, 104.28.1.1, 104.22.17.40", 1, "104.28.1.1"),
        # What a client writes into it stands further left, whatever it is.
        ("10.0.0.1, 198.51.100.7, 104.22.17.40", 1, "198.51.100.7"),
        ("', unknown,, 198.51.100.7,104.22.17.40", 1, "198.51.100.7"),
        # Two proxies without such an edge.
        ("203.0.113.9, 198.51.100.7, 192.0.2.1", 2, "198.51.100.7"),
        ("198.51.100.7", 2, None),
        # It did not come through so many proxies: nobody is told apart, and nobody counted with others.
        ("", 1, None),
        ("104.22.17.40", 1, None),
        ("10.1.2.3, 10.1.2.4", 1, None),
        ("unknown", 1, None),
        # Forms of an address.
        ("198.51.100.7:4711", 1, "198.51.100.7"),
        ("::ffff:198.51.100.7", 1, "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", 1, "2001:db8:1:2::/64"),
        ('"[2001:db8:1:2:ffff::1]:4711"', 1, "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1, fd00::1", 1, "2001:db8:1:2::/64"),
    ],
)
def test_a_client_is_told_by_what_the_trusted_proxies_wrote(
    forwarded_for: str, proxies: int, address: str | None
) -> None:
    assert client_address(connection="127.0.0.1", forwarded_for=forwarded_for, proxies=proxies) == address


@pytest.mark.parametrize("connection", ["", "unix:", "unknown"])
def test_a_connection_without_an_address_is_nobodys(connection: str) -> None:
    assert client_address(connection=connection, forwarded_for="198.51.100.7", proxies=0) is None


# --- Access -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("is_self", "others", "refusal"),
    [(False, 1, None), (True, 1, "own_account"), (True, 0, "own_account"), (False, 0, "last_admin")],
)
def test_an_administrator_closes_neither_the_own_account_nor_the_last_one(
    is_self: bool, others: int, refusal: str | None
) -> None:
    assert admin_refusal(is_self=is_self, other_active_admins=others) == refusal


@pytest.mark.parametrize(
    ("facts", "refusal"),
    [
        ({}, None),
        ({"used": True}, "invitation_used"),
        ({"replaced": True}, "invitation_replaced"),
        ({"expired": True}, "invitation_expired"),
        ({"archived": True}, "account_archived"),
        ({"used": True, "expired": True}, "invitation_used"),
        ({"used": True, "archived": True}, "account_archived"),
    ],
)
def test_why_a_link_does_not_work_any_more(facts: dict[str, bool], refusal: str | None) -> None:
    state = {"used": False, "replaced": False, "expired": False, "archived": False}
    assert invitation_refusal(**{**state, **facts}) == refusal


BODY = "N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"


@pytest.mark.parametrize("version", ["2a", "2b", "2y"])
def test_a_hash_of_the_replaced_system_is_known_with_and_without_our_prefix(version: str) -> None:
    plain = f"${version}$10${BODY}"
    assert legacy_hash_of(plain) == legacy_hash_of(f"bcrypt${plain}") == plain


@pytest.mark.parametrize(
    "stored",
    ["", "!", "bcrypt$", f"$2b$10${BODY[:-1]}", f"$2b$10${BODY}x", f"$2x$10${BODY}", f"$2b$31${BODY}", f"$2b$03${BODY}",
     f"$2b$10${BODY}\n", "argon2$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"],
)  # fmt: skip
def test_what_is_no_hash_of_it_or_too_costly_is_not(stored: str) -> None:
    assert legacy_hash_of(stored) is None
