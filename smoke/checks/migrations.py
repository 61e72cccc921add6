from smoke import guide
from smoke.check import check
from smoke.deployment import Deployment


@check(
    id="migrations.applied",
    title="All migrations are applied, and the database knows none that the code does not",
    severity="critical",
    needs=["access.operations"],
    next_step=guide.MIGRATIONS,
)
def migrations_applied(deployment: Deployment) -> None:
    answer = deployment.status()
    for kind in ("unapplied", "unknown"):
        names = answer.at(f"migrations.{kind}")
        answer.expect(names == [], expected=f"no {kind} migrations", came=f"{names}")
