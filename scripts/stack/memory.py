"""scripts/memory: what each running service holds, against its budget."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.stack.processes import descendants, proportional_memory, session_members
from scripts.stack.state import DEFAULT_STATE, State

# Render's Starter plan gives 512 MB to a service. The rest is for a second beat or gunicorn during a
# deploy's peak.
BUDGETS = {  # megabytes
    "rotc-django-web": 350,
    "rotc-django-channels": 130,
    "rotc-celery-worker": 250,
    "rotc-celery-beat": 110,
}
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Holding:
    """Memory of all processes of a service. `megabytes` is None when it does not run or may not be read."""

    service: str
    processes: int
    megabytes: float | None
    budget: int | None

    @property
    def is_over(self) -> bool:
        return self.megabytes is not None and self.budget is not None and self.megabytes > self.budget


def holding_of(*, service: str, pid: int, budgets: Mapping[str, int]) -> Holding:
    members = {process.pid for process in (*session_members(session=pid), *descendants(pid=pid))}
    sizes = [size for member in members if (size := proportional_memory(pid=member)) is not None]
    return Holding(
        service=service,
        processes=len(sizes),
        megabytes=sum(sizes) / _MEGABYTE if sizes else None,
        budget=budgets.get(service),
    )


def table(holdings: Sequence[Holding]) -> str:
    lines = [f"{'service':<22} {'processes':>9} {'PSS MB':>8} {'budget':>7}"]
    for holding in holdings:
        size = "gone" if holding.megabytes is None else f"{holding.megabytes:.1f}"
        budget = "-" if holding.budget is None else str(holding.budget)
        verdict = "  OVER" if holding.is_over else ""
        lines.append(f"{holding.service:<22} {holding.processes:>9} {size:>8} {budget:>7}{verdict}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every service is within its budget, 1 when one is over or gone, 2 when nothing runs."""
    parser = argparse.ArgumentParser(
        prog="scripts/memory", description="Proportional set size (PSS) of each service, against its budget."
    )
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE, metavar="DIR", help="the one given to scripts/up")
    state = State(parser.parse_args(arguments).state.resolve())
    try:
        document = json.loads(state.up_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        print(f"Nothing is running in {state.path}. Start it with scripts/up.", file=sys.stderr)
        return 2
    holdings = [
        holding_of(service=name, pid=service["pid"], budgets=BUDGETS) for name, service in document["services"].items()
    ]
    print(table(holdings))
    return 1 if any(holding.is_over or holding.megabytes is None for holding in holdings) else 0


if __name__ == "__main__":
    sys.exit(main())
