import secrets

from smoke import guide
from smoke.check import check
from smoke.deployment import API, Deployment, Session


def expect_signed_in(session: Session, *, role: str, deployment: Deployment) -> None:
    answer = deployment.web.get(f"{API}/auth/me", token=session.access).expect_status(200)
    answer.expect_at("username", session.username).expect_at("role", role).expect_at("status", "approved")


@check(
    id="login.admin",
    title="The admin signs in with the guide's request, as written",
    severity="critical",
    needs=["database.connected"],
    next_step=guide.LOGIN,
)
def login_admin(deployment: Deployment) -> None:
    deployment.session("admin", path=f"{API}/auth/login")


@check(
    id="login.cadet",
    title="A cadet signs in, with a slash at the end of the address",
    severity="critical",
    needs=["database.connected"],
    next_step=guide.LOGIN,
)
def login_cadet(deployment: Deployment) -> None:
    deployment.session("cadet", path=f"{API}/auth/login/")


@check(
    id="login.me_admin",
    title="The admin's token is accepted, and means the admin",
    severity="critical",
    needs=["login.admin"],
    next_step=guide.TOKENS,
)
def me_admin(deployment: Deployment) -> None:
    expect_signed_in(deployment.session("admin"), role="admin", deployment=deployment)


@check(
    id="login.me_cadet",
    title="The cadet's token is accepted, and means that cadet",
    severity="critical",
    needs=["login.cadet"],
    next_step=guide.TOKENS,
)
def me_cadet(deployment: Deployment) -> None:
    expect_signed_in(deployment.session("cadet"), role="cadet", deployment=deployment)


@check(
    id="login.wrong_password",
    title="A wrong password does not open a cadet's account",
    severity="critical",
    needs=["login.cadet"],
    # It counts towards the account's lockout, so it does change something.
    writes=True,
    next_step=guide.TOKENS,
)
def wrong_password(deployment: Deployment) -> None:
    username = deployment.session("cadet").username
    wrong = {"username": username, "password": f"not-the-password-{secrets.token_hex(8)}"}
    deployment.web.post(f"{API}/auth/login", json=wrong).expect_problem(401, "credentials_wrong")
    # The right one still opens it, which also starts the count of wrong ones again.
    deployment.sign_in("cadet")


@check(
    id="login.malformed",
    title="A sign-in that is no JSON is refused as such, not with an error of the server",
    severity="minor",
    needs=["login.admin"],
    next_step=guide.API,
)
def malformed_login(deployment: Deployment) -> None:
    deployment.web.post(f"{API}/auth/login", json=["no", "object"]).expect_problem(
        400, "validation_failed", "body_malformed"
    )
