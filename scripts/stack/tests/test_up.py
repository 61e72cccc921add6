"""scripts/up, down and memory as commands, on small Blueprints of their own: seconds, and no Django."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scripts.stack.processes import process_read, processes_all, wait_until
from scripts.stack.state import ROOT
from scripts.stack.testing import StartFailedError, free_ports, system_running

HEAD = """
services:
  - type: web
    name: front
    runtime: python
    healthCheckPath: /
    startCommand: {front}
    maxShutdownDelaySeconds: 1
  - type: worker
    name: back
    runtime: python
    startCommand: {back}
    maxShutdownDelaySeconds: 1
"""
SERVE = "exec python -m http.server --bind 127.0.0.1 $PORT"
# A child in the session, and one that left it and has no parent any more.
FAMILY = "sleep {seconds} & (setsid sleep {seconds} &) ; exec sleep {seconds}"


def blueprint(folder: Path, *, front: str = SERVE, back: str = "exec sleep 600", head: str = HEAD) -> str:
    file = folder / "blueprint.yaml"
    file.write_text(head.format(front=json.dumps(front), back=json.dumps(back)))
    return str(file)


def answers(url: str) -> bool:
    """Whether a GET of `url` gives 200."""
    address = urlsplit(url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    finally:
        connection.close()


def unique_seconds() -> str:
    """An argument for `sleep` by which its processes can be found again."""
    return f"{600 + os.getpid() % 1000}.{time.monotonic_ns() % 10**9}"


def running_with(text: str) -> list[int]:
    found = []
    for process in processes_all():
        try:
            command = Path(f"/proc/{process.pid}/cmdline").read_text()
        except OSError:
            continue
        if text in command and process.is_alive:
            found.append(process.pid)
    return found


@contextmanager
def foreground(*options: str) -> Iterator[subprocess.Popen[str]]:
    """scripts/up with a terminal's signals: in a process group of its own."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "scripts.stack.up", "--env-file", os.devnull, *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.stdout.close()
        process.wait(timeout=60)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"{text!r} never came:\n{seen}")


def up(*options: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "scripts" / "up"), *options],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def down(state: Path) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "scripts" / "down"), "--state", str(state)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_detached_system_is_healthy_described_and_leaves_nothing(tmp_path: Path) -> None:
    seconds = unique_seconds()
    file = blueprint(tmp_path, back=FAMILY.format(seconds=seconds))

    with system_running("--blueprint", file) as system:
        assert answers(system.web_url)
        assert (system.state / "up.json").stat().st_mode & 0o777 == 0o600
        assert set(system.read()["services"]) == {"front", "back"}
        assert process_read(pid=system.pid("back")) is not None
        assert len(running_with(seconds)) == 3
        state = system.state

    assert running_with(seconds) == []
    assert not (state / "up.json").exists()


def test_a_process_sees_render_and_not_the_developers_shell(tmp_path: Path) -> None:
    file = blueprint(tmp_path, back="env; exec sleep 600")

    with system_running(
        "--blueprint", file, "--set", "back:CHOSEN=by hand", environment={"DJANGO_SECRET_KEY": "leaked"}
    ) as system:
        assert wait_until(condition=lambda: "CHOSEN" in (system.state / "logs" / "back.log").read_text(), seconds=5)
        variables = dict(
            line.partition("=")[::2] for line in (system.state / "logs" / "back.log").read_text().splitlines()
        )

    assert "DJANGO_SECRET_KEY" not in variables
    assert variables["CHOSEN"] == "by hand"
    assert variables["RENDER"] == "true"
    assert variables["RENDER_SERVICE_NAME"] == "back"
    assert variables["RENDER_SERVICE_TYPE"] == "worker"
    assert variables["GUNICORN_CMD_ARGS"] == "--preload --access-logfile - --bind=0.0.0.0:10000"
    assert "PORT" not in variables


