from smoke import guide
from smoke.check import check
from smoke.checks.sockets import FOREIGN_ORIGIN
from smoke.deployment import API, Deployment
from smoke.transport import Answer

ALLOW_ORIGIN, ALLOW_CREDENTIALS = "access-control-allow-origin", "access-control-allow-credentials"


def ask(deployment: Deployment, *, origin: str) -> Answer:
    return deployment.web.get("/api/health/live/", headers={"Origin": origin})


def ask_before(deployment: Deployment, *, origin: str) -> Answer:
    """The question that a browser asks before it sends a sign-in from another origin."""
    return deployment.web.request(
        "OPTIONS",
        f"{API}/auth/login",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )


@check(
    id="cors.front_end",
    title="The front end's origin may call the API, with credentials",
    severity="critical",
    needs=["health.web"],
    next_step=guide.CORS,
)
def front_end_is_allowed(deployment: Deployment) -> None:
    origin = deployment.target.cors_origin
    preflight = ask_before(deployment, origin=origin).expect_status(200, 204)
    for answer in (ask(deployment, origin=origin), preflight):
        answer.expect_header(ALLOW_ORIGIN, lambda value: value == origin, expected=f"is {origin}")
        answer.expect_header(ALLOW_CREDENTIALS, lambda value: value == "true", expected="is true")
    preflight.expect_header("access-control-allow-methods", lambda value: "POST" in value, expected="with POST")
    preflight.expect_header(
        "access-control-allow-headers",
        lambda value: "authorization" in value.lower() and "content-type" in value.lower(),
        expected="with authorization and content-type",
    )


@check(
    id="cors.foreign",
    title="A foreign web page may not read the API's answers",
    severity="major",
    needs=["health.web"],
    next_step=guide.CORS,
)
def foreign_is_not_allowed(deployment: Deployment) -> None:
    for answer in (ask(deployment, origin=FOREIGN_ORIGIN), ask_before(deployment, origin=FOREIGN_ORIGIN)):
        answer.expect(
            ALLOW_ORIGIN not in answer.headers,
            expected=f"no {ALLOW_ORIGIN} for {FOREIGN_ORIGIN}",
            came=f"{ALLOW_ORIGIN}: {answer.headers.get(ALLOW_ORIGIN)}",
        )
