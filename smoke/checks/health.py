from datetime import UTC, datetime, timedelta

from smoke import guide
from smoke.check import check
from smoke.deployment import Deployment, until
from smoke.target import BEAT_SERVICE, CHANNELS_SERVICE, WEB_SERVICE, WORKER_SERVICE
from smoke.transport import Answer

# The clock of this machine and that of the deployment are not the same clock.
CLOCK_TOLERANCE = timedelta(minutes=5)
PROMPT_SECONDS = 1.0
# Processes write their heartbeat every 10 s, and count as running for 25 s. One that stops in order takes its last one
# back, but one that was killed leaves it: beat would pass for running, and nothing else would show that it does not.
# So an overdue one is watched until the next comes or the last has expired. Health sees a new one up to 3 s late: one
# of 13 s is still in time, and a healthy run never waits here.
OVERDUE_SECONDS = 14.0
EXPIRY_SECONDS = 25.0


def expect_guides_shape(answer: Answer) -> None:
    """Health as the deployment guide prints it, with a status code that tells the same story as the body."""
    answer.expect_status(200, 503)
    answer.expect(answer.media_type == "application/json", expected="JSON", came=answer.summary())
    allowed = {
        "status": ("healthy", "degraded", "unhealthy"),
        "services.database": ("connected", "disconnected"),
        "services.redis": ("connected", "disconnected"),
        "services.celery": ("running", "stopped"),
    }
    for path, values in allowed.items():
        value = answer.at(path)
        answer.expect(value in values, expected=f"{path} is one of {', '.join(values)}", came=f"{value!r}")
    for path in ("timestamp", "version", "environment"):
        value = answer.at(path)
        answer.expect(isinstance(value, str) and value != "", expected=f"{path} is a text", came=f"{value!r}")
    consistent = (answer.status == 503) == (answer.at("status") == "unhealthy")
    answer.expect(consistent, expected="503 exactly when the status is unhealthy", came=answer.summary())


@check(
    id="health.web",
    title="The web service answers its health check in the guide's words",
    severity="critical",
    next_step=guide.HEALTH,
)
def health_of_web(deployment: Deployment) -> None:
    answer = deployment.health()
    expect_guides_shape(answer)
    try:
        moment = datetime.fromisoformat(answer.at("timestamp"))
        age = abs(datetime.now(UTC) - moment)
    except (ValueError, TypeError):
        raise answer.fails(expected="an ISO 8601 timestamp with an offset", came=str(answer.at("timestamp"))) from None
    answer.expect(age < CLOCK_TOLERANCE, expected="the present time", came=f"a timestamp {age} away from it")


@check(
    id="health.prompt",
    title="Health answers within a second",
    severity="minor",
    needs=["health.web"],
    next_step=guide.HEALTH,
)
def health_is_prompt(deployment: Deployment) -> None:
    # The best of three on a warm connection: the way to a far region is not what is judged here.
    answers = [deployment.web.get("/api/health/") for _ in range(3)]
    fastest = min(answers, key=lambda answer: answer.elapsed_seconds)
    fastest.expect(
        fastest.elapsed_seconds < PROMPT_SECONDS,
        expected=f"an answer within {PROMPT_SECONDS:g} s",
        came=f"the fastest of three took {fastest.elapsed_seconds:.2f} s",
    )


@check(
    id="health.live",
    title="The liveness path answers without looking at anything",
    severity="minor",
    needs=["health.web"],
    next_step=guide.HEALTH,
)
def health_live(deployment: Deployment) -> None:
    deployment.web.get("/api/health/live/").expect_status(200).expect_at("status", "alive")


@check(
    id="database.connected",
    title="The web service reaches the database",
    severity="critical",
    needs=["health.web"],
    next_step=guide.DATABASE,
)
def database_connected(deployment: Deployment) -> None:
    deployment.health().expect_at("services.database", "connected")


@check(
    id="redis.connected",
    title="The web service reaches Redis",
    severity="critical",
    needs=["health.web"],
    next_step=guide.REDIS,
)
def redis_connected(deployment: Deployment) -> None:
    deployment.health().expect_at("services.redis", "connected")


@check(
    id="web.heartbeat",
    title="The web service records its own heartbeat",
    severity="major",
    needs=["redis.connected"],
    next_step=guide.REDIS,
)
def web_heartbeat(deployment: Deployment) -> None:
    deployment.health().expect_at(f"processes.{WEB_SERVICE}.state", "running")


@check(
    id="worker.heartbeat",
    title="The Celery worker runs and makes progress",
    severity="critical",
    needs=["redis.connected"],
    next_step=guide.WORKER,
)
def worker_heartbeat(deployment: Deployment) -> None:
    settled_health(deployment, service=WORKER_SERVICE).expect_at("services.celery", "running")


@check(
    id="beat.heartbeat",
    title="Celery beat runs: the schedule is being kept",
    severity="major",
    needs=["redis.connected"],
    next_step=guide.BEAT,
)
def beat_heartbeat(deployment: Deployment) -> None:
    answer = settled_health(deployment, service=BEAT_SERVICE)
    process = answer.mapping("processes").get(BEAT_SERVICE)
    state = process.get("state") if isinstance(process, dict) else "never seen"
    answer.expect(
        state == "running",
        expected=f"a fresh heartbeat of {BEAT_SERVICE}",
        came=f"{BEAT_SERVICE} is {state}{age_of(process)}",
    )


@check(
    id="channels.answers",
    title="The channels service answers",
    severity="critical",
    next_step=guide.CHANNELS,
)
def channels_answers(deployment: Deployment) -> None:
    expect_guides_shape(deployment.channels_health())


@check(
    id="channels.stores",
    title="The channels service reaches the database and Redis",
    severity="critical",
    # Where web cannot reach a store either, the store is the cause, and is told once.
    needs=["channels.answers", "database.connected", "redis.connected"],
    next_step=guide.REDIS,
)
def channels_stores(deployment: Deployment) -> None:
    answer = deployment.channels_health()
    answer.expect_at("services.database", "connected")
    answer.expect_at("services.redis", "connected")


@check(
    id="channels.heartbeat",
    title="The address of the channels service is that of the service, and it records its heartbeat",
    severity="critical",
    needs=["channels.stores"],
    next_step=guide.CHANNELS,
)
def channels_heartbeat(deployment: Deployment) -> None:
    answer = deployment.channels_health()
    answer.expect_at("service", CHANNELS_SERVICE)
    answer.expect_at(f"processes.{CHANNELS_SERVICE}.state", "running")


def age_of(process: object) -> str:
    age = process.get("age_seconds") if isinstance(process, dict) else None
    return f", last seen {age:.0f} s ago" if isinstance(age, int | float) else ""


def settled_health(deployment: Deployment, *, service: str) -> Answer:
    """Health in which the heartbeat of `service` is either in time or gone; asks again for as long as it is neither."""

    def settled() -> Answer | None:
        answer = deployment.health()
        process = answer.mapping("processes").get(service)
        age = process.get("age_seconds") if isinstance(process, dict) else None
        if isinstance(age, int | float) and OVERDUE_SECONDS < age <= EXPIRY_SECONDS:
            deployment.forget()
            return None
        return answer

    patience = EXPIRY_SECONDS - OVERDUE_SECONDS + 3.0
    return until(seconds=patience, every=0.5, ask=settled) or deployment.health()
