"""The two README commands on a clone that nobody has touched, as root and as an ordinary user, with pip alone."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.stack.testing import free_ports

pytestmark = [pytest.mark.system, pytest.mark.long]

ROOT = Path(__file__).resolve().parents[2]
ORDINARY = "nobody"


@pytest.fixture
def clone() -> Iterator[Path]:
    # Not pytest's directory: it is closed to other users.
    parent = Path(tempfile.mkdtemp(prefix="rgms-clone-"))
    parent.chmod(0o755)
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(parent / "rgms")], check=True)
    yield parent / "rgms"
    shutil.rmtree(parent, ignore_errors=True)


def run_as(user: str | None, clone: Path, *command: str) -> tuple[int, float, str]:
    """(exit status, seconds, output) of a command in the clone; `user` needs root."""
    home = clone.parent / "home"
    environment = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_", "LANG"))}
    environment |= {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "NO_COLOR": "1"}
    began = time.monotonic()
    done = subprocess.run(
        command,
        cwd=clone,
        env=environment,
        user=user,
        group=pwd.getpwnam(user).pw_gid if user else None,
        extra_groups=[] if user else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    return done.returncode, time.monotonic() - began, done.stdout


def processes_of(clone: Path) -> list[str]:
    """The command lines of all processes that were started from this clone."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (OSError, ValueError):
            continue
        if str(clone) in command:
            found.append(command)
    return found


@pytest.mark.parametrize("user", [None, ORDINARY], ids=["the present user", "an ordinary user"])
def test_a_fresh_clone_runs_and_is_kept(clone: Path, user: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    if user is not None and os.geteuid() != 0:
        pytest.skip("only root can become another user; the other case ran as an ordinary one")
    (clone.parent / "home").mkdir()
    if user is not None:
        for path in (clone.parent, *clone.parent.rglob("*")):
            os.chown(path, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid, follow_symlinks=False)
    port = str(free_ports())
    status, up_seconds, output = run_as(user, clone, "./scripts/up", "--detach", "--port", port)
    try:
        assert status == 0, output
        status, verify_seconds, output = run_as(
            user, clone, "./scripts/verify", f"http://127.0.0.1:{port}", "--profile", "quick"
        )
        assert status == 0, output
        assert "KEEP" in output
    finally:
        status, _, stopped = run_as(user, clone, "./scripts/down")
    assert status == 0, stopped
    assert processes_of(clone) == []
    with capsys.disabled():
        print(f"\n  up {up_seconds:.0f} s, verify {verify_seconds:.0f} s, together {up_seconds + verify_seconds:.0f} s")
