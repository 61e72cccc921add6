from collections.abc import Mapping
from typing import Any

from scripts.stack.readiness import Answer, missing_for_readiness

AGES = {"web": 10.0, "worker": 10.0}


def answer(code: int | None = 200, **document: Any) -> Answer:
    return Answer(status=code, reason="refused" if code is None else "", document=document)


def running(age: float = 1.0) -> Mapping[str, Any]:
    return {"state": "running", "age_seconds": age}


def missing(*answers: Answer, ages: Mapping[str, float] = AGES) -> list[str]:
    return missing_for_readiness(answers=dict(zip(("web", "channels"), answers, strict=False)), ages=ages)


def test_everybody_running_and_every_store_connected_is_ready() -> None:
    healthy = answer(
        services={"database": "connected", "redis": "connected", "celery": "running"},
        processes={"web": running(), "worker": running()},
    )

    assert missing(healthy) == []


def test_a_service_that_does_not_answer_is_missing() -> None:
    assert missing(answer(None), ages={}) == ["web does not answer (refused)"]


def test_an_unhealthy_answer_is_missing_with_what_it_says() -> None:
    assert "503" in missing(answer(503, status="unhealthy"), ages={})[0]


def test_a_store_that_is_away_is_missing_even_when_the_answer_is_200() -> None:
    degraded = answer(services={"database": "connected", "redis": "disconnected"})

    assert missing(degraded, ages={}) == ["web says redis disconnected"]


def test_a_started_service_without_a_heartbeat_is_missing() -> None:
    partly = answer(processes={"web": running(), "worker": {"state": "stopped", "age_seconds": None}})

    assert missing(partly) == ["web says worker stopped"]


def test_a_service_that_was_left_out_is_not_waited_for() -> None:
    without_worker = answer(processes={"web": running(), "worker": {"state": "stopped", "age_seconds": None}})

    assert missing(without_worker, ages={"web": 10.0}) == []


def test_a_heartbeat_from_before_the_start_does_not_count() -> None:
    stale = answer(processes={"web": running(), "worker": running(age=12.0)})

    assert missing(stale) == ["web has only an old heartbeat of worker"]


def test_a_process_of_which_nobody_reports_must_live_a_second() -> None:
    assert missing(answer(), ages={"other": 0.5}) == ["other has only just been started"]
    assert missing(answer(), ages={"other": 1.5}) == []


def test_a_service_told_to_differ_is_not_looked_for_by_the_others_and_need_only_answer() -> None:
    web = answer(processes={"web": running(), "channels": {"state": "stopped", "age_seconds": None}})
    channels = answer(503, services={"redis": "disconnected"}, processes={"web": {"state": "unknown"}})
    answers = {"web": web, "channels": channels}
    ages = {"web": 10.0, "channels": 10.0}

    assert missing_for_readiness(answers=answers, ages=ages, overridden={"channels"}) == []
    assert "web says channels stopped" in missing_for_readiness(answers=answers, ages=ages)
    silent = {**answers, "channels": answer(None)}
    found = missing_for_readiness(answers=silent, ages=ages, overridden={"channels"})
    assert found == ["channels does not answer (refused)"]


def test_a_worker_told_to_differ_must_have_lived_for_a_while() -> None:
    web = answer(processes={"web": running(), "worker": {"state": "stopped", "age_seconds": None}})

    young = missing_for_readiness(answers={"web": web}, ages={"web": 10.0, "worker": 2.0}, overridden={"worker"})
    assert young == ["worker has only just been started"]
    assert missing_for_readiness(answers={"web": web}, ages=AGES, overridden={"worker"}) == []
