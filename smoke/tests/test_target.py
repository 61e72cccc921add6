import json
import os
from pathlib import Path
from typing import Any

import pytest

from smoke.target import WrongUsage, is_expected, normal_expectation, resolve_target

ACCOUNTS = {
    "SMOKE_ADMIN_USERNAME": "admin",
    "SMOKE_ADMIN_PASSWORD": "one",
    "SMOKE_CADET_USERNAME": "cadet",
    "SMOKE_CADET_PASSWORD": "two",
}
ROLES = ("admin", "training_staff", "cadet")
FAR = "https://rgms.example"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory as scripts/up leaves it."""
    facts = {
        "web_url": "http://127.0.0.1:8300",
        "channels_url": "ws://127.0.0.1:8301",
        "accounts": {role: {"username": role, "password": f"local-{role}"} for role in ROLES},
        "runner_pid": os.getpid(),
    }
    (tmp_path / "up.json").write_text(json.dumps(facts))
    return tmp_path


def write(state: Path, **changes: Any) -> None:
    facts = json.loads((state / "up.json").read_text())
    (state / "up.json").write_text(json.dumps(facts | changes))


def test_without_an_address_the_running_system_is_the_target(state: Path) -> None:
    target = resolve_target(environment={}, state=state)
    assert (target.base_url, target.channels_url) == ("http://127.0.0.1:8300", "ws://127.0.0.1:8301")
    assert target.credentials["cadet"].password == "local-cadet"


def test_without_an_address_and_a_running_system_both_ways_are_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match=r"SMOKE_BASE_URL.*up\.json"):
        resolve_target(environment={}, state=tmp_path)


def test_the_facts_of_a_system_that_has_ended_are_not_believed(state: Path) -> None:
    # The greatest process id that Linux gives is 2 ** 22.
    write(state, runner_pid=2**22 + 1)
    with pytest.raises(WrongUsage, match="has ended"):
        resolve_target(environment={}, state=state)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8300/", "http://localhost:8300"])
def test_an_address_of_the_running_system_takes_accounts_and_channels_from_it(state: Path, url: str) -> None:
    target = resolve_target(environment={}, base_url=url, state=state)
    assert target.channels_url == "ws://127.0.0.1:8301"
    assert target.credentials["admin"].password == "local-admin"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000", FAR])
def test_local_accounts_are_never_sent_to_another_address(state: Path, url: str) -> None:
    with pytest.raises(WrongUsage, match="SMOKE_ADMIN_PASSWORD"):
        resolve_target(environment={}, base_url=url, channels_url="wss://channels.example", state=state)


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage) as caught:
        resolve_target(environment={"SMOKE_BASE_URL": FAR, "SMOKE_ADMIN_USERNAME": "admin"}, state=tmp_path)
    for name in (
        "SMOKE_ADMIN_PASSWORD",
        "SMOKE_CADET_USERNAME",
        "SMOKE_CADET_PASSWORD",
        "SMOKE_CHANNELS_URL",
    ):
        assert name in str(caught.value)
    assert "SMOKE_ADMIN_USERNAME" not in str(caught.value)


def test_half_an_account_is_not_completed_from_the_running_system(state: Path) -> None:
    with pytest.raises(WrongUsage, match="SMOKE_ADMIN_PASSWORD"):
        resolve_target(environment={"SMOKE_ADMIN_USERNAME": "somebody"}, state=state)


def test_the_staff_account_is_taken_from_the_running_system_and_may_be_missing_elsewhere(state: Path) -> None:
    assert resolve_target(environment={}, state=state).credentials["training_staff"].password == "local-training_staff"
    staff = {"SMOKE_STAFF_USERNAME": "sergeant", "SMOKE_STAFF_PASSWORD": "three"}
    given = resolve_target(environment=ACCOUNTS | staff, base_url=FAR, channels_url="wss://c.example", state=state)
    assert given.credentials["training_staff"].username == "sergeant"
    without = resolve_target(environment=ACCOUNTS, base_url=FAR, channels_url="wss://c.example", state=state)
    assert set(without.credentials) == {"admin", "cadet"}
    with pytest.raises(WrongUsage, match="SMOKE_STAFF_PASSWORD"):
        resolve_target(environment={"SMOKE_STAFF_USERNAME": "sergeant"}, state=state)


@pytest.mark.parametrize("text", ["", "012345", "0" * 41, "not-a-commit", "0123456 "])
def test_what_no_release_could_be_called_is_refused_before_anything_is_asked(state: Path, text: str) -> None:
    with pytest.raises(WrongUsage, match="neither a version"):
        resolve_target(environment={}, expected_version=text, state=state)


def test_nothing_is_expected_if_the_variable_is_empty(state: Path) -> None:
    assert resolve_target(environment={"SMOKE_EXPECT_VERSION": ""}, state=state).expected_version is None


@pytest.mark.parametrize(
    ("expected", "matches"),
    [
        ("1.0.0", True),
        ("1.0", False),
        ("1.0.0.1", False),
        ("0123456", True),
        ("0123456789ABCDEF", True),
        ("1234567", False),
    ],
)
def test_a_version_is_expected_whole_and_a_commit_by_its_beginning(expected: str, matches: bool) -> None:
    wanted = normal_expectation(expected)
    assert is_expected(expected=wanted, version="1.0.0", commit="0123456789abcdef") is matches
    assert not is_expected(expected=wanted, version=None, commit=None)


def test_the_channels_service_stands_beside_the_web_service_of_the_guide(tmp_path: Path) -> None:
    guides = "https://rotc-django-web.onrender.com"
    target = resolve_target(environment=ACCOUNTS, base_url=guides, state=tmp_path)
    assert target.channels_url == "wss://rotc-django-channels.onrender.com"


def test_a_channels_address_may_be_given_as_a_web_address(tmp_path: Path) -> None:
    target = resolve_target(
        environment=ACCOUNTS, base_url=FAR, channels_url="https://live.rgms.example/", state=tmp_path
    )
    assert target.channels_url == "wss://live.rgms.example"


@pytest.mark.parametrize("url", ["rgms.example", "ftp://rgms.example", "https://user:secret@rgms.example", "https://"])
def test_an_address_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(WrongUsage, match="base URL"):
        resolve_target(environment=ACCOUNTS, base_url=url, state=tmp_path)


@pytest.mark.parametrize(
    ("url", "allowed", "read_only", "reason"),
    [
        ("http://127.0.0.1:8300", (), False, None),
        ("http://[::1]:8300", (), False, None),
        ("http://127.0.0.1:8300", ("127.0.0.1",), True, "the run is read-only"),
        (FAR, (), False, "rgms.example is not listed with --allow-writes"),
        (FAR, ("RGMS.example",), False, None),
        (FAR, ("other.example",), False, "rgms.example is not listed with --allow-writes"),
        ("https://127.0.0.1.example", (), False, "127.0.0.1.example is not listed with --allow-writes"),
    ],
)
def test_writing_needs_this_machine_or_a_listed_host(
    tmp_path: Path, url: str, allowed: tuple[str, ...], read_only: bool, reason: str | None
) -> None:
    target = resolve_target(
        environment=ACCOUNTS,
        base_url=url,
        channels_url="wss://channels.example",
        allow_writes=allowed,
        read_only=read_only,
        state=tmp_path,
    )
    assert target.why_not_write == reason


def test_a_password_is_not_in_the_targets_own_words(state: Path) -> None:
    assert "local-admin" not in repr(resolve_target(environment={}, state=state))
