from smoke import guide
from smoke.check import check
from smoke.deployment import Deployment, until
from smoke.target import CHANNELS_SERVICE, WEB_SERVICE
from smoke.transport import Answer

TELLING_SECONDS = 10.0  # a service samples its stores every 3 s and tells at once what has changed


@check(
    id="redis.shared",
    title="All services that run use the same Redis",
    severity="critical",
    needs=["channels.heartbeat", "web.heartbeat", "access.operations"],
    next_step=guide.REDIS_SHARED,
)
def redis_shared(deployment: Deployment) -> None:
    # Each says of itself that it runs. If one does not see the other, they look into two different stores; but each
    # looks only every few seconds, so that one of two that have just started may not have seen the other yet.
    until(seconds=TELLING_SECONDS, every=0.5, ask=lambda: _see_each_other(deployment))
    for answer, viewer, seen, state in _views(deployment):
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
    asked = {WEB_SERVICE, CHANNELS_SERVICE}

    def told() -> tuple[Answer, dict[str, object]] | None:
        status, seen = _stores(deployment, key=key)
        if all(seen[name] is not None for name in asked & set(seen)):
            return status, seen
        deployment.forget()
        return None

    # A service's first heartbeat may come before its database has answered it; the next ones tell.
    found = until(seconds=TELLING_SECONDS, every=0.5, ask=told)
    status, seen = found or _stores(deployment, key=key)
    # Null: the process has nothing to do with it by itself. The worker's database is proven by celery.round_trip,
    # whose task answers by writing there.
    named = {name: value for name, value in seen.items() if value is not None}
    status.expect(
        len(set(named.values())) == 1 and asked & set(seen) <= set(named),
        expected=f"one {noun} behind all services",
        came=", ".join(f"{name}: {value or 'not told'}" for name, value in sorted(seen.items())),
    )


def _see_each_other(deployment: Deployment) -> bool | None:
    if all(state == "running" for *_rest, state in _views(deployment)):
        return True
    deployment.forget()
    return None


def _views(deployment: Deployment) -> list[tuple[Answer, str, str, object]]:
    """The answers of web and channels, each with its service, the other, and the other's state as that one sees it."""
    views: list[tuple[Answer, str, str, object]] = []
    for answer, viewer, seen in (
        (deployment.health(), WEB_SERVICE, CHANNELS_SERVICE),
        (deployment.channels_health(), CHANNELS_SERVICE, WEB_SERVICE),
    ):
        process = answer.mapping("processes").get(seen)
        views.append((answer, viewer, seen, process.get("state") if isinstance(process, dict) else "never seen"))
    return views


def _stores(deployment: Deployment, *, key: str) -> tuple[Answer, dict[str, object]]:
    status = deployment.status()
    seen: dict[str, object] = {name: one.get(key) for name, one in deployment.running(answer=status).items()}
    seen[str(status.at("service"))] = status.at(key)
    return status, seen
