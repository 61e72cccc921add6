import re

from smoke import guide
from smoke.check import check
from smoke.deployment import Deployment

# A style sheet of Django's admin under the name that the manifest gave it: base.<12 hex digits>.css
HASHED = re.compile(r'href="(?:https?://[^/"]+)?(/static/admin/css/base\.[0-9a-f]{8,}\.css)"')
YEAR = 365 * 24 * 3600


@check(
    id="static_files.served",
    title="Static files are collected, served under hashed names, and may be kept for a year",
    severity="major",
    needs=["health.web"],
    next_step=guide.STATIC_FILES,
)
def static_files_served(deployment: Deployment) -> None:
    page = deployment.web.get("/admin/login/").expect_status(200)
    found = HASHED.search(page.text)
    if found is None:
        plain = re.search(r'href="([^"]*base[^"]*\.css)"', page.text)
        raise page.fails(
            expected="a style sheet with a hash in its name",
            came=plain[1] if plain else "a page without the admin's style sheet",
        )
    file = deployment.web.get(found[1]).expect_status(200)
    file.expect(file.media_type == "text/css" and len(file.text) > 100, expected="CSS", came=file.summary())
    file.expect_header(
        "cache-control",
        lambda value: any(int(age) >= YEAR for age in re.findall(r"max-age=(\d+)", value)),
        expected="with a max-age of a year",
    )
    missing = deployment.web.get("/static/admin/css/no-such-file.css")
    missing.expect_status(404)
