"""From a Blueprint and what this machine has, the exact processes to start. Nothing is started here."""

import base64
import hashlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from scripts.stack.blueprint import (
    ADDRESSED_TYPES,
    Blueprint,
    Prompted,
    Service,
    StoreAddress,
    Surroundings,
    environments_resolve,
)
from scripts.stack.processes import Launch
from scripts.stack.state import State

# Nobody waits minutes for a local stop, whatever a task in production may take.
LONGEST_LOCAL_SHUTDOWN = 20.0  # seconds

_INSTALLS_PACKAGES = re.compile(r"^\s*(python3? -m )?(uv )?pip3? (install|sync)\b")


@dataclass(frozen=True, kw_only=True)
class Account:
    role: str
    username: str
    password: str
    variable: str  # of `manage.py seed_demo`


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything to start, in order: `builds` beside the servers, then `pre_deploys`, then `services`."""

    builds: tuple[Launch, ...]
    pre_deploys: tuple[Launch, ...]
    services: tuple[Launch, ...]
    substitutions: tuple[str, ...]
    environments: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Commit:
    sha: str | None
    branch: str | None


def commit_read(root: Path) -> Commit:
    """What is checked out in `root`, or nothing outside a repository."""

    def git(*arguments: str) -> str | None:
        # A clone that belongs to somebody else may be read: its code is about to be run anyway.
        command = ["git", "-c", f"safe.directory={root}", "-C", str(root), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() or None if done.returncode == 0 else None

    return Commit(sha=git("rev-parse", "--verify", "--quiet", "HEAD"), branch=git("symbolic-ref", "--short", "HEAD"))


def ports_assign(blueprint: Blueprint, *, first: int) -> dict[str, int]:
    """A port for every service that listens, in the order of the file, from `first` on."""
    names = [service.name for service in blueprint.services.values() if service.type in ADDRESSED_TYPES]
    return {name: first + index for index, name in enumerate(names)}


def secret_make() -> str:
    """As Render's generateValue: 256 random bits in base64."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def accounts_of(state: State) -> tuple[Account, ...]:
    """The demo accounts of this state; their passwords are made once."""
    return tuple(
        Account(
            role=role,
            username=username,
            password=state.generated(f"demo/{role}", lambda: secrets.token_urlsafe(15)),
            variable=f"DEMO_{role.upper()}_PASSWORD",
        )
        for role, username in (("admin", "admin"), ("training_staff", "staff"), ("cadet", "cadet"))
    )


def instance_id(service: str) -> str:
    """New for every start of a process, as on Render."""
    return f"{_service_id(service)}-{secrets.token_hex(3)[:5]}"


def _service_id(service: str) -> str:
    return f"srv-{hashlib.sha256(service.encode()).hexdigest()[:20]}"


def _presets(service: Service, *, port: int | None, commit: Commit, programs: Path) -> dict[str, str]:
    """What Render sets by itself for a Python service on the Starter plan."""
    presets = {
        "RENDER": "true",
        "IS_PULL_REQUEST": "false",
        "RENDER_SERVICE_NAME": service.name,
        "RENDER_SERVICE_ID": _service_id(service.name),
        "RENDER_SERVICE_TYPE": service.type,
        "RENDER_INSTANCE_ID": instance_id(service.name),
        "RENDER_CPU_COUNT": "0.5",
        "FORWARDED_ALLOW_IPS": "*",
        "GUNICORN_CMD_ARGS": "--preload --access-logfile - --bind=0.0.0.0:10000",
        "VENV_ROOT": str(programs.parent),
    }
    if commit.sha is not None:
        presets["RENDER_GIT_COMMIT"] = commit.sha
    if commit.branch is not None:
        presets["RENDER_GIT_BRANCH"] = commit.branch
    if port is not None:
        presets |= {"PORT": str(port), "WEB_CONCURRENCY": "1", "RENDER_WEB_CONCURRENCY": "1"}
        if service.type == "web":
            presets |= {
                "RENDER_EXTERNAL_HOSTNAME": "127.0.0.1",
                "RENDER_EXTERNAL_URL": f"http://127.0.0.1:{port}",
            }
    return presets


def _local_values(state: State) -> dict[str, str]:
    """Production settings on one machine: no TLS in front, and no cloud storage."""
    return {
        "SECURE_SSL_REDIRECT": "False",
        "MEDIA_STORAGE": "local",
        "MEDIA_ROOT": str(state.path / "media"),
    }


def plan_make(
    *,
    blueprint: Blueprint,
    root: Path,
    state: State,
    ports: Mapping[str, int],
    database_url: str | None,
    redis_url: str | None,
    prompted: Mapping[str, str],
    overrides: Mapping[str, Mapping[str, str]],
    without: frozenset[str],
    commit: Commit,
) -> Plan:
    """`database_url` and `redis_url` stand for every database and Key Value instance of the Blueprint."""
    programs = Path(sys.executable).parent
    local = _local_values(state)
    surroundings = Surroundings(
        databases={name: StoreAddress(url=database_url or "") for name in blueprint.databases},
        key_values={name: StoreAddress(url=redis_url or "") for name in blueprint.key_values},
        ports=ports,
        prompted=prompted,
        generate=lambda key: state.generated(key, secret_make),
        presets={
            name: _presets(service, port=ports.get(name), commit=commit, programs=programs)
            for name, service in blueprint.services.items()
        },
        substitutions=dict.fromkeys(blueprint.services, local),
        overrides=overrides,
    )
    environments = {
        name: {**_machine(programs), **variables}
        for name, variables in environments_resolve(blueprint, surroundings).items()
    }
    return Plan(
        builds=_builds(blueprint, root=root, environments=environments),
        pre_deploys=_pre_deploys(blueprint, root=root, environments=environments, overrides=overrides),
        services=tuple(
            _shell(
                service.name,
                service.start_command,
                service,
                root=root,
                environment=environments[service.name],
            )
            for service in blueprint.services.values()
            if service.name not in without
        ),
        substitutions=_substitutions(blueprint, local=local, prompted=prompted, overrides=overrides),
        environments=environments,
    )