def test_secrets_are_made_once_and_kept_from_others(tmp_path: Path) -> None:
    head = "envVarGroups: [{{name: g, envVars: [{{key: SECRET, generateValue: true}}]}}]\n" + HEAD.replace(
        "    runtime: python\n", "    runtime: python\n    envVars: [{{fromGroup: g}}]\n"
    )
    file = blueprint(tmp_path, front=f"echo $SECRET; {SERVE}", back="echo $SECRET; exec sleep 600", head=head)
    state = tmp_path / "state"
    state.mkdir()
    seen = set()

    for _ in range(2):
        with system_running("--blueprint", file, state=state):
            for name in ("front", "back"):
                log = state / "logs" / f"{name}.log"
                assert wait_until(condition=lambda log=log: bool(log.read_text()), seconds=5)  # type: ignore[misc]
                seen.add(log.read_text().splitlines()[0])

    assert len(seen) == 1
    assert len(seen.pop()) == 44
    assert (state / "generated.json").stat().st_mode & 0o777 == 0o600


def test_a_service_left_out_is_not_started_and_the_rest_is_ready(tmp_path: Path) -> None:
    with system_running("--blueprint", blueprint(tmp_path), "--without", "back") as system:
        assert set(system.read()["services"]) == {"front"}


def test_a_service_that_dies_during_the_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    seconds = unique_seconds()
    file = blueprint(tmp_path, front=f"sleep {seconds} & echo the disk is full; exit 7")

    with pytest.raises(StartFailedError) as caught, system_running("--blueprint", file):
        pass

    assert caught.value.status == 1
    assert "front ended with exit status 7 during the start" in caught.value.output
    assert "the disk is full" in caught.value.output
    assert running_with(seconds) == []


def test_a_pre_deploy_command_that_fails_stops_the_start(tmp_path: Path) -> None:
    head = HEAD.replace(
        "    healthCheckPath: /\n", "    healthCheckPath: /\n    preDeployCommand: echo no table; exit 3\n"
    )
    seconds = unique_seconds()

    with (
        pytest.raises(StartFailedError) as caught,
        system_running("--blueprint", blueprint(tmp_path, head=head, back=f"exec sleep {seconds}")),
    ):
        pass

    assert "pre-deploy ended with exit status 3" in caught.value.output
    assert "no table" in caught.value.output


@pytest.mark.parametrize("victim", ["runner", "guardian"])
def test_nothing_is_left_when_somebody_kills_the(victim: str, tmp_path: Path) -> None:
    seconds = unique_seconds()
    file = blueprint(tmp_path, back=FAMILY.format(seconds=seconds))

    with system_running("--blueprint", file) as system:
        process = json.loads((system.state / "runner.json").read_text())[victim]
        port = int(system.web_url.rpartition(":")[2])
        assert running_with(seconds)
        os.kill(process["pid"], signal.SIGKILL)

        assert wait_until(condition=lambda: running_with(seconds) == [], seconds=15)
        assert wait_until(condition=lambda: not (system.state / "up.json").exists(), seconds=15)
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
        # And the next start finds the way free.
        with system_running("--blueprint", file, state=system.state) as again:
            assert again.pid("back")


def test_a_service_that_ignores_sigterm_is_killed_when_its_time_is_up(tmp_path: Path) -> None:
    seconds = unique_seconds()
    file = blueprint(tmp_path, back=f"trap '' TERM; while true; do sleep 0.{seconds.replace('.', '')}; done")

    with system_running("--blueprint", file) as system:
        pid = system.pid("back")
        began = time.monotonic()
        done = down(system.state)
        took = time.monotonic() - began

    assert done.returncode == 0
    assert process_read(pid=pid) is None
    assert 0.9 < took < 10


def test_services_stop_before_those_they_need(tmp_path: Path) -> None:
    head = HEAD + "  - {{type: keyvalue, name: queue, ipAllowList: []}}\n"

    with system_running("--blueprint", blueprint(tmp_path, head=head)) as system:
        down(system.state)
        told = (system.state / "logs" / "runner.log").read_text()

    order = [line.removeprefix("Stopping ") for line in told.splitlines() if line.startswith("Stopping ")]
    assert order == ["back", "front", "valkey"]


def test_a_service_that_dies_later_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    seconds = unique_seconds()

    with system_running("--blueprint", blueprint(tmp_path, back=FAMILY.format(seconds=seconds))) as system:
        os.kill(system.pid("back"), signal.SIGKILL)
        log = system.state / "logs" / "runner.log"
        assert wait_until(condition=lambda: "!!! back was ended by SIGKILL" in log.read_text(), seconds=10)
        # Those that stayed in its session went with it; up.json tells what is left.
        assert wait_until(condition=lambda: set(system.read()["services"]) == {"front"}, seconds=5)
        assert len(running_with(seconds)) == 1
        assert answers(system.web_url)

    assert running_with(seconds) == []


