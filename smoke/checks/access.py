from smoke import guide
from smoke.check import check
from smoke.deployment import API, Deployment

PERSONAL = (f"{API}/auth/me", f"{API}/notifications", f"{API}/notifications/unread-count")
OPERATIONS = (f"{API}/operations/status", f"{API}/operations/queue", f"{API}/operations/integrity")


@check(
    id="access.anonymous",
    title="Nobody reads a protected address without signing in",
    severity="critical",
    needs=["health.web"],
    next_step=guide.PERMISSIONS,
)
def anonymous_is_refused(deployment: Deployment) -> None:
    for path in PERSONAL + OPERATIONS:
        deployment.web.get(path).expect_problem(401, "token_missing")


@check(
    id="access.role",
    title="A cadet does not read what is an admin's",
    severity="critical",
    needs=["login.me_cadet"],
    next_step=guide.PERMISSIONS,
)
def cadet_is_refused(deployment: Deployment) -> None:
    for path in OPERATIONS:
        deployment.web.get(path, token=deployment.token("cadet")).expect_problem(403, "permission_denied")


@check(
    id="access.role_writes",
    title="A cadet cannot notify others, nor start an operation",
    severity="critical",
    needs=["login.me_cadet"],
    writes=True,
    next_step=guide.PERMISSIONS,
)
def cadet_cannot_write(deployment: Deployment) -> None:
    token = deployment.token("cadet")
    marker = deployment.marker()
    # Journaled although it must be refused: were it let in, the row would have to go again.
    deployment.journal.intend(kind="notification", marker=marker)
    deployment.web.post(
        f"{API}/notifications",
        json={
            "recipient": deployment.session("cadet").username,
            "title": "Smoke check",
            "body": "A cadet must not be able to send this.",
            "correlation_id": marker,
        },
        token=token,
    ).expect_problem(403, "permission_denied")
    deployment.web.post(f"{API}/operations/probe", json={}, token=token).expect_problem(403, "permission_denied")


@check(
    id="access.operations",
    title="The admin reads the status of the deployment",
    severity="critical",
    needs=["login.me_admin"],
    next_step=guide.API,
)
def admin_reads_status(deployment: Deployment) -> None:
    answer = deployment.status().expect_status(200)
    answer.mapping("processes")
    answer.mapping("migrations")
    answer.rows("schedule")
