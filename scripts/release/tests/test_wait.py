import socket
import ssl
import time
from pathlib import Path

import pytest

from scripts.release import wait
from scripts.release.tests.conftest import Listen, health
from scripts.release.wait import Outcome, Waited, obstacle_to, wait_for

COMMIT = "0123456789abcdef"


def waiting(url: str, *, expected: str | None = COMMIT[:7], seconds: float = 5.0) -> Waited:
    """As wait_for, with pauses short enough for a test."""
    return wait_for(base_url=url, expected=expected, seconds=seconds, pause=lambda _asked: time.sleep(0.02))


@pytest.mark.parametrize("expected", [COMMIT, COMMIT[:7], "1.0.0", None])
def test_the_expected_version_three_times_in_a_row_ends_the_wait(listen: Listen, expected: str | None) -> None:
    waited = waiting(listen(health()), expected=expected)
    assert (waited.outcome, waited.attempts, waited.answered) == (Outcome.READY, 3, True)


def test_every_look_is_a_connection_of_its_own(listen: Listen) -> None:
    connections: list[int] = []
    waiting(listen(health(), connections=connections))
    assert len(connections) == len(set(connections)) == 3


def test_an_unhealthy_answer_of_the_expected_version_is_an_answer(listen: Listen) -> None:
    assert waiting(listen(health(status=503))).outcome is Outcome.READY


def test_the_count_starts_again_when_another_answer_comes_between(listen: Listen) -> None:
    old = health(commit="f" * 16)
    waited = waiting(listen(health(), health(), old, health(), health(), (502, "Bad Gateway"), health()))
    assert (waited.outcome, waited.attempts) == (Outcome.READY, 9)


def test_a_release_that_becomes_live_during_the_wait_is_seen(listen: Listen) -> None:
    old = health(commit="f" * 16)
    waited = waiting(listen(old, old, old, old, health()))
    assert (waited.outcome, waited.attempts) == (Outcome.READY, 7)


def test_the_old_version_answering_steadily_is_not_live_yet(listen: Listen) -> None:
    waited = waiting(listen(health(version="0.9.0", commit="f" * 16)), seconds=1.5)
    assert (waited.outcome, waited.answered) == (Outcome.OLD_VERSION, True)
    assert "not live yet" in waited.detail
    assert "f" * 12 in waited.detail


def test_two_versions_in_turn_are_unsteady(listen: Listen) -> None:
    versions = [health(), health(commit="f" * 16)] * 500
    assert waiting(listen(*versions), seconds=1.5).outcome is Outcome.UNSTEADY


@pytest.mark.parametrize("body", ["<html>Bad Gateway</html>", "[]", '{"status": "healthy"}', ""])
def test_an_answer_that_names_no_version_is_not_the_expected_one_but_is_one(listen: Listen, body: str) -> None:
    waited = waiting(listen((502, body)), seconds=0.3)
    assert (waited.outcome, waited.answered) == (Outcome.UNSTEADY, True)


def test_when_no_version_is_expected_any_http_answer_will_do(listen: Listen) -> None:
    assert waiting(listen((502, "<html>")), expected=None).outcome is Outcome.READY


def test_a_port_where_nothing_listens_never_became_healthy(free_port: int) -> None:
    waited = waiting(f"http://127.0.0.1:{free_port}", seconds=0.3)
    assert (waited.outcome, waited.answered) == (Outcome.NEVER_ANSWERED, False)
    assert waited.detail == "never became healthy: connection refused"
    assert 0.3 <= waited.seconds < 2


def test_a_server_that_starts_during_the_wait_is_found(listen: Listen, free_port: int) -> None:
    started: list[str] = []

    def start_late(_seconds: float) -> None:
        if not started:
            started.append(listen(health(), port=free_port))

    waited = wait_for(base_url=f"http://127.0.0.1:{free_port}", expected=None, seconds=5, pause=start_late)
    assert waited.outcome is Outcome.READY


def test_a_server_that_accepts_and_says_nothing_never_became_healthy_in_bounded_time(silent: str) -> None:
    waited = waiting(silent, seconds=0.5)
    assert waited.outcome is Outcome.NEVER_ANSWERED
    assert "no answer in time" in waited.detail
    assert waited.seconds < 2


def test_a_name_that_does_not_resolve_is_told_from_a_dead_service() -> None:
    # RFC 6761: no name under "invalid" ever resolves.
    waited = waiting("http://rgms.invalid", seconds=0.3)
    assert waited.outcome is Outcome.NOT_REACHABLE
    assert "the name does not resolve" in waited.detail


def test_a_certificate_that_nobody_vouches_for_is_told_from_a_dead_service(listen: Listen, self_signed: Path) -> None:
    waited = waiting(listen(health(), certificate=self_signed), seconds=0.5)
    assert waited.outcome is Outcome.NOT_REACHABLE
    assert "the certificate is refused: self" in waited.detail


def test_a_network_without_a_way_to_the_address_is_told_from_a_dead_service() -> None:
    # A broadcast address: no TCP connection ever leaves for one, on any machine.
    waited = waiting("http://127.255.255.255", seconds=0.3)
    assert waited.outcome is Outcome.NOT_REACHABLE
    assert "there is no way to it" in waited.detail


def test_a_way_to_one_of_several_addresses_is_a_way(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    def two(*_: object, **__: object) -> list[tuple[object, ...]]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, ("127.0.0.1", free_port)), (*kind, ("127.255.255.255", free_port))]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    trust = ssl.create_default_context()
    assert obstacle_to(url="http://two.example", seconds=1, trust=trust) is None


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_what_hinders_at_the_channels_door_is_said_without_asking_anything(
    listen: Listen, self_signed: Path, scheme: str
) -> None:
    secure = scheme == "wss"
    url = listen(health(), certificate=self_signed if secure else None).replace("http", "ws")
    why = obstacle_to(url=url, seconds=2, trust=ssl.create_default_context())
    assert (why or "").startswith("the certificate is refused") is secure


def test_no_proxy_stands_between_the_wait_and_the_service(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    # The address of every interface, which is none of the loopback names that were always spared.
    address = listen(health()).replace("127.0.0.1", "0.0.0.0")  # noqa: S104 - asked, not listened on
    assert waiting(address, expected=None).outcome is Outcome.READY


def test_nobody_waits_long_for_a_wrong_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "PATIENCE_WITH_OBSTACLE_SECONDS", 0.1)
    assert waiting("http://rgms.invalid", seconds=30).seconds < 10


def test_what_is_seen_is_told_when_it_changes_and_not_each_time(listen: Listen) -> None:
    told: list[str] = []
    old = health(commit="f" * 16)
    wait_for(
        base_url=listen(old, old, old, health()),
        expected=COMMIT,
        seconds=5,
        report=told.append,
        pause=lambda _asked: None,
    )
    assert len(told) == 2
    assert "another version" in told[0]
    assert "the expected version" in told[1]
