from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar

Severity = Literal["critical", "major", "minor"]
SEVERITIES: tuple[Severity, ...] = ("critical", "major", "minor")
ATTRIBUTE = "__smoke_check__"

Function = TypeVar("Function", bound=Callable[..., None])


@dataclass(frozen=True, kw_only=True)
class Check:
    """What the runner knows of a check before it runs.

    `needs` are ids of checks without whose success this one could not say anything of its own; `writes` asks
    the transport for unsafe methods; `last` puts the check behind all others.
    """

    id: str
    title: str
    severity: Severity
    needs: tuple[str, ...]
    next_step: str
    writes: bool
    last: bool

    @property
    def group(self) -> str:
        return self.id.partition(".")[0]


def check(
    *,
    id: str,  # noqa: A002 - the word that the reports use
    title: str,
    severity: Severity,
    next_step: str,
    needs: Iterable[str] = (),
    writes: bool = False,
    last: bool = False,
) -> Callable[[Function], Function]:
    """Declare the decorated function a check.

    Raises ValueError for a severity that the gate does not know.
    """
    if severity not in SEVERITIES:
        raise ValueError(f"severity of {id} is {severity!r}, not one of {', '.join(SEVERITIES)}")
    declared = Check(
        id=id,
        title=title,
        severity=severity,
        needs=tuple(needs),
        next_step=next_step,
        writes=writes,
        last=last,
    )

    def declare(function: Function) -> Function:
        setattr(function, ATTRIBUTE, declared)
        return function

    return declare


def in_order(checks: list[Check]) -> list[Check]:
    """Sort so that every check follows what it needs; otherwise the given order is kept.

    Raises ValueError, naming the checks, for an id given twice, an unknown need, and a cycle.
    """
    by_id = _by_id(checks)
    ordered: list[Check] = []
    placed: set[str] = set()

    def place(one: Check, *, path: tuple[str, ...]) -> None:
        if one.id in path:
            raise ValueError("checks need each other in a circle: " + " → ".join([*path, one.id]))
        if one.id in placed:
            return
        for need in one.needs:
            place(by_id[need], path=(*path, one.id))
        placed.add(one.id)
        ordered.append(one)

    for one in sorted(checks, key=lambda each: each.last):
        place(one, path=())
    return ordered


def _by_id(checks: list[Check]) -> dict[str, Check]:
    """Raises ValueError for an id given twice and for a need that is nobody's id."""
    by_id: dict[str, Check] = {}
    for one in checks:
        if one.id in by_id:
            raise ValueError(f"two checks have the id {one.id}")
        by_id[one.id] = one
    for one in checks:
        for need in one.needs:
            if need not in by_id:
                raise ValueError(f"{one.id} needs {need}, and there is no such check")
    return by_id