def test_with_restart_a_service_that_dies_comes_back_under_a_new_pid(tmp_path: Path) -> None:
    with system_running("--blueprint", blueprint(tmp_path), "--restart") as system:
        before = system.pid("back")
        os.kill(before, signal.SIGKILL)

        assert wait_until(
            condition=lambda: system.read()["services"].get("back", {}).get("pid", before) != before,
            seconds=10,
        )


def test_a_second_system_on_the_same_state_is_refused_with_advice(tmp_path: Path) -> None:
    file = blueprint(tmp_path)

    with system_running("--blueprint", file) as system:
        refused = up("--detach", "--blueprint", file, "--state", str(system.state), "--port", str(free_ports()))

        assert refused.returncode == 1
        assert "scripts/down" in refused.stderr
        assert "--state" in refused.stderr
        assert answers(system.web_url)


def test_a_port_in_use_is_named_together_with_the_way_out(tmp_path: Path) -> None:
    port = free_ports()
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", port))  # noqa: S104 - as the service would
        taken.listen()
        refused = up(
            "--detach",
            "--blueprint",
            blueprint(tmp_path),
            "--state",
            str(tmp_path / "s"),
            "--port",
            str(port),
        )

    assert refused.returncode == 1
    assert str(port) in refused.stderr
    assert "--port" in refused.stderr


@pytest.mark.parametrize(
    "options", [("--set", "nobody:A=1"), ("--without", "nobody"), ("--set", "front"), ("--set", "front:A")]
)
def test_an_option_that_makes_no_sense_is_wrong_usage_and_says_what_would(
    options: tuple[str, str], tmp_path: Path
) -> None:
    refused = up("--blueprint", blueprint(tmp_path), "--state", str(tmp_path / "s"), *options)

    assert refused.returncode == 2
    assert "front" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_down_says_so_when_nothing_runs(tmp_path: Path) -> None:
    done = down(tmp_path / "never")

    assert done.returncode == 0
    assert "Nothing is running" in done.stdout


def test_down_stops_a_system_in_the_foreground(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with foreground("--blueprint", blueprint(tmp_path), "--state", str(state), "--port", str(free_ports())) as process:
        read_until(process, "Healthy after")
        assert down(state).returncode == 0
        assert process.wait(timeout=10) == 0


def test_ctrl_c_stops_everything_and_shows_logs_with_their_names(tmp_path: Path) -> None:
    seconds = unique_seconds()
    file = blueprint(tmp_path, back=f"echo good morning; {FAMILY.format(seconds=seconds)}")
    options = ("--blueprint", file, "--state", str(tmp_path / "state"), "--port", str(free_ports()))

    with foreground(*options) as process:
        seen = read_until(process, "Healthy after")
        os.killpg(process.pid, signal.SIGINT)
        rest = process.communicate(timeout=30)[0]

    assert "back" in next(line for line in seen.splitlines() if "| good morning" in line)
    assert "Stopped." in rest
    assert process.returncode == 0
    assert running_with(seconds) == []


def test_a_start_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    seconds = unique_seconds()
    file = blueprint(tmp_path, front=f"exec sleep {seconds}")  # never answers, so never ready
    options = ("--blueprint", file, "--state", str(tmp_path / "state"), "--port", str(free_ports()))

    with foreground(*options, "--detach") as process:
        assert wait_until(condition=lambda: running_with(seconds) != [], seconds=20)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)

    assert process.returncode == 130
    assert running_with(seconds) == []


def test_memory_counts_every_process_of_a_service(tmp_path: Path) -> None:
    with system_running("--blueprint", blueprint(tmp_path, back="sleep 600 & exec sleep 600")) as system:
        command = [str(ROOT / "scripts" / "memory"), "--state", str(system.state)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert done.returncode == 0
    assert rows["back"][0] == "2"
    assert float(rows["front"][1]) > 2


def test_the_commands_work_from_any_directory(tmp_path: Path) -> None:
    elsewhere = tmp_path / "scripts"  # a name that must not be imported from
    elsewhere.mkdir()
    (elsewhere / "__init__.py").write_text("raise RuntimeError('imported from the working directory')")

    done = subprocess.run(
        [str(ROOT / "scripts" / "up"), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == 0
    assert "--detach" in done.stdout
    shutil.rmtree(elsewhere)
