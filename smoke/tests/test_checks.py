import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from smoke import guide
from smoke.check import ATTRIBUTE, Check, in_order
from smoke.checks import FILES, SUBJECTS, every_check, stores
from smoke.checks.celery import celery_queue
from smoke.checks.health import settled_health
from smoke.checks.stores import database_shared, redis_shared
from smoke.checks.tokens import as_somebody_else, part, unsigned, with_another_signature
from smoke.deployment import Deployment
from smoke.expectation import Mismatch
from smoke.redaction import Redaction
from smoke.target import Credentials, Target
from smoke.tests.misbehaving import FakeService

HERE = Path(__file__).resolve().parent
DECLARED: list[Check] = [getattr(function, ATTRIBUTE) for function in every_check().values()]


def token(**claims: object) -> str:
    def encode(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{encode({'alg': 'HS256'})}.{encode(claims)}.c2lnbmF0dXJl"


def test_every_file_of_checks_is_a_subject_of_the_suite() -> None:
    written = {file.name for file in (HERE.parent / "checks").glob("*.py")} - {"__init__.py"}
    assert written == {file.name for file in FILES} == {f"{subject}.py" for subject in SUBJECTS}


def test_every_check_has_its_place_in_one_order() -> None:
    assert len(in_order(DECLARED)) == len(DECLARED)


@pytest.mark.parametrize("declared", DECLARED, ids=lambda declared: declared.id)
def test_every_check_points_to_an_entry_of_the_guide(declared: Check) -> None:
    steps = {value for name, value in vars(guide).items() if name.isupper()}
    assert declared.next_step in steps
    assert declared.title
    assert re.fullmatch(r"[a-z_]+\.[a-z_]+", declared.id)


@pytest.mark.parametrize("signature", [b"\x00" * 64, b"\xff" * 64, bytes(range(32)), b"\x00\x00\x01" * 11])
def test_a_forged_signature_is_another_well_formed_one_over_the_same_claims(signature: bytes) -> None:
    real = f"{token(user_id=7).rpartition('.')[0]}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    forged = with_another_signature(real)
    text = forged.rpartition(".")[2]
    decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert part(forged, 1) == part(real, 1)
    assert len(decoded) == len(signature)
    assert decoded != signature
    # As strict readers ask for: the bits that the last letter has too many are zero.
    assert base64.urlsafe_b64encode(decoded).decode().rstrip("=") == text


def test_changed_claims_keep_the_old_signature() -> None:
    real = token(user_id=7, role="cadet")
    changed = as_somebody_else(real)
    assert part(changed, 1) == {"user_id": 8, "role": "admin"}
    assert changed.rpartition(".")[2] == real.rpartition(".")[2]


def test_a_token_without_signature_names_the_algorithm_none() -> None:
    assert part(unsigned(token(user_id=7)), 0)["alg"] == "none"
    assert unsigned(token(user_id=7)).endswith(".")


def test_the_small_requirements_are_pinned_as_those_of_the_whole_repository() -> None:
    def pins(file: Path) -> dict[str, str]:
        return dict(re.findall(r"^([\w.-]+)==(\S+)", file.read_text(), flags=re.MULTILINE))

    small, whole = pins(HERE.parent / "requirements.txt"), pins(HERE.parents[1] / "requirements.txt")
    asked = set((HERE.parent / "requirements.in").read_text().split("\n")[1:-1])
    assert asked <= set(small)
    assert small.items() <= whole.items()


def health(*, state: str, age_seconds: float) -> dict[str, object]:
    return {"processes": {"rotc-celery-beat": {"state": state, "age_seconds": age_seconds}}}


@pytest.mark.parametrize(
    ("answers", "asked", "state"),
    [
        ([health(state="running", age_seconds=13.4)], 1, "running"),
        ([health(state="stopped", age_seconds=600)], 1, "stopped"),
        # Overdue: watched until the next one comes …
        ([health(state="running", age_seconds=14.5), health(state="running", age_seconds=0.2)], 2, "running"),
        # … or the last one has expired.
        ([health(state="running", age_seconds=24.8), health(state="stopped", age_seconds=25.3)], 2, "stopped"),
    ],
)
def test_a_heartbeat_that_is_overdue_is_watched_until_it_is_in_time_or_gone(
    service: FakeService, answers: list[dict[str, object]], asked: int, state: str
) -> None:
    service.healths = list(answers)
    with deployment_of(service) as deployment:
        answer = settled_health(deployment, service="rotc-celery-beat")
        assert answer.at("processes.rotc-celery-beat.state") == state
        assert deployment.health() is answer
    assert len(service.seen) == asked


@pytest.mark.parametrize(("depth", "readable"), [(0, True), (100_000, True), (None, False), (True, False), (-1, False)])
def test_the_depth_of_the_queue_is_read_and_judged_by_the_gate_alone(
    service: FakeService, depth: object, readable: bool
) -> None:
    service.queue_depth = depth
    with deployment_of(service) as deployment, nullcontext() if readable else pytest.raises(Mismatch):
        celery_queue(deployment)


def status(*, channels: str | None) -> dict[str, object]:
    processes = {"rotc-django-channels": {"state": "running", "database_id": channels}}
    return {"service": "rotc-django-web", "database_id": "d18959713c52", "processes": processes}


@pytest.mark.parametrize(
    ("answers", "asked", "agree"),
    [
        ([status(channels="d18959713c52")], 1, True),
        ([status(channels="b8d2c4f0a113")], 1, False),
        # The first heartbeat of a service may come before its database has answered it.
        ([status(channels=None), status(channels="d18959713c52")], 2, True),
        ([status(channels=None), status(channels="b8d2c4f0a113")], 2, False),
    ],
)
def test_a_service_is_given_time_to_tell_its_database(
    service: FakeService, answers: list[dict[str, object]], asked: int, agree: bool
) -> None:
    service.statuses = list(answers)
    with deployment_of(service) as deployment, nullcontext() if agree else pytest.raises(Mismatch):
        database_shared(deployment)
    assert sum(one.path.endswith("/operations/status") for one in service.seen) == asked


def sight(*, seen: str, state: str) -> dict[str, object]:
    return {"processes": {seen: {"state": state}}}


@pytest.mark.parametrize(
    ("looks_of_channels", "agree"),
    [
        (["running"], True),
        # Both have just started, and channels looked before web's first heartbeat.
        (["stopped", "stopped", "running"], True),
        (["stopped"] * 20, False),
    ],
)
def test_web_and_channels_are_given_time_to_see_each_other(
    service: FakeService, monkeypatch: pytest.MonkeyPatch, looks_of_channels: list[str], agree: bool
) -> None:
    monkeypatch.setattr(stores, "TELLING_SECONDS", 2.0)
    for state in looks_of_channels:
        service.healths += [
            sight(seen="rotc-django-channels", state="running"),
            sight(seen="rotc-django-web", state=state),
        ]
    one = {"service": "rotc-django-web", "redis_id": "4c1f", "processes": {}}
    channels = {"rotc-django-channels": {"state": "running", "redis_id": "4c1f"}}
    service.statuses = [one | {"processes": channels}]
    refusal = pytest.raises(Mismatch, match="for rotc-django-channels it is stopped")
    with deployment_of(service) as deployment, nullcontext() if agree else refusal:
        redis_shared(deployment)


@contextmanager
def deployment_of(service: FakeService) -> Iterator[Deployment]:
    accounts = {role: Credentials(username=role, password="unused-password") for role in ("admin", "cadet")}
    target = Target(
        base_url=service.url,
        channels_url=service.url.replace("http", "ws"),
        credentials=accounts,
        expected_version=None,
        cors_origin="https://front.example",
        read_only=True,
        allow_writes=(),
    )
    deployment = Deployment(target=target, redaction=Redaction(), run_id="smoke-test")
    try:
        yield deployment
    finally:
        deployment.close()
