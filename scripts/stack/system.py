"""One system: its servers, its steps, its services, from the first process to the last."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from scripts.stack import plan as planning
from scripts.stack.blueprint import Blueprint
from scripts.stack.console import Console
from scripts.stack.postgres import PostgresSettings, postgres_server
from scripts.stack.processes import Launch
from scripts.stack.readiness import health_ask, missing_for_readiness
from scripts.stack.servers import Server, ServerError
from scripts.stack.state import DEFAULT_STATE, ROOT, State
from scripts.stack.static_files import StaticFiles
from scripts.stack.supervisor import Child, Kind, ProcessFailedError, StopRequestedError, Supervisor
from scripts.stack.valkey import valkey_server

READY_WITHIN = 120.0  # seconds from the start of the services
_SERVER_READY_WITHIN = 60.0  # seconds; recovery after a crash included
_WAITING_IS_TOLD_EVERY = 10.0  # seconds

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130


@dataclass(frozen=True, kw_only=True)
class Options:
    detach: bool
    port: int
    state: State
    overrides: Mapping[str, Mapping[str, str]]
    without: frozenset[str]
    restart: bool
    cadets: int
    prompted: Mapping[str, str]
    database_url: str | None
    redis_url: str | None


class System:
    """Starts and stops one system; `run` is called once, in the runner."""

    def __init__(self, *, blueprint: Blueprint, options: Options, ports: Mapping[str, int]) -> None:
        self._blueprint = blueprint
        self._options = options
        self._state = options.state
        self._ports = ports
        self._commit = planning.commit_read(ROOT)
        self._plan: planning.Plan
        self._accounts: tuple[planning.Account, ...] = ()
        self._services: dict[str, Child] = {}
        self._database_url = options.database_url
        self._redis_url = options.redis_url
        self._temporary: list[Path] = []

    @property
    def names(self) -> tuple[str, ...]:
        return (*self._blueprint.services, "pre-deploy", "postgres")

    def run(self, console: Console, *, ready: Callable[[], None] = lambda: None) -> int:
        """Start, follow, stop; `ready` is called in between. Exit status 0 after a stop asked for once all
        was up.
        """
        began = time.monotonic()
        self._state.runner_write(guardian=os.getppid(), runner=os.getpid())
        supervisor = Supervisor(
            console=console,
            logs=self._state.logs,
            restart=self._options.restart,
            relaunch=_with_new_instance,
            changed=lambda: self._announce(supervisor),
        )
        status = EXIT_FAILED
        try:
            self._start(supervisor, console)
            supervisor.started()
            self._announce(supervisor)
            console.say(self._addresses(seconds=time.monotonic() - began))
            console.confide(self._passwords())
            console.say(self._whereabouts())
            ready()
            status = EXIT_INTERRUPTED
            supervisor.follow()
        except StopRequestedError:
            status = 0 if status == EXIT_INTERRUPTED else EXIT_INTERRUPTED
        except (ProcessFailedError, ServerError) as error:
            console.say(str(error))
            status = EXIT_FAILED
        finally:
            supervisor.stop()
            for directory in self._temporary:
                shutil.rmtree(directory, ignore_errors=True)
            self._state.up_remove()
            console.say("Stopped." if status == 0 else "Nothing is left running.")
        return status

    def _start(self, supervisor: Supervisor, console: Console) -> None:
        servers = self._servers(console)
        self._plan = planning.plan_make(
            blueprint=self._blueprint,
            root=ROOT,
            state=self._state,
            ports=self._ports,
            database_url=self._database_url,
            redis_url=self._redis_url,
            prompted=self._options.prompted,
            overrides=self._options.overrides,
            without=self._options.without,
            commit=self._commit,
        )
        console.say("Different from Render:")
        for line in self._plan.substitutions:
            console.say(f"  {line}")
        running = [(server, supervisor.start(server.launch, kind=Kind.SERVER)) for server in servers]
        # Neither server is needed for it, so it goes on beside them and the migrations.
        build = self._build(supervisor, console)
        next(build)
        for server, child in running:
            self._await_server(supervisor, server, child)
        for step in self._plan.pre_deploys:
            console.say("Running the pre-deploy command (checks, migrations) …")
            supervisor.complete([supervisor.start(step, kind=Kind.STEP)])
        self._seed(supervisor, console)
        for _ in build:
            pass
        console.say(f"Starting {', '.join(launch.name for launch in self._plan.services)} …")
        for launch in self._plan.services:
            self._services[launch.name] = supervisor.start(launch, kind=Kind.SERVICE)
        self._await_ready(supervisor, console)

    def _build(self, supervisor: Supervisor, console: Console) -> Iterator[None]:
        """Starts to collect static files if they changed; yields; waits until they are there."""
        static_files = StaticFiles(root=ROOT, folder=DEFAULT_STATE)
        commands = "\n".join(step.arguments[-1] for step in self._plan.builds)
        lock = static_files.lock() if commands else -1
        if lock is None:
            console.say("Another system is collecting static files; waiting for it …")
        while lock is None:
            supervisor.pump(0.2)
            lock = static_files.lock()
        inputs = static_files.inputs(command=commands)
        builds: list[Child] = []
        if commands and not static_files.are_current(command=commands):
            console.say("Collecting static files …")
            static_files.forget()
            builds = [supervisor.start(step, kind=Kind.STEP) for step in self._plan.builds]
        yield
        supervisor.complete(builds)
        if commands:
            static_files.remember(inputs=inputs)
            os.close(lock)

    def _servers(self, console: Console) -> list[Server]:
        servers: list[Server] = []
        database = next(iter(self._blueprint.databases.values()), None)
        if database is not None and self._database_url is None:
            console.say("Preparing PostgreSQL …")
            server = postgres_server(
                PostgresSettings(state=self._state.path, database=database.database_name, user=database.user)
            )
            self._database_url = server.url
            servers.append(server)
        elif database is not None and self._database_url is not None:
            console.say(f"Using the database {planning.address_without_password(self._database_url)}")
        key_value = next(iter(self._blueprint.key_values.values()), None)
        if key_value is not None and self._redis_url is None:
            server = valkey_server(state=self._state.path, maxmemory_policy=key_value.maxmemory_policy)
            self._redis_url = server.url
            servers.append(server)
        elif key_value is not None and self._redis_url is not None:
            console.say(f"Using Redis at {planning.address_without_password(self._redis_url)}")
        self._temporary = [directory for server in servers for directory in server.temporary]
        return servers

    def _await_server(self, supervisor: Supervisor, server: Server, child: Child) -> None:
        deadline = time.monotonic() + _SERVER_READY_WITHIN
        while not server.is_ready():
            supervisor.pump(0.05)
            if time.monotonic() > deadline:
                log = self._state.logs / f"{child.name}.log"
                raise ServerError(f"{child.name} accepts no connections. See {log}.")
        supervisor.pump(0)  # raises if the answer was not from our process, which has died then
        server.prepare()

    def _seed(self, supervisor: Supervisor, console: Console) -> None:
        if not self._blueprint.databases:
            return
        self._accounts = planning.accounts_of(self._state)
        record = {
            "database": self._database_identity(),
            "cadets": self._options.cadets,
        }
        if self._state.seeded() == record:
            return
        console.say(f"Seeding demo accounts and {self._options.cadets} cadets …")
        service = next(service for service in self._blueprint.services.values())
        step = planning.seed_step(
            self._plan, root=ROOT, service=service, accounts=self._accounts, cadets=self._options.cadets
        )
        supervisor.complete([supervisor.start(step, kind=Kind.STEP)])
        self._state.seeded_write(record)

    def _database_identity(self) -> str:
        """The same for the same data. An embedded cluster changes its port; a new one has a new password."""
        parts = urlsplit(self._database_url or "")
        is_embedded = self._options.database_url is None
        where = parts.password if is_embedded else f"{parts.hostname}:{parts.port}{parts.path}"
        return hashlib.sha256(str(where).encode()).hexdigest()[:16]

    def _await_ready(self, supervisor: Supervisor, console: Console) -> None:
        began = told = time.monotonic()
        checked = {
            name: path
            for name, service in self._blueprint.services.items()
            if name in self._services and (path := service.health_check_path) and name in self._ports
        }
        while True:
            supervisor.pump(0.2)
            now = time.monotonic()
            answers = {name: health_ask(port=self._ports[name], path=path) for name, path in checked.items()}
            ages = {name: now - child.started_at for name, child in self._services.items()}
            missing = missing_for_readiness(answers=answers, ages=ages, overridden=self._options.overrides.keys())
            if not missing:
                return
            if now - began > READY_WITHIN:
                raise ProcessFailedError(self._not_ready(missing))
            if now - told > _WAITING_IS_TOLD_EVERY:
                told = now
                console.say(f"Waiting: {missing[0]}")

    def _not_ready(self, missing: list[str]) -> str:
        lines = [f"The system was not ready within {READY_WITHIN:.0f} s:", *(f"  {line}" for line in missing)]
        for name, child in self._services.items():
            lines += [f"Last lines of {name}:", *(f"    {line}" for line in list(child.log.tail)[-8:])]
        return "\n".join(lines)

    # --- what is announced --------------------------------------------------------------------------------

    def _url_of(self, index: int, scheme: str) -> str | None:
        ports = list(self._ports.values())
        return f"{scheme}://127.0.0.1:{ports[index]}" if index < len(ports) else None

    def _announce(self, supervisor: Supervisor) -> None:
        self._state.up_write(
            {
                "web_url": self._url_of(0, "http"),
                "channels_url": self._url_of(1, "ws"),
                "database_url": self._database_url,
                "redis_url": self._redis_url,
                "accounts": {
                    account.role: {"username": account.username, "password": account.password}
                    for account in self._accounts
                },
                "services": {
                    name: {"pid": child.process.pid, "command": child.launch.arguments[-1]}
                    for name, child in supervisor.running.items()
                    if child.kind is Kind.SERVICE
                },
                "runner_pid": os.getpid(),
                "commit": self._commit.sha,
                "state": str(self._state.path),
            }
        )

    def _addresses(self, *, seconds: float) -> str:
        lines = [f"Healthy after {seconds:.1f} s.", ""]
        for name, port in self._ports.items():
            if name in self._services:
                lines.append(f"  {name:<22} http://127.0.0.1:{port}")
        return "\n".join(lines)

    def _passwords(self) -> str:
        lines = [f"  {account.role:<22} {account.username} / {account.password}" for account in self._accounts]
        if self._accounts and self._options.database_url is not None:
            lines.append("  (accounts that this database had before keep their passwords)")
        return "\n".join(lines)

    def _whereabouts(self) -> str:
        stop = "scripts/down" if self._options.detach else "Ctrl-C"
        return f"\n  all of this: {self._state.up_file}\n  logs: {self._state.logs}\n  stop: {stop}"


def _with_new_instance(what: Launch) -> Launch:
    name = what.environment.get("RENDER_SERVICE_NAME")
    if name is None:
        return what
    return replace(what, environment={**what.environment, "RENDER_INSTANCE_ID": planning.instance_id(name)})
