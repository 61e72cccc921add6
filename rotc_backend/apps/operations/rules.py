"""When is a service alive, when is the whole healthy, and which slot is due: decisions without Django."""

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

WEB, CHANNELS = "rotc-django-web", "rotc-django-channels"
WORKER, BEAT = "rotc-celery-worker", "rotc-celery-beat"

SAMPLE_SECONDS = 3.0  # between two questions to a dependency
SAMPLE_DEAD_SECONDS = 8.0  # an answer older than this is none: the question hangs
FAILURES = 2  # one failed question is a database that wakes up, two in a row are an outage
HEARTBEAT_SECONDS = 10.0
HEARTBEAT_STALE_SECONDS = 25.0
STUCK_SECONDS = 60.0  # the oldest task waits for so long, and nothing was completed meanwhile
LIMIT_GRACE_SECONDS = 15.0  # the worker kills a task at its limit; its next heartbeat tells so

# Each must be shorter than the next: a task is killed before its lease ends, and the lease ends before Redis
# gives the message to another worker, which can then take the slot over at once.
SOFT_LIMIT_SECONDS = 180
HARD_LIMIT_SECONDS = 210
LEASE_SECONDS = 240
VISIBILITY_SECONDS = 300
ATTEMPTS = 5

# Headers of a message: the scheduled time that it is for, in ISO 8601, and the five fields of the crontab that gave it,
# which a job asked for by a person does not have.
SLOT_HEADER, CRONTAB_HEADER = "slot", "crontab"
OVERDUE_SECONDS = 900  # a run that is unfinished so long after its lease will not be taken up again by anybody
PROBE_LOST_SECONDS = 600.0  # a probe that no worker took for so long is counted as failed


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Whether a dependency answers, and if not, why in words."""

    connected: bool
    problem: str | None = None


def reading(
    *, now: float, answered_at: float | None, asked_at: float | None, failures: int, problem: str | None
) -> Reading:
    """What the questions to one dependency say at `now`. Instants are seconds of one monotonic clock.

    `answered_at` is the last success, `asked_at` the end of the last question whatever came of it, `failures`
    counts those in a row.
    """
    if asked_at is None:
        return Reading(connected=False, problem="no answer yet")
    silence = now - asked_at
    if silence > SAMPLE_DEAD_SECONDS:
        return Reading(connected=False, problem=f"no answer for {silence:.0f} s")
    if answered_at is None or failures >= FAILURES:
        return Reading(connected=False, problem=problem or "no answer")
    return Reading(connected=True)


@dataclass(frozen=True, kw_only=True)
class Process:
    """One of the four services as the others see it. `facts` is what it last said of itself, `{}` if nothing."""

    state: str  # running, stopped, unknown
    age_seconds: float | None
    facts: Mapping[str, Any]


def process(*, redis_connected: bool, age_seconds: float | None, facts: Mapping[str, Any]) -> Process:
    if not redis_connected:
        return Process(state="unknown", age_seconds=None, facts={})
    fresh = age_seconds is not None and age_seconds <= HEARTBEAT_STALE_SECONDS
    return Process(state="running" if fresh else "stopped", age_seconds=age_seconds, facts=facts)


def worker_problem(*, worker: Process, oldest_queued_seconds: float | None) -> str | None:
    """Why tasks are not being done, or None: the worker beats, is within its limits, and makes progress.

    Its facts carry `active` (per task: `task`, `seconds` since its start, `limit` in seconds) and
    `idle_seconds` since a task was last completed, both as of the heartbeat.
    """
    if worker.state == "unknown":
        return "unknown: redis is away"
    if worker.state == "stopped" or worker.age_seconds is None:
        return _silence(worker.age_seconds)
    for active in worker.facts.get("active", ()):
        running = active["seconds"] + worker.age_seconds
        if active["limit"] is not None and running > active["limit"] + LIMIT_GRACE_SECONDS:
            return f"stuck: {active['task']} runs for {running:.0f} s, its limit is {active['limit']:.0f} s"
    idle = worker.facts.get("idle_seconds", 0.0) + worker.age_seconds
    if oldest_queued_seconds is not None and oldest_queued_seconds > STUCK_SECONDS and idle > STUCK_SECONDS:
        return f"stuck: a task waits for {oldest_queued_seconds:.0f} s and none was completed for {idle:.0f} s"
    return None


def _silence(age_seconds: float | None) -> str:
    return "no heartbeat" if age_seconds is None else f"no heartbeat for {age_seconds:.0f} s"


@dataclass(frozen=True, kw_only=True)
class Health:
    """`http_status` is 200 while a restart of the answering service would not help, else 503."""

    http_status: int
    body: dict[str, Any]


def health(
    *,
    database: Reading,
    redis: Reading,
    processes: Mapping[str, Process],
    oldest_queued_seconds: float | None,
    own_facts: Mapping[str, Any],
    environment: str,
    timestamp: str,
) -> Health:
    """The answer of GET /api/health/. `processes` holds every service that must run, by name."""
    details: dict[str, str] = {}
    if database.problem:
        details["database"] = database.problem
    if redis.problem:
        details["redis"] = redis.problem
    tasks_problem = worker_problem(
        worker=processes.get(WORKER, Process(state="stopped", age_seconds=None, facts={})),
        oldest_queued_seconds=oldest_queued_seconds,
    )
    if tasks_problem:
        details["celery"] = tasks_problem
    for name, one in processes.items():
        if one.state == "stopped":
            details[name] = _silence(one.age_seconds)
    whole = redis.connected and not tasks_problem and all(one.state == "running" for one in processes.values())
    return Health(
        http_status=200 if database.connected else 503,
        body={
            "status": "unhealthy" if not database.connected else "healthy" if whole else "degraded",
            "timestamp": timestamp,
            "services": {
                "database": "connected" if database.connected else "disconnected",
                "redis": "connected" if redis.connected else "disconnected",
                "celery": "stopped" if tasks_problem else "running",
            },
            "version": own_facts["version"],
            "environment": environment,
            "commit": own_facts["commit"],
            "service": own_facts["service"],
            "key_fingerprint": own_facts["key_fingerprint"],
            "beat": processes[BEAT].state if BEAT in processes else "unknown",
            "processes": {name: process_summary(one) for name, one in processes.items()},
            "details": details,
        },
    )


def process_summary(one: Process) -> dict[str, Any]:
    return {
        "state": one.state,
        "age_seconds": None if one.age_seconds is None else round(one.age_seconds, 1),
        "version": one.facts.get("version"),
        "commit": one.facts.get("commit"),
        "key_fingerprint": one.facts.get("key_fingerprint"),
    }


@dataclass(frozen=True, kw_only=True)
class Crontab:
    """The minutes at which a job is due, in UTC. `days_of_week` counts from 0 for Sunday."""

    minutes: Collection[int]
    hours: Collection[int]
    days_of_week: Collection[int]
    days_of_month: Collection[int]
    months: Collection[int]

    def holds(self, instant: dt.datetime) -> bool:
        """Whether `instant` (aware, any zone) is the beginning of a minute that is due."""
        at = instant.astimezone(dt.UTC)
        return (
            at.second == at.microsecond == 0
            and at.minute in self.minutes
            and at.hour in self.hours
            and self._holds_day(at.date())
        )

    def latest(self, *, now: dt.datetime) -> dt.datetime | None:
        """The last due minute at or before `now`, in UTC; None if there was none for a leap year's cycle."""
        at = now.astimezone(dt.UTC)
        times = sorted((dt.time(hour, minute) for hour in self.hours for minute in self.minutes), reverse=True)
        for back in range(4 * 366):
            day = at.date() - dt.timedelta(days=back)
            if not self._holds_day(day):
                continue
            for time in times:
                slot = dt.datetime.combine(day, time, tzinfo=dt.UTC)
                if slot <= at:
                    return slot
        return None

    def _holds_day(self, day: dt.date) -> bool:
        return day.month in self.months and day.day in self.days_of_month and day.isoweekday() % 7 in self.days_of_week


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a scheduled run ended. `detail` says in words what an administrator has to know or do."""

    succeeded: bool
    counts: Mapping[str, int]
    detail: str = ""


def heartbeat_due(*, now: float, written_at: float | None) -> bool:
    return written_at is None or now - written_at >= HEARTBEAT_SECONDS


# --- Backups ----------------------------------------------------------------------------------------------------------

WEEKLY, PRE_DEPLOY, ASKED, SAFETY = "weekly", "pre_deploy", "asked", "safety"
PURPOSES = (WEEKLY, PRE_DEPLOY, ASKED, SAFETY)
# How many of each purpose stay; of those before a deploy, each deploy's last one counts.
BACKUPS_KEPT: Mapping[str, int] = {WEEKLY: 8, PRE_DEPLOY: 8, ASKED: 4, SAFETY: 4}


@dataclass(frozen=True, kw_only=True)
class StoredBackup:
    """What decides whether a backup stays. `release` is the commit, else the version, of the code that wrote it."""

    id: str
    purpose: str
    made_at: dt.datetime
    release: str


def backups_to_prune(backups: Iterable[StoredBackup]) -> list[str]:
    """The ids that go, oldest first: all beyond BACKUPS_KEPT, and of one deploy's attempts all but the last.

    An unknown purpose is of a later release, and stays.
    """
    going: list[StoredBackup] = []
    kept: dict[str, int] = dict.fromkeys(PURPOSES, 0)
    deploys: set[str] = set()
    for backup in sorted(backups, key=lambda one: one.made_at, reverse=True):
        if backup.purpose not in kept:
            continue
        repeated = backup.purpose == PRE_DEPLOY and backup.release in deploys
        if repeated or kept[backup.purpose] >= BACKUPS_KEPT[backup.purpose]:
            going.append(backup)
            continue
        kept[backup.purpose] += 1
        if backup.purpose == PRE_DEPLOY:
            deploys.add(backup.release)
    return [backup.id for backup in reversed(going)]


def backup_id(*, made_at: dt.datetime, purpose: str, chance: str) -> str:
    """20260301T040000Z-weekly-3fa9c1: sorts by time, says what it is, and is a name in every store."""
    return f"{made_at.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}-{purpose.replace('_', '-')}-{chance}"


def server_label(host: str) -> str:
    """What tells a server from another one, whichever of its addresses is used: the pooled, the inner, the outer."""
    if re.fullmatch(r"[\d.]+", host) or ":" in host or host.startswith("/"):  # an address, or a socket's directory
        return host
    return host.partition(".")[0].removesuffix("-pooler") or "local"


def sequence_next(*, last_value: int, is_called: bool, increment: int) -> int:
    """What a sequence gives next."""
    return last_value + increment if is_called else last_value


MASK = "***"
_SECRET_NAMES = ("password", "passphrase", "secret", "token", "credential", "authorization", "link")
_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+(?=@)")  # the account of an address: user:password


def masked(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a task with those hidden whose names speak of secrets."""
    return {
        name: MASK if any(word in name.lower() for word in _SECRET_NAMES) else value
        for name, value in arguments.items()
    }


def without_secrets(text: str, *, secrets: Collection[str]) -> str:
    """`text` without any of `secrets`, and without the accounts of addresses in it."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _IN_ADDRESS.sub(MASK, text)
