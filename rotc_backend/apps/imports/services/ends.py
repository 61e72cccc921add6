"""How a run ends, whatever the end: its file goes, an audit entry and an event come, in one transaction."""

from collections.abc import Mapping

from django.db import connection

from apps.accounts.services import audit_record
from apps.events.services import publish
from apps.imports import rules
from apps.imports.events import ImportFinished
from apps.imports.models import ImportFile, ImportRun, State
from core.clock import now
from core.leases import LeasedTable

LEASES = LeasedTable(table="imports_importrun", lease_seconds=rules.LEASE_SECONDS, attempts=rules.ATTEMPTS)

_ACTIONS = {
    State.READY: "import.check",
    State.DONE: "import.apply",
    State.REFUSED: "import.refuse",
    State.FAILED: "import.fail",
    State.CANCELLED: "import.cancel",
}


def hearers(run: ImportRun) -> list[str]:
    """Who hears of a run: whoever sent the file, and whoever it is done for."""
    return [f"user:{user_id}" for user_id in sorted({run.created_by_id, run.asked_by_id})]


def run_end(
    *,
    run: ImportRun,
    actor_id: int | None,
    state: State,
    code: str = "",
    detail: str = "",
    counts: Mapping[str, int] | None = None,
    action: str = "",
) -> None:
    """Write the end of a run whose row the caller has locked, in the caller's transaction.

    `actor_id` is None where nobody has asked for this end; `action` is the audit entry's where it is not the usual
    one of the state.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("run_end() belongs into the transaction that holds the run's row")
    run.state, run.problem_code, run.problem = state, code, detail
    run.finished_at, run.owner, run.lease_until, run.phase = now(), None, None, ""
    run.counts = dict(counts or {})
    run.save(
        update_fields=[
            "state",
            "problem_code",
            "problem",
            "finished_at",
            "owner",
            "lease_until",
            "phase",
            "counts",
            "rows_done",
            "rows_total",
            "notes",
        ]
    )
    if state != State.READY:
        ImportFile.objects.filter(run_id=run.pk).delete()
    audit_record(
        actor_id=actor_id,
        action=action or _ACTIONS[state],
        target=f"import:{run.pk}",
        after={
            "kind": run.kind,
            "term_id": run.term_id,
            "training_day_id": run.training_day_id,
            "on_duplicate": run.on_duplicate,
            **({"counts": run.counts} if run.counts else {}),
            **({"code": code} if code else {}),
        },
    )
    publish(event=ImportFinished(import_id=run.pk, state=state.value, counts=run.counts), recipients=hearers(run))
