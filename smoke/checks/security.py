import re

from smoke import guide
from smoke.check import check
from smoke.deployment import API, Deployment

YEAR = 365 * 24 * 3600
STRICT_REFERRERS = ("no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin")
# What Django's pages for developers say and no other page does.
DEVELOPERS_PAGE = re.compile(r"DEBUG\s*=\s*True|Using the URLconf|Request Method:|Traceback|INSTALLED_APPS")
FOREIGN_HOST = "foreign.example.invalid"


@check(
    id="security.headers",
    title="Answers carry the headers that make browsers careful",
    severity="major",
    needs=["health.web"],
    next_step=guide.SETTINGS,
)
def security_headers(deployment: Deployment) -> None:
    page = deployment.web.get("/admin/login/")
    api = deployment.web.get("/api/health/")
    for answer in (page, api):
        answer.expect_header(
            "strict-transport-security",
            lambda value: any(int(age) >= YEAR for age in re.findall(r"max-age=(\d+)", value)),
            expected="with a max-age of a year",
        )
        answer.expect_header("x-content-type-options", lambda value: value == "nosniff", expected="is nosniff")
        answer.expect_header(
            "referrer-policy",
            lambda value: value in STRICT_REFERRERS,
            expected=f"is one of {STRICT_REFERRERS}",
        )
    page.expect_header("x-frame-options", lambda value: value.upper() == "DENY", expected="is DENY")


@check(
    id="security.cookies",
    title="Cookies travel over TLS only",
    severity="major",
    needs=["health.web"],
    next_step=guide.SETTINGS,
)
def security_cookies(deployment: Deployment) -> None:
    answer = deployment.web.get("/admin/login/").expect_status(200)
    cookies = answer.headers.get_list("set-cookie")
    answer.expect(bool(cookies), expected="a cookie against forged forms", came="no Set-Cookie header")
    for cookie in cookies:
        # Name and flags only: the value is a secret of this one visit.
        name, _, flags = cookie.partition(";")
        present = {flag.strip().partition("=")[0].lower() for flag in flags.split(";")}
        answer.expect(
            {"secure", "samesite"} <= present,
            expected=f"the flags Secure and SameSite on {name.partition('=')[0]}",
            came=f"{', '.join(sorted(present))}",
        )


@check(
    id="security.debug",
    title="DEBUG is off: an error page shows nothing of the inside",
    severity="critical",
    needs=["health.web"],
    next_step=guide.SETTINGS,
)
def debug_is_off(deployment: Deployment) -> None:
    answer = deployment.web.get("/no-such-page/").expect_status(404)
    found = DEVELOPERS_PAGE.search(answer.text)
    answer.expect(found is None, expected="a plain page", came=f"one for developers ({found and found[0]})")


@check(
    id="security.settings",
    title="The deployment runs with its production settings",
    severity="major",
    needs=["access.operations"],
    next_step=guide.SETTINGS,
)
def production_settings(deployment: Deployment) -> None:
    deployment.status().expect_at("environment", "production").expect_at("debug", False)


@check(
    id="security.hosts",
    title="A request for somebody else's host name is refused",
    severity="major",
    needs=["health.web"],
    next_step=guide.HOSTS,
)
def foreign_host_is_refused(deployment: Deployment) -> None:
    answer = deployment.web.get(f"{API}/auth/me", headers={"Host": FOREIGN_HOST})
    # 400 is Django's word. A proxy in front may refuse it first, in its own words and without our request id.
    refused_in_front = answer.status in {403, 404, 421} and answer.request_id is None
    answer.expect(
        answer.status == 400 or refused_in_front,
        expected=f"400 for Host: {FOREIGN_HOST}",
        came=answer.summary(),
    )


@check(
    id="security.banner",
    title="The Server header gives no version away",
    severity="minor",
    needs=["health.web"],
    next_step=guide.SETTINGS,
)
def server_banner(deployment: Deployment) -> None:
    answer = deployment.health()
    banner = answer.headers.get("server", "")
    answer.expect(re.search(r"\d", banner) is None, expected="no version in Server", came=f"Server: {banner}")
