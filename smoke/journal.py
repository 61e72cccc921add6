"""What a run is about to create is written down first, so that a killed run can be cleaned up, too."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from smoke.target import STATE, Target, WrongUsage


@dataclass(kw_only=True)
class Entry:
    """One thing on the deployment. `marker` finds it there; `location` is known once it was created."""

    kind: str
    marker: str
    location: str | None = None
    removed: bool = False


def journal_directory(*, environment: Mapping[str, str]) -> Path:
    """SMOKE_JOURNAL, else beside the suite, else (not writable there) a directory of this user's."""
    given = environment.get("SMOKE_JOURNAL")
    if given:
        return Path(given)
    beside = STATE / "smoke-journal"
    nearest = next(path for path in (beside, *beside.parents) if path.exists())
    if os.access(nearest, os.W_OK):
        return beside
    return Path(tempfile.gettempdir()) / f"rgms-smoke-journal-{os.getuid()}"


def require_journal(target: Target) -> None:
    """Raise WrongUsage if the run may write and could not write down what: nobody would know what to remove."""
    if target.why_not_write is not None:
        return
    directory = journal_directory(environment=os.environ)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise WrongUsage(
            f"the journal directory {directory} cannot be written ({error.strerror}): "
            "set SMOKE_JOURNAL to another one, or run with --read-only"
        ) from error


class Journal:
    """The journal of one run against one deployment.

    Holds a lock on its file for as long as the run lives.
    """

    def __init__(self, *, directory: Path, run_id: str, base_url: str) -> None:
        self._directory = directory
        self._path = directory / f"{run_id}.jsonl"
        self._base_url = base_url
        self._file: IO[str] | None = None
        self.entries: list[Entry] = []

    def intend(self, *, kind: str, marker: str) -> Entry:
        """Write down, durably, that something is about to be created."""
        entry = Entry(kind=kind, marker=marker)
        self.entries.append(entry)
        self._write({"intended": kind, "marker": marker})
        return entry

    def created(self, entry: Entry, *, location: str) -> None:
        entry.location = location
        self._write({"created": entry.marker, "location": location})

    def removed(self, entry: Entry) -> None:
        entry.removed = True
        self._write({"removed": entry.marker})

    def close(self) -> None:
        """Release the lock; forget the file if nothing is left on the deployment."""
        if self._file is None:
            return
        if all(entry.removed for entry in self.entries):
            self._path.unlink(missing_ok=True)
        self._file.close()
        self._file = None

    @contextmanager
    def leftovers(self) -> Iterator[list[Entry]]:
        """Entries that ended runs left on this deployment.

        Those marked as removed on leaving are forgotten.
        """
        held: list[tuple[Path, IO[str], list[Entry]]] = []
        file: IO[str]
        try:
            for path in sorted(self._directory.glob("*.jsonl")):
                if path == self._path:
                    continue
                try:
                    file = path.open("r+")
                except OSError:
                    # Another run has just put it away, or it is not this user's.
                    continue
                try:
                    # A run that still lives holds the lock; what it made is its own to remove.
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    file.close()
                    continue
                held.append((path, file, _read(file, base_url=self._base_url)))
            yield [entry for _, _, entries in held for entry in entries if not entry.removed]
            for path, _, entries in held:
                if entries and all(entry.removed for entry in entries):
                    path.unlink(missing_ok=True)
        finally:
            for _, file, _ in held:
                file.close()

    def _write(self, line: dict[str, str]) -> None:
        if self._file is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a")
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._append({"base_url": self._base_url, "pid": str(os.getpid())})
        self._append(line)

    def _append(self, line: dict[str, str]) -> None:
        assert self._file is not None
        self._file.write(json.dumps({"at": datetime.now(UTC).isoformat()} | line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def _read(file: IO[str], *, base_url: str) -> list[Entry]:
    """The entries of a journal, none if it is about another deployment or is no journal.

    A last line cut short is ignored.
    """
    entries: dict[str, Entry] = {}
    try:
        lines = file.readlines()
    except (OSError, UnicodeDecodeError):
        return []
    for text in lines:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        match line:
            case {"base_url": address} if address != base_url:
                return []
            case {"intended": str(kind), "marker": str(marker)}:
                entries[marker] = Entry(kind=kind, marker=marker)
            case {"created": str(marker), "location": str(location)} if marker in entries:
                entries[marker].location = location
            case {"removed": str(marker)} if marker in entries:
                entries[marker].removed = True
    return list(entries.values())
