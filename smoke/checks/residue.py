from smoke import guide
from smoke.check import check
from smoke.deployment import Deployment
from smoke.expectation import expect


@check(
    id="residue.none",
    title="No notification of the suite is left on the deployment",
    severity="major",
    needs=["health.web"],
    last=True,
    next_step=guide.RESIDUE,
)
def nothing_is_left(deployment: Deployment) -> None:
    # Probes of the worker stay, by design: they expire by themselves.
    remaining = deployment.clean_up()
    expect(not remaining, expected="no row with this run's id", came=", ".join(remaining))
