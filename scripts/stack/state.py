"""STATE: what one system on this machine remembers, and the lock that keeps it to one runner at a time.

generated.json   secrets made once (mode 0600)          up.json      what runs now, for people and programs
(0600) runner.json      who runs it                            logs/        one bounded file per process
postgres/ valkey/ media/                               seeded.json  which database got which demo data
"""

import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scripts.stack.processes import ProcessId, process_identity

ROOT = Path(__file__).resolve().parent.parent.parent
DEFAULT_STATE = ROOT / ".local"


class State:
    """Every file of one state directory that has a format. `path` is absolute."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.up_file = path / "up.json"
        self.logs = path / "logs"
        self._lock_file = path / "runner.lock"
        self._runner_file = path / "runner.json"
        self._seeded_file = path / "seeded.json"
        self._generated_file = path / "generated.json"

    def create(self) -> None:
        """Raises OSError when the directory cannot be made or written."""
        # Others may pass through but not look: PostgreSQL runs as another user when the runner is root.
        self.path.mkdir(mode=0o711, parents=True, exist_ok=True)
        self.logs.mkdir(mode=0o700, exist_ok=True)

    # --- one runner at a time -------------------------------------------------------------------------------

    def lock(self) -> int | None:
        """A descriptor that holds the lock until its last copy is closed, or None while somebody else has it.

        The kernel releases it with the last process that inherited it, however that one ended; a pid in a
        file could belong to somebody else by then. Children started with `close_fds` do not hold it.
        """
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    @property
    def is_running(self) -> bool:
        if not self._lock_file.exists():
            return False
        descriptor = self.lock()
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def runner_write(self, *, guardian: int, runner: int) -> None:
        record = {"guardian": process_identity(pid=guardian), "runner": process_identity(pid=runner)}
        _write(self._runner_file, {role: asdict(identity) for role, identity in record.items()})

    def runner_read(self) -> dict[str, ProcessId]:
        """`guardian` and `runner`, or nothing when none was recorded."""
        record = _read(self._runner_file)
        return {role: ProcessId(pid=entry["pid"], start_time=entry["start_time"]) for role, entry in record.items()}

    # --- what runs ------------------------------------------------------------------------------------------

    def up_write(self, document: Mapping[str, Any]) -> None:
        _write(self.up_file, document)

    def up_remove(self) -> None:
        self.up_file.unlink(missing_ok=True)
        self._runner_file.unlink(missing_ok=True)

    # --- what is remembered ---------------------------------------------------------------------------------

    def generated(self, key: str, make: Callable[[], str]) -> str:
        """The secret `key`; `make` is called the first time only."""
        values = _read(self._generated_file)
        if key not in values:
            values[key] = make()
            _write(self._generated_file, values)
        return str(values[key])

    def seeded(self) -> dict[str, Any]:
        return _read(self._seeded_file)

    def seeded_write(self, record: Mapping[str, Any]) -> None:
        _write(self._seeded_file, record)


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    if not isinstance(document, dict):
        raise ValueError(f"{file} does not hold a JSON object; it was changed by hand. Move it away.")
    return document


def _write(file: Path, document: Mapping[str, Any]) -> None:
    """Whole or not at all, and readable by the owner only."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(document, stream, indent=2)
            stream.write("\n")
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise
