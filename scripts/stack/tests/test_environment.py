"""scripts/bootstrap on clones of its own, with nothing to install but the environment itself."""

import hashlib
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from scripts.stack.state import ROOT


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with an empty list of requirements."""
    (tmp_path / "scripts" / "stack").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "bootstrap", tmp_path / "scripts")
    shutil.copy(ROOT / "scripts" / "stack" / "environment.py", tmp_path / "scripts" / "stack")
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    return tmp_path


def bootstrap(clone: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(clone / "scripts" / "bootstrap")],
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(clone),
            "PYTHON": str(ROOT / ".venv/bin/python"),
        }
        | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_an_environment_is_made_once_and_then_left_alone(clone: Path) -> None:
    first = bootstrap(clone)
    began = time.monotonic()
    second = bootstrap(clone)
    took = time.monotonic() - began

    assert first.returncode == 0, first.stderr
    assert "Making .venv" in first.stdout
    assert (clone / ".venv" / "bin" / "python").exists()
    assert second.returncode == 0
    assert second.stdout == ""
    assert took < 1


def test_changed_requirements_are_installed_into_the_same_environment(clone: Path) -> None:
    bootstrap(clone)
    kept = clone / ".venv" / "kept"
    kept.touch()
    (clone / "requirements.txt").write_text("# nothing else\n")

    done = bootstrap(clone)

    assert "Installing requirements.txt" in done.stdout
    assert kept.exists()
    stamp = (clone / ".venv" / "rgms-requirements.sha256").read_text().split()[0]
    assert stamp == hashlib.sha256(b"# nothing else\n").hexdigest()


def test_an_interrupted_installation_is_made_anew(clone: Path) -> None:
    bootstrap(clone)
    half = clone / ".venv" / "half-a-package"
    half.touch()
    (clone / ".venv" / "rgms-installing").touch()

    done = bootstrap(clone)

    assert "interrupted" in done.stdout
    assert not half.exists()
    assert not (clone / ".venv" / "rgms-installing").exists()


def test_two_at_once_do_not_disturb_each_other(clone: Path) -> None:
    command = [str(clone / "scripts" / "bootstrap")]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(clone)}
    runs = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]

    outputs = [run.communicate(timeout=120)[0] for run in runs]

    assert [run.returncode for run in runs] == [0, 0], outputs
    assert sum("Making .venv" in output for output in outputs) == 1


def test_a_requirement_that_cannot_be_installed_is_told_and_not_stamped(clone: Path) -> None:
    (clone / "requirements.txt").write_text("./no-such-directory/package.whl --hash=sha256:00\n")

    done = bootstrap(clone)

    assert done.returncode == 1
    assert "pip failed" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (clone / ".venv" / "rgms-requirements.sha256").exists()


def test_without_python_311_it_says_what_to_install(clone: Path) -> None:
    tools = clone / "tools"
    tools.mkdir()
    for tool in ("bash", "dirname", "cat", "env", "sha256sum"):
        found = shutil.which(tool)
        assert found is not None
        (tools / tool).symlink_to(found)
    script = clone / "scripts" / "bootstrap"
    # The two fixed places are this machine's; a machine without them is what is tried.
    script.write_text(script.read_text().replace("/usr/bin/python3.11 /usr/local/bin/python3.11", ""))

    done = bootstrap(clone, PATH=str(tools), PYTHON="")

    assert done.returncode == 1
    assert "Python 3.11" in done.stderr
    assert "apt install" in done.stderr
