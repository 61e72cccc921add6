from smoke import guide
from smoke.check import check
from smoke.deployment import Deployment
from smoke.target import CHANNELS_SERVICE, WEB_SERVICE


@check(
    id="redis.shared",
    title="All services that run use the same Redis",
    severity="critical",
    needs=["channels.heartbeat", "web.heartbeat", "access.operations"],
    next_step=guide.REDIS_SHARED,
)
def redis_shared(deployment: Deployment) -> None:
    web, channels = deployment.health(), deployment.channels_health()
    # Each says of itself that it runs. If one does not see the other, they look into two different stores.
    for answer, viewer, seen in (
        (web, WEB_SERVICE, CHANNELS_SERVICE),
        (channels, CHANNELS_SERVICE, WEB_SERVICE),
    ):
        process = answer.mapping("processes").get(seen)
        state = process.get("state") if isinstance(process, dict) else "never seen"
        answer.expect(
            state == "running",
            expected=f"{viewer} to see {seen}'s heartbeat in its Redis",
            came=f"{seen} runs, and for {viewer} it is {state}",
        )
    expect_one(deployment, key="redis_id", noun="Redis")


@check(
    id="database.shared",
    title="All services that run use the same database",
    severity="critical",
    needs=["access.operations"],
    next_step=guide.DATABASE,
)
def database_shared(deployment: Deployment) -> None:
    expect_one(deployment, key="database_id", noun="database")


def expect_one(deployment: Deployment, *, key: str, noun: str) -> None:
    status = deployment.status()
    seen = {name: one.get(key) for name, one in deployment.running(answer=status).items()}
    seen[str(status.at("service"))] = status.at(key)
    # Null: the process has nothing to do with it by itself. The worker's database is proven by celery.round_trip,
    # whose task answers by writing there.
    named = {name: value for name, value in seen.items() if value is not None}
    status.expect(
        len(set(named.values())) == 1 and {WEB_SERVICE, CHANNELS_SERVICE} & set(seen) <= set(named),
        expected=f"one {noun} behind all services",
        came=", ".join(f"{name}: {value or 'not told'}" for name, value in sorted(seen.items())),
    )
