import uuid
from dataclasses import dataclass

from core.messages import Job


@dataclass(frozen=True, kw_only=True)
class ProbeRecord(Job):
    """Let the worker record in the probe's row that it has arrived."""

    task = "operations.probe_record"

    probe_id: uuid.UUID


@dataclass(frozen=True, kw_only=True)
class BackupMake(Job):
    """Let the worker make the backup that this row of the journal asks for."""

    task = "operations.backup_make"

    entry_id: int
