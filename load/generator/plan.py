"""What `load run` tells the Locust process: plain data without secrets, in one environment variable."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from load.profiles import ACCOUNTS, Profile, profile_select, profiles_read
from load.records import RecordError, record_plain, record_read
from load.slo import Policy, policy_read

VARIABLE = "RGMS_LOAD_PLAN"

# Seconds that a run may take beyond its profile's warm-up and duration, whatever the service does: signing in
# 15, draining, probing and draining again 30, late events 5, integrity 5, cleaning up 20, workers 10.
MARGIN_SECONDS = 90

# Access tokens live 15 minutes.
REFRESH_SECONDS = 600.0

REQUIRED_ACCOUNTS = ("admin", "cadet")
_VARIABLE_NAMES = {"admin": "ADMIN", "training_staff": "STAFF", "cadet": "CADET"}


class MissingCredentialsError(LookupError):
    """The message names the environment variables that are missing."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A username and a password, which `repr` does not show."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r})"


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. Paths are absolute."""

    run_id: str
    base_url: str
    channels_url: str | None
    read_only: bool
    profile: str
    profiles_path: str
    policy_path: str
    out: str
    processes: int
    parent_pid: int
    refresh_seconds: float = REFRESH_SECONDS

    def profile_read(self) -> Profile:
        return profile_select(name=self.profile, file=profiles_read(Path(self.profiles_path)))

    def policy_read(self) -> Policy:
        return policy_read(Path(self.policy_path))


def plan_write(plan: Plan) -> str:
    return json.dumps(record_plain(plan))


def plan_read(environment: Mapping[str, str] = os.environ) -> Plan:
    """The plan of the run that this process belongs to.

    Raises:
        RecordError: if the process was not started by `python -m load run`.
    """
    text = environment.get(VARIABLE)
    if text is None:
        raise RecordError(f"{VARIABLE} is not set: start the load with `python -m load run`")
    return record_read(Plan, json.loads(text), where=VARIABLE)


def credentials_read(environment: Mapping[str, str] = os.environ) -> dict[str, Credentials]:
    """The accounts to sign in with, from SMOKE_* variables only; training staff is optional.

    Raises:
        MissingCredentialsError: naming every missing variable.
    """
    found: dict[str, Credentials] = {}
    missing: list[str] = []
    for account in ACCOUNTS:
        names = [f"SMOKE_{_VARIABLE_NAMES[account]}_{part}" for part in ("USERNAME", "PASSWORD")]
        values = [environment.get(name, "") for name in names]
        if all(values):
            found[account] = Credentials(*values)
        elif account in REQUIRED_ACCOUNTS or any(values):
            missing += [name for name, value in zip(names, values, strict=True) if not value]
    if missing:
        raise MissingCredentialsError(f"set {', '.join(missing)}")
    return found
