from smoke import guide
from smoke.check import check
from smoke.deployment import API, Deployment, until
from smoke.target import WORKER_SERVICE
from smoke.transport import Answer

PATIENCE_SECONDS = 8.0


@check(
    id="celery.round_trip",
    title="A task goes from web over Redis to the worker and back, and the worker is of the same version",
    severity="critical",
    needs=["worker.heartbeat", "access.operations", "database.shared"],
    writes=True,
    next_step=guide.WORKER,
)
def celery_round_trip(deployment: Deployment) -> None:
    token = deployment.token("admin")
    # The probe's row is a record of what was asked of the worker, and nobody can delete it over REST: the job
    # cleanup-old-sessions removes it after a week.
    started = deployment.web.post(f"{API}/operations/probe", json={}, token=token).expect_status(202)
    place = f"{API}/operations/probe/{started.at('id')}"
    started.expect_header("location", lambda value: value.rstrip("/").endswith(place), expected=f"naming {place}")

    def ended() -> Answer | None:
        answer = deployment.web.get(place, token=token).expect_status(200)
        return None if answer.at("state") == "pending" else answer

    answer = until(seconds=PATIENCE_SECONDS, every=0.1, ask=ended)
    if answer is None:
        raise started.fails(
            expected=f"the task to be finished within {PATIENCE_SECONDS:g} s",
            came=f"it is still pending: {WORKER_SERVICE} is busy, or its DATABASE_URL is another one",
        )
    answer.expect_at("state", "finished")
    answer.expect_at("worker.service", WORKER_SERVICE)
    delay = answer.at("queue_delay_ms")
    answer.expect(
        isinstance(delay, int | float) and delay >= 0,
        expected="a queue delay in milliseconds",
        came=f"{delay!r}",
    )
    for key in ("version", "commit", "key_fingerprint"):
        # Which service differs is told by version.same and keys.same; here it is this very task that counts.
        answer.expect_at(f"worker.{key}", deployment.health().at(key))


@check(
    id="celery.queue",
    title="The depth of the task queue can be read",
    severity="major",
    needs=["worker.heartbeat", "access.operations"],
    next_step=guide.WORKER,
)
def celery_queue(deployment: Deployment) -> None:
    answer = deployment.web.get(f"{API}/operations/queue", token=deployment.token("admin")).expect_status(200)
    depth = answer.at("depth")
    # How deep is too deep is the gate's to say, by the most that was seen under load.
    answer.expect(type(depth) is int and depth >= 0, expected="a number of tasks at depth", came=f"{depth!r}")
