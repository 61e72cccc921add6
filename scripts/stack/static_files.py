"""Whether the static files of this clone are what collectstatic would make of it now.

Compressing them takes most of a minute, so it is done when something changed and not at every start. They lie
where production has them, in rotc_backend, and all systems of a clone share them.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

_BUILD_TAKES_THEM_FROM = (
    "config",
    "core/storage.py",
)  # settings and storage, beside every folder called static


class StaticFiles:
    """`folder` of the clone `root` keeps the record and the lock."""

    def __init__(self, *, root: Path, folder: Path) -> None:
        self._service = root / "rotc_backend"
        self._requirements = root / "requirements.txt"
        self._collected = self._service / "staticfiles"
        self._record = folder / "static-files.json"
        self._lock = folder / "static-files.lock"

    def lock(self) -> int | None:
        """A descriptor that keeps other systems of the clone from collecting; None while one of them does."""
        self._lock.parent.mkdir(mode=0o711, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def are_current(self, *, command: str) -> bool:
        if not (self._collected / "staticfiles.json").exists():
            return False
        try:
            record = json.loads(self._record.read_text())
        except (FileNotFoundError, ValueError):
            return False
        return bool(record == {"inputs": self.inputs(command=command)})

    def forget(self) -> None:
        """From here on they may be half made."""
        self._record.unlink(missing_ok=True)

    def remember(self, *, inputs: str) -> None:
        """`inputs` as they were before collecting: what changed meanwhile counts as changed."""
        self._record.write_text(json.dumps({"inputs": inputs}))

    def inputs(self, *, command: str) -> str:
        """A digest of everything that decides what is collected."""
        digest = hashlib.sha256(command.encode())
        digest.update(self._requirements.read_bytes())
        for file in sorted(self._sources()):
            status = file.stat()
            digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def _sources(self) -> Iterator[Path]:
        for folder, folders, files in os.walk(self._service):
            here = Path(folder)
            folders[:] = [name for name in folders if name != "__pycache__" and here / name != self._collected]
            relative = here.relative_to(self._service)
            for name in files:
                if "static" in relative.parts or str(relative / name).startswith(_BUILD_TAKES_THEM_FROM):
                    yield here / name
