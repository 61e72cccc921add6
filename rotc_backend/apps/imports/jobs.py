from dataclasses import dataclass

from core.messages import Job


@dataclass(frozen=True, kw_only=True)
class ImportRunPerform(Job):
    """Let the worker check, or carry out, an import that waits."""

    task = "imports.import_run_perform"

    run_id: int
