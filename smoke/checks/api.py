import re

from smoke import guide
from smoke.check import check
from smoke.deployment import API, Deployment

CACHED = f"{API}/notifications/unread-count"


@check(
    id="api.unknown_path",
    title="An unknown address under /api is a 404 in JSON, for a stranger and for somebody signed in",
    severity="major",
    needs=["login.me_admin"],
    next_step=guide.API,
)
def unknown_path(deployment: Deployment) -> None:
    for path in (f"{API}/no-such-thing", "/api/no-such-thing/"):
        for token in (None, deployment.token("admin")):
            deployment.web.get(path, token=token).expect_problem(404, "not_found")


@check(
    id="api.request_id",
    title="Every answer carries a request id of its own",
    severity="minor",
    needs=["health.web"],
    next_step=guide.API,
)
def request_id(deployment: Deployment) -> None:
    answers = [deployment.web.get(path) for path in ("/api/health/live/", CACHED, f"{API}/no-such-thing")]
    for answer in answers:
        answer.expect_header("x-request-id", lambda value: len(value) >= 8, expected="of 8 characters or more")
    ids = {answer.request_id for answer in answers}
    answers[0].expect(len(ids) == len(answers), expected="different request ids", came=f"{sorted(map(str, ids))}")


@check(
    id="api.cached_read",
    title="A read repeated at once comes from the cache, and says so and how long it took",
    severity="major",
    needs=["login.me_admin", "redis.connected"],
    next_step=guide.CACHE,
)
def cached_read(deployment: Deployment) -> None:
    answer = deployment.web.get(CACHED, token=deployment.token("admin")).expect_status(200)
    # A write by somebody else may come between two reads, hardly between each of four.
    for _ in range(4):
        answer = deployment.web.get(CACHED, token=deployment.token("admin")).expect_status(200)
        if "hit" in answer.headers.get("cache-status", ""):
            break
    answer.expect_header("cache-status", lambda value: "rgms; hit" in value, expected="rgms; hit")
    for name in ("app", "db", "cache"):
        answer.expect_header(
            "server-timing",
            lambda value, name=name: re.search(rf"\b{name};dur=[\d.]+", value) is not None,  # type: ignore[misc]
            expected=f"with the milliseconds of {name}",
        )


@check(
    id="api.schema",
    title="The OpenAPI description is served",
    severity="minor",
    needs=["health.web"],
    next_step=guide.API,
)
def schema(deployment: Deployment) -> None:
    answer = deployment.web.get("/api/schema/").expect_status(200)
    answer.expect("openapi:" in answer.text[:1000], expected="an OpenAPI document", came=answer.summary())
    answer.expect(f"{API}/auth/login" in answer.text, expected="one that describes the sign-in", came="none of it")
    deployment.web.get("/api/docs/").expect_status(200)
