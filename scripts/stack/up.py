"""scripts/up: run render.yaml on this machine."""

import argparse
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.stack import plan as planning
from scripts.stack.blueprint import Blueprint
from scripts.stack.blueprint_file import BlueprintError, blueprint_read
from scripts.stack.console import BoundedLog, DetachedConsole, TerminalConsole
from scripts.stack.guardian import run_guarded
from scripts.stack.processes import wait_until
from scripts.stack.state import DEFAULT_STATE, ROOT, State
from scripts.stack.system import EXIT_FAILED, Options, System

DEFAULT_PORT = 8000
DEFAULT_CADETS = 290  # the unit's real size

EXIT_USAGE = 2


class UsageError(Exception):
    """The command line asks for something that does not exist; the text names what does."""


def main(arguments: Sequence[str] | None = None) -> int:
    parsed = _parser().parse_args(arguments)
    try:
        blueprint = blueprint_read(parsed.blueprint)
        options = _options(parsed, blueprint)
        options.state.create()
    except (BlueprintError, UsageError) as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    except OSError as error:
        print(f"The state directory cannot be used: {error}", file=sys.stderr)
        return EXIT_USAGE
    if not _lock(options.state):
        return EXIT_FAILED
    ports = planning.ports_assign(blueprint, first=options.port)
    busy = [port for name, port in ports.items() if name not in options.without and not _is_free(port)]
    if busy:
        taken = " and ".join(map(str, busy))
        print(f"Port {taken} is in use. Choose another with --port N (the others follow it).", file=sys.stderr)
        return EXIT_FAILED
    system = System(blueprint=blueprint, options=options, ports=ports)
    return _detached(system, options.state) if options.detach else _foreground(system, options.state)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/up",
        description="Run the services of render.yaml on this machine, with real PostgreSQL and Valkey.",
        epilog="DATABASE_URL and REDIS_URL, from the environment or .env, replace the embedded servers.",
    )
    parser.add_argument(
        "--detach", action="store_true", help="return when the system is healthy; scripts/down stops it"
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, metavar="N", help="of web (%(default)s); channels N+1"
    )
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE, metavar="DIR", help="data, logs, up.json (.local)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="SERVICE:KEY=VALUE",
        help="override a variable",
    )
    parser.add_argument("--without", action="append", default=[], metavar="SERVICE", help="do not start this service")
    parser.add_argument("--restart", action="store_true", help="start a service that dies again, with a growing pause")
    parser.add_argument(
        "--cadets", type=int, default=DEFAULT_CADETS, metavar="N", help="size of the demo data (%(default)s)"
    )
    parser.add_argument("--blueprint", type=Path, default=ROOT / "render.yaml", metavar="FILE", help="(render.yaml)")
    parser.add_argument("--env-file", type=Path, default=ROOT / ".env", metavar="FILE", help="secrets (.env)")
    return parser


def _options(parsed: argparse.Namespace, blueprint: Blueprint) -> Options:
    overrides: dict[str, dict[str, str]] = {}
    for setting in parsed.settings:
        service, separator, assignment = setting.partition(":")
        key, equals, value = assignment.partition("=")
        if not (separator and equals and key):
            raise UsageError(f"--set {setting}: write SERVICE:KEY=VALUE.")
        overrides.setdefault(_known(service, blueprint, "--set"), {})[key] = value
    without = frozenset(_known(service, blueprint, "--without") for service in parsed.without)
    if without == set(blueprint.services):
        raise UsageError("--without names every service: nothing is left to start.")
    if not 1 <= parsed.port <= 65535 - len(blueprint.services):
        raise UsageError(f"--port {parsed.port}: is not a port.")
    if parsed.cadets < 0:
        raise UsageError(f"--cadets {parsed.cadets}: cannot be negative.")
    dotenv = planning.dotenv_read(parsed.env_file)
    return Options(
        detach=parsed.detach,
        port=parsed.port,
        state=State(parsed.state.resolve()),
        overrides=overrides,
        without=without,
        restart=parsed.restart,
        cadets=parsed.cadets,
        prompted=dotenv,
        database_url=os.environ.get("DATABASE_URL") or dotenv.get("DATABASE_URL"),
        redis_url=os.environ.get("REDIS_URL") or dotenv.get("REDIS_URL"),
    )


def _known(service: str, blueprint: Blueprint, option: str) -> str:
    if service not in blueprint.services:
        raise UsageError(f"{option}: there is no service {service!r}. There are {', '.join(blueprint.services)}.")
    return service


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the services will bind it: a connection that lingers in TIME_WAIT does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - the address in render.yaml's start commands
        except OSError:
            return False
    return True


def _lock(state: State) -> bool:
    """Hold this state until the last of our processes is gone. False, with advice, while another system has
    it.
    """
    if state.lock() is not None:
        return True
    runner = state.runner_read().get("runner")
    if runner is not None and not runner.is_alive:
        print("The system before this one is still being cleaned up …", flush=True)
        if wait_until(condition=lambda: state.lock() is not None, seconds=30, pause=0.2):
            return True
    print(
        f"A system is already running in {state.path}. Stop it with scripts/down --state {state.path}, "
        "or start a second one with another --state and --port.",
        file=sys.stderr,
    )
    return False


# --- in front of a person, or behind ----------------------------------------------------------------------


def _foreground(system: System, state: State) -> int:
    console = TerminalConsole(names=system.names)
    return run_guarded(lambda: system.run(console), clean=state.up_remove)


def _detached(system: System, state: State) -> int:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.setsid()
        os._exit(_behind(system, state, channel=writer))
    os.close(writer)
    # Ctrl-C while waiting: the start is given up, and what was started is stopped.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGTERM))
    status = EXIT_FAILED
    with os.fdopen(reader, encoding="utf-8") as messages:
        for message in map(json.loads, messages):
            if "status" in message:
                status = message["status"]
                break
            print(message["line"], flush=True)
        else:
            print(f"The runner ended unexpectedly. See {state.logs / 'runner.log'}.", file=sys.stderr)
    if status != 0:
        os.waitpid(child, 0)  # only then is nothing left behind
    return status


def _behind(system: System, state: State, *, channel: int) -> int:
    # A caller that captures our output waits until the last copy of its pipe is closed.
    error_log = os.open(state.logs / "runner.error.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(error_log, 1)
    os.dup2(error_log, 2)
    os.close(error_log)

    def run() -> int:
        console = DetachedConsole(channel=channel, log=BoundedLog(state.logs / "runner.log"))
        status = EXIT_FAILED
        try:
            status = system.run(console, ready=lambda: console.finish(0))
        finally:
            console.finish(status)
        return status

    return run_guarded(run, clean=state.up_remove)


if __name__ == "__main__":
    sys.exit(main())
