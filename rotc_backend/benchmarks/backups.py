"""What a backup and a restore cost: seconds, and the most memory, of the very commands that the guide gives.

scripts/benchmark-backup --cadets 3000 --out FILE     on a PostgreSQL and a Valkey of its own, which end with it
"""

import argparse
import os
import platform
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.stack.pytest_servers import servers_running

CADETS = 3_000
SERVICE = Path(__file__).resolve().parent.parent
GOAL_MEGABYTES = 200.0  # of the process: the worker's service has 512, and its other processes need theirs
GOAL_SECONDS = 90.0  # half of what a task of the worker may take, for a machine half as fast


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one command. `megabytes` is the most that its process had in memory, as the kernel has counted."""

    title: str
    seconds: float
    megabytes: float


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every command ended well and within the goals, else 1."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="rgms-backups-") as folder:
        state = Path(folder)
        state.chmod(0o711)  # PostgreSQL runs as another user when this runs as root
        with servers_running(state=state) as urls:
            environment = _environment(state, database_url=urls.database_url, redis_url=urls.redis_url)
            _run(["manage.py", "migrate", "--noinput", "-v0"], environment)
            _run(["manage.py", "seed_demo", "--cadets", str(options.cadets)], environment)
            costs = [_cost("backup, restored on trial", ["scripts/backup_database.py"], environment)]
            (manifest,) = (state / "backups").rglob("manifest.json")
            stored = sum(part.stat().st_size for part in manifest.parent.glob("*.part"))
            costs += [
                _cost(
                    "restore, without the safety backup",
                    [
                        "scripts/rollback_migration.py",
                        *("--backup", manifest.parent.name, "--yes", "--without-safety-backup"),
                    ],
                    environment,
                ),
                _cost("undo of the restore", ["scripts/rollback_migration.py", "--undo", "--yes"], environment),
            ]
            rows, size = _size(urls.database_url)
    page = _page(costs, cadets=options.cadets, rows=rows, database=size, stored=stored)
    sys.stdout.write(page)
    if options.out is not None:
        options.out.write_text(page)
    good = all(cost.seconds < GOAL_SECONDS and cost.megabytes < GOAL_MEGABYTES for cost in costs)
    return 0 if good else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/benchmark-backup", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cadets", type=int, default=CADETS, help="size of the demo (%(default)s)")
    parser.add_argument("--out", type=Path, help="also write the table to this file (Markdown)")
    return parser.parse_args(arguments)


def _environment(state: Path, *, database_url: str, redis_url: str) -> dict[str, str]:
    roles = ("ADMIN", "TRAINING_STAFF", "CADET")
    return {
        **os.environ,
        **{f"DEMO_{role}_PASSWORD": secrets.token_urlsafe(15) for role in roles},
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(48),
        "DJANGO_ENV": "development",
        "DJANGO_SETTINGS_MODULE": "config.settings.development",
        "DEBUG": "False",  # which keeps every statement in memory
        "MEDIA_ROOT": str(state / "media"),
        "BACKUP_URL": f"file://{state}/backups",
        "BACKUP_ENCRYPTION_KEY": secrets.token_urlsafe(48),
    }


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    sys.stderr.write(f"{' '.join(command)} …\n")
    subprocess.run([sys.executable, *command], cwd=SERVICE, env=dict(environment), check=True, stdout=sys.stderr)


def _cost(title: str, command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    sys.stderr.write(f"{title} …\n")
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command], cwd=SERVICE, env=dict(environment), stdout=sys.stderr, stdin=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{title} ended with exit code {process.returncode}.")
    return Cost(title=title, seconds=time.perf_counter() - began, megabytes=usage.ru_maxrss / 1024)


def _size(database_url: str) -> tuple[int, int]:
    """(rows that the last restore loaded, bytes of the live tables with their indexes)"""
    import psycopg

    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT (SELECT (counts ->> 'rows')::bigint FROM ops.journal WHERE kind = 'load' LIMIT 1), "
            "(SELECT sum(pg_total_relation_size(format('%I.%I', schemaname, tablename)::regclass))::bigint "
            " FROM pg_tables WHERE schemaname = 'public')"
        ).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def _page(costs: Sequence[Cost], *, cadets: int, rows: int, database: int, stored: int) -> str:
    lines = [
        (
            f"Backups of {cadets:,} cadets: {rows:,} rows, {database / 1e6:.0f} MB with indexes, "
            f"{stored / 1e6:.1f} MB as stored. Commands and servers share {os.cpu_count()} CPUs "
            f"(load {os.getloadavg()[0]:.1f}). "
            f"Python {platform.python_version()}."
        ),
        "",
        "| command | seconds | peak memory MB |",
        "| --- | ---: | ---: |",
        *(f"| {cost.title} | {cost.seconds:.1f} | {cost.megabytes:.0f} |" for cost in costs),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
