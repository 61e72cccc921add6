from smoke import guide
from smoke.check import check
from smoke.deployment import Deployment
from smoke.target import is_expected


@check(
    id="version.expected",
    title="The web service runs the version that was to be released",
    severity="critical",
    needs=["health.web"],
    next_step=guide.VERSION,
)
def version_expected(deployment: Deployment) -> None:
    answer = deployment.health()
    expected = deployment.target.expected_version
    if expected is None:
        # Nothing was asked for; that it says some version was established with its shape.
        return
    version, commit = answer.at("version"), answer.at("commit")
    answer.expect(
        is_expected(expected=expected, version=version, commit=commit),
        expected=f"version or commit {expected}",
        came=f"version {version}, commit {commit}",
    )


@check(
    id="version.same",
    title="All services that run are of the same version and commit",
    severity="critical",
    needs=["redis.connected", "channels.answers"],
    next_step=guide.VERSION,
)
def version_same(deployment: Deployment) -> None:
    web, channels = deployment.health(), deployment.channels_health()
    seen = {name: (one.get("version"), one.get("commit")) for name, one in deployment.running(answer=web).items()}
    for answer in (web, channels):
        seen[str(answer.at("service"))] = (answer.at("version"), answer.at("commit"))
    web.expect(
        len(set(seen.values())) == 1,
        expected="one version and commit on all services",
        came="; ".join(f"{name}: {version} {commit}" for name, (version, commit) in sorted(seen.items())),
    )
