"""How the cost of reading grows with the unit: median milliseconds and SQL queries, uncached, sizes side by side.

scripts/benchmark-growth --out FILE     on a PostgreSQL and a Valkey of its own, which end with it
"""

import argparse
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.service import django_started
from scripts.stack.pytest_servers import servers_running

if TYPE_CHECKING:
    from benchmarks.rows import Unit

SIZES = (300, 3_000, 30_000)  # cadets: a real term, the design, ten times the design
DAYS = 15
REPEATS = 9
_QUERIES = re.compile(r'db;dur=[\d.]+;desc="(\d+) quer')


@dataclass(frozen=True, kw_only=True)
class Read:
    """`path` may name fields of the unit in braces; `who` is admin, staff or cadet."""

    title: str
    who: str
    path: str


READS = (
    Read(title="cadet list, a page of 50", who="admin", path="/api/v1/cadets?term={term_id}&page_size=50"),
    Read(title="cadet list, searched by name", who="admin", path="/api/v1/cadets?term={term_id}&search=macaraeg"),
    Read(
        title="company sheet, 50 rows with grades",
        who="staff",
        path="/api/v1/terms/{term_id}/grades?company={company_id}&page_size=50",
    ),
    Read(title="own standing", who="cadet", path="/api/v1/cadets/me/standing"),
    Read(title="leaderboard, a page of 50", who="staff", path="/api/v1/leaderboard?page_size=50"),
    Read(title="own place on the leaderboard", who="cadet", path="/api/v1/leaderboard/me"),
    Read(title="dashboard", who="staff", path="/api/v1/dashboard"),
)


@dataclass(frozen=True, kw_only=True)
class Cost:
    milliseconds: float
    queries: int


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="rgms-growth-") as folder:
        state = Path(folder)
        state.chmod(0o711)  # PostgreSQL runs as another user when this runs as root
        with servers_running(state=state) as urls:
            django_started(urls, media=state / "media")
            page = _page(
                {size: _costs(size, days=options.days, repeats=options.repeats) for size in options.cadets},
                days=options.days,
                repeats=options.repeats,
            )
            from django.db import connections

            connections.close_all()
    sys.stdout.write(page)
    if options.out is not None:
        options.out.write_text(page)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/benchmark-growth", description=__doc__.splitlines()[0])
    parser.add_argument("--cadets", type=int, nargs="+", default=list(SIZES), help="sizes of the unit")
    parser.add_argument("--days", type=int, default=DAYS, help="training days of the term")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="measured requests for each figure")
    parser.add_argument("--out", type=Path, help="also write the table to this file (Markdown)")
    return parser.parse_args(arguments)


def _costs(size: int, *, days: int, repeats: int) -> dict[str, Cost]:
    from apps.accounts.models import Role
    from apps.accounts.selectors import user_by_username
    from apps.accounts.tests import factories
    from benchmarks.rows import unit_load

    def account(username: str, role: Role) -> Any:
        return user_by_username(username) or factories.user(username, role=role)

    accounts = {"admin": account("amina", Role.ADMIN), "staff": account("ramon", Role.TRAINING_STAFF)}
    accounts["cadet"] = account("liza", Role.CADET)
    sys.stderr.write(f"loading {size} cadets …\n")
    unit = unit_load(cadets=size, days=days, cadet_user=accounts["cadet"], issuer=accounts["staff"])
    clients = {who: factories.signed_in(user).client for who, user in accounts.items()}
    return {read.title: _cost(clients[read.who].get, read, unit, repeats=repeats) for read in READS}


def _cost(get: Callable[[str], Any], read: Read, unit: "Unit", *, repeats: int) -> Cost:
    from django.core.cache import cache

    path = read.path.format(term_id=unit.term_id, company_id=unit.company_id)
    milliseconds, queries = [], set()
    for place in range(repeats + 1):
        cache.clear()
        started = time.perf_counter()
        answer = get(path)
        duration = (time.perf_counter() - started) * 1000
        if answer.status_code != 200:
            raise SystemExit(f"{path} answered {answer.status_code}: {answer.content.decode()}")
        if place:  # the first request pays for connections and imports
            found = _QUERIES.search(answer["Server-Timing"])
            milliseconds.append(duration)
            queries.add(int(found[1]) if found else 0)
    # Every two seconds a request also reads the revocations; the others tell what the operation costs.
    return Cost(milliseconds=statistics.median(milliseconds), queries=min(queries))


def _page(costs: Mapping[int, Mapping[str, Cost]], *, days: int, repeats: int) -> str:
    sizes = list(costs)
    lines = [
        (
            f"Growth with the unit: {days} training days, all attended; uncached; median of {repeats} requests through "
            "the whole service in one process, milliseconds and SQL queries. "
            f"Python {platform.python_version()}, {os.cpu_count()} CPUs."
        ),
        "",
        "| read | " + " | ".join(f"{size:,} cadets" for size in sizes) + " |",
        "| --- |" + " ---: |" * len(sizes),
    ]
    for read in READS:
        cells = [costs[size][read.title] for size in sizes]
        lines.append(
            f"| {read.title} | " + " | ".join(f"{cost.milliseconds:.1f} ms, {cost.queries} q" for cost in cells) + " |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
