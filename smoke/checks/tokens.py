import base64
import json
from collections.abc import Callable
from typing import Any

from smoke import guide
from smoke.check import check
from smoke.deployment import API, Deployment, Session
from smoke.expectation import expect

ACCESS_SECONDS = 15 * 60
REFRESH_SECONDS = 7 * 24 * 3600
PROTECTED = f"{API}/auth/me"


def part(token: str, position: int) -> dict[str, Any]:
    """The decoded header (0) or claims (1) of a token; nothing of it is verified."""
    try:
        text = token.split(".")[position]
        decoded = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (IndexError, ValueError):
        decoded = None
    expect(isinstance(decoded, dict), expected="tokens that are JSON Web Tokens", came="something else")
    return dict(decoded or {})


def encoded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def with_another_signature(token: str) -> str:
    """The same claims, signed with nobody's key."""
    head, claims, signature = token.split(".")
    # Byte by byte rather than letter by letter: letters could give what is no base64url, and so a malformed token.
    real = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    forged = bytes(byte ^ 0xFF for byte in real)
    return f"{head}.{claims}.{base64.urlsafe_b64encode(forged).decode().rstrip('=')}"


def as_somebody_else(token: str) -> str:
    """Claims changed, signature kept: what a person with a token tries first."""
    head, _, signature = token.split(".")
    claims = part(token, 1)
    changed = {
        name: value + 1 if isinstance(value, int) and name.endswith("id") else value for name, value in claims.items()
    }
    return f"{head}.{encoded(changed | {'role': 'admin'})}.{signature}"


def unsigned(token: str) -> str:
    """The same claims under the algorithm "none"."""
    return f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{token.split('.')[1]}."


def expect_refused(deployment: Deployment, *, token: str, codes: tuple[str, ...]) -> None:
    answer = deployment.web.get(PROTECTED, token=token).expect_problem(401, *codes)
    answer.expect_header("www-authenticate", lambda value: value.lower().startswith("bearer"), expected="naming Bearer")


@check(
    id="tokens.forged",
    title="A token with a forged signature, changed claims or no signature is refused",
    severity="critical",
    needs=["login.me_cadet"],
    next_step=guide.TOKENS,
)
def forged_tokens(deployment: Deployment) -> None:
    token = deployment.token("cadet")
    forgers: list[Callable[[str], str]] = [with_another_signature, as_somebody_else]
    for forge in forgers:
        expect_refused(deployment, token=forge(token), codes=("token_bad_signature",))
    expect_refused(deployment, token=unsigned(token), codes=("token_bad_signature", "token_malformed"))


@check(
    id="tokens.malformed",
    title="What is no token is called malformed, not badly signed",
    severity="major",
    needs=["health.web"],
    next_step=guide.TOKENS,
)
def malformed_tokens(deployment: Deployment) -> None:
    # The first two are what browsers sent when the client had lost its token.
    for text in ("undefined", "null", "not.a.token"):
        expect_refused(deployment, token=text, codes=("token_malformed",))


@check(
    id="tokens.wrong_type",
    title="A refresh token does not open what needs an access token",
    severity="critical",
    needs=["login.me_cadet"],
    next_step=guide.TOKENS,
)
def wrong_type(deployment: Deployment) -> None:
    expect_refused(deployment, token=deployment.session("cadet").refresh, codes=("token_wrong_type",))


@check(
    id="tokens.lifetime",
    title="Access tokens live 15 minutes, refresh tokens 7 days",
    severity="major",
    needs=["login.me_cadet"],
    next_step=guide.TOKENS,
)
def lifetimes(deployment: Deployment) -> None:
    session = deployment.session("cadet")
    for name, token, seconds in (
        ("access", session.access, ACCESS_SECONDS),
        ("refresh", session.refresh, REFRESH_SECONDS),
    ):
        claims = part(token, 1)
        lives = claims.get("exp", 0) - claims.get("iat", 0)
        # One second: both are whole seconds, rounded apart.
        expect(abs(lives - seconds) <= 1, expected=f"{name} tokens of {seconds} s", came=f"{lives} s")


@check(
    id="tokens.rotation",
    title="A refresh gives new tokens, and the used refresh token is refused",
    severity="major",
    needs=["login.me_cadet"],
    next_step=guide.TOKENS,
)
def rotation(deployment: Deployment) -> None:
    # A session of its own: a refresh token that comes back can end the session that it belongs to.
    old = deployment.sign_in("cadet")
    answer = deployment.web.post(f"{API}/auth/refresh", json={"refresh": old.refresh}).expect_status(200)
    new = Session(
        role=old.role,
        username=old.username,
        access=str(answer.at("access")),
        refresh=str(answer.at("refresh")),
        user=old.user,
    )
    answer.expect(new.refresh != old.refresh, expected="another refresh token", came="the same one")
    deployment.web.get(PROTECTED, token=new.access).expect_status(200)
    deployment.web.post(f"{API}/auth/refresh", json={"refresh": old.refresh}).expect_problem(401, "token_used")


@check(
    id="tokens.logout",
    title="Signing out ends the session at once",
    severity="critical",
    needs=["login.me_cadet"],
    next_step=guide.TOKENS,
)
def logout(deployment: Deployment) -> None:
    session = deployment.sign_in("cadet")
    deployment.web.get(PROTECTED, token=session.access).expect_status(200)
    deployment.web.post(f"{API}/auth/logout", token=session.access).expect_status(204)
    deployment.web.get(PROTECTED, token=session.access).expect_problem(401, "token_revoked")
    deployment.web.post(f"{API}/auth/refresh", json={"refresh": session.refresh}).expect_problem(401, "token_revoked")


@check(
    id="tokens.harmless_when_public",
    title="A broken token in the header breaks no public endpoint",
    severity="major",
    needs=["login.me_cadet"],
    next_step=guide.TOKENS,
)
def harmless_when_public(deployment: Deployment) -> None:
    for token in ("undefined", with_another_signature(deployment.token("cadet"))):
        for path in ("/api/health/", "/api/health/live/"):
            deployment.web.get(path, token=token).expect_status(200, 503)
        # Sign-in is where somebody with an old token goes; an empty request must be judged as one.
        deployment.web.post(f"{API}/auth/login", json={}, token=token).expect_problem(400, "validation_failed")