def _machine(programs: Path) -> dict[str, str]:
    """All that a process takes over from this machine: a developer's own variables must not decide what is
    tested.
    """
    taken = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
    path = os.pathsep.join([str(programs), "/usr/local/bin", "/usr/bin", "/bin"])
    return {"PATH": path, "LANG": "C.UTF-8", "HOME": "/", **taken}


def _shell(
    name: str,
    command: str,
    service: Service,
    *,
    root: Path,
    environment: Mapping[str, str],
    patience: float | None = None,
) -> Launch:
    return Launch(
        name=name,
        arguments=(shutil.which("bash") or "sh", "-c", command),
        environment=environment,
        directory=root / service.root_directory,
        stop_signal=signal.SIGTERM,
        patience=patience or min(float(service.shutdown_delay), LONGEST_LOCAL_SHUTDOWN),
    )


def build_without_packages(command: str) -> str | None:
    """The build command without its installation of packages, which scripts/bootstrap has done; None if that
    was all.
    """
    parts = [part for part in map(str.strip, command.split("&&")) if part and not _INSTALLS_PACKAGES.match(part)]
    return " && ".join(parts) if any(not part.startswith("cd ") for part in parts) else None


def _builds(blueprint: Blueprint, *, root: Path, environments: Mapping[str, Mapping[str, str]]) -> tuple[Launch, ...]:
    launches: dict[str, Launch] = {}
    for service in blueprint.services.values():
        command = build_without_packages(service.build_command or "")
        if command is not None and command not in launches:
            # Collected where production has them, whatever a service is told by --set: to try missing files.
            environment = dict(environments[service.name])
            environment.pop("STATIC_ROOT", None)
            name = "build" if not launches else f"build-{len(launches) + 1}"
            launches[command] = _shell(name, command, service, root=root, environment=environment, patience=2.0)
    return tuple(launches.values())


def _pre_deploys(
    blueprint: Blueprint,
    *,
    root: Path,
    environments: Mapping[str, Mapping[str, str]],
    overrides: Mapping[str, Mapping[str, str]],
) -> tuple[Launch, ...]:
    launches: list[Launch] = []
    for service in blueprint.services.values():
        if service.pre_deploy_command:
            environment = dict(environments[service.name])
            if "SECURE_SSL_REDIRECT" not in overrides.get(service.name, {}):
                # It serves nobody, so it need not differ from production: `check --deploy` sees what Render
                # will.
                environment.pop("SECURE_SSL_REDIRECT", None)
            name = "pre-deploy" if not launches else f"pre-deploy-{len(launches) + 1}"
            launches.append(
                _shell(
                    name,
                    service.pre_deploy_command,
                    service,
                    root=root,
                    environment=environment,
                    patience=5.0,
                )
            )
    return tuple(launches)


def seed_step(plan: Plan, *, root: Path, service: Service, accounts: tuple[Account, ...], cadets: int) -> Launch:
    """Demo accounts and `cadets` cadets; what exists already is left as it is."""
    step = _shell(
        "seed",
        f"cd rotc_backend && python manage.py seed_demo --cadets {cadets}",
        service,
        root=root,
        environment=plan.environments[service.name],
        patience=5.0,
    )
    passwords = {account.variable: account.password for account in accounts}
    return replace(step, environment={**step.environment, **passwords})


def _substitutions(
    blueprint: Blueprint,
    *,
    local: Mapping[str, str],
    prompted: Mapping[str, str],
    overrides: Mapping[str, Mapping[str, str]],
) -> tuple[str, ...]:
    """Every difference from what Render would run with, a line each. Secrets are not repeated."""
    lines = [f"{key}={value} (all services)" for key, value in local.items()]
    asked: dict[str, list[str]] = {}
    for name in blueprint.services:
        for key, source in blueprint.variables_of(name).items():
            if isinstance(source, Prompted) and key not in overrides.get(name, {}):
                asked.setdefault(key, []).append(name)
    for key, names in asked.items():
        whose = "all services" if len(names) == len(blueprint.services) else ", ".join(names)
        lines.append(f"{key} {'from .env' if key in prompted else 'is not set'} ({whose}; sync: false)")
    lines += [f"{key} set by --set ({name})" for name, changes in overrides.items() for key in changes]
    return tuple(lines)


def dotenv_read(file: Path) -> dict[str, str]:
    """KEY=VALUE lines, optionally quoted or after `export`; empty without the file. An empty value counts as
    not set.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, value = line.strip().removeprefix("export ").partition("=")
        if separator and not key.startswith("#"):
            value = value.strip()
            if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1]
            if value:
                values[key.strip()] = value
    return values


def address_without_password(url: str) -> str:
    """For messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or ''}{parts.path}"
