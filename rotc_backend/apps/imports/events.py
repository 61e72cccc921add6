from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from core.messages import Event


@dataclass(frozen=True, kw_only=True)
class ImportProgress(Event):
    """How far an own import is, at most once a second. `phase` is reading, checking or writing.

    `total` is null while the file is read. A phase begins again at 0.
    """

    type: ClassVar[str] = "import.progress"

    import_id: int
    phase: str
    done: int
    total: int | None


@dataclass(frozen=True, kw_only=True)
class ImportFinished(Event):
    """An own import has been checked (`ready`) or has ended (`done`, `refused`, `cancelled`, `failed`).

    `counts` gives the rows by fate, and is empty when the file as a whole was not taken.
    """

    type: ClassVar[str] = "import.finished"

    import_id: int
    state: str
    counts: Mapping[str, int]
