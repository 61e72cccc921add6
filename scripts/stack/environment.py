"""The virtual environment of this clone. Run by scripts/bootstrap with any Python 3.11; standard library
only.

no .venv                    made, everything installed
stamp = requirements.txt    nothing to do (scripts/bootstrap does not even come here)
stamp differs               the difference is installed
marker of an installation   it was interrupted: half a package may lie there, so all is made anew
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
STAMP = "rgms-requirements.sha256"  # in the format of sha256sum, so that a shell can check it
_MARKER = "rgms-installing"
_PROGRESS_EVERY = 5.0  # seconds


class EnvironmentNotMadeError(Exception):
    """The environment cannot be made; the text says why and what to do."""


def environment_ensure(*, root: Path) -> None:
    """Make `root`/.venv hold exactly the requirements. Raises EnvironmentNotMadeError."""
    venv = root / ".venv"
    with _alone(root):
        if _is_current(root):
            return  # somebody else did it while we waited
        _refuse_foreign(venv)
        if (venv / _MARKER).exists():
            print("The last installation was interrupted; starting over.", flush=True)
            shutil.rmtree(venv)
        began = time.monotonic()
        uv = shutil.which("uv")
        venv.mkdir(exist_ok=True)
        (venv / _MARKER).touch()
        (venv / STAMP).unlink(missing_ok=True)
        if not (venv / "bin" / "python").exists():
            print("Making .venv …", flush=True)
            _run([sys.executable, "-m", "venv", str(venv)], what="python -m venv")
        _install(root=root, uv=uv)
        (venv / STAMP).write_text(f"{_digest(root)}  requirements.txt\n")
        (venv / _MARKER).unlink()
        print(f"The environment is ready ({time.monotonic() - began:.0f} s).", flush=True)


def _digest(root: Path) -> str:
    return hashlib.sha256((root / "requirements.txt").read_bytes()).hexdigest()


def _is_current(root: Path) -> bool:
    venv = root / ".venv"
    if not (venv / "bin" / "python").exists() or (venv / _MARKER).exists():
        return False
    try:
        return (venv / STAMP).read_text().split()[0] == _digest(root)
    except (FileNotFoundError, IndexError):
        return False


def _refuse_foreign(venv: Path) -> None:
    if not venv.exists():
        return
    if not os.access(venv, os.W_OK):
        raise EnvironmentNotMadeError(f"{venv} belongs to another user. Use a clone of your own.")
    configuration = venv / "pyvenv.cfg"
    if not configuration.exists():
        return
    for line in configuration.read_text().splitlines():
        key, _, value = line.partition("=")
        if key.strip() in {"version", "version_info"} and not value.strip().startswith("3.11"):
            raise EnvironmentNotMadeError(
                f"{venv} has Python {value.strip()}; 3.11 is needed. Remove it and run this again."
            )


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the lock of this clone; the kernel gives it back if we are killed."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another installation is under way in this clone; waiting for it …", flush=True)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _install(*, root: Path, uv: str | None) -> None:
    python = str(root / ".venv" / "bin" / "python")
    requirements = str(root / "requirements.txt")
    if uv is not None:
        print("Installing requirements.txt with uv …", flush=True)
        command = [uv, "pip", "sync", "--require-hashes", "--python", python, requirements]
        try:
            _run(command, what="uv")
        except EnvironmentNotMadeError as failure:
            # uv reads other settings than pip: a machine may have an index configured for pip alone.
            print(f"{failure}\nTrying pip instead.", flush=True)
        else:
            return
    print("Installing requirements.txt with pip (about half a minute) …", flush=True)
    if subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode != 0:
        _run([python, "-m", "ensurepip"], what="ensurepip")
    total = sum("==" in line for line in Path(requirements).read_text().splitlines() if not line.startswith(" "))
    command = [
        python,
        "-m",
        "pip",
        "install",
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
    ]
    _run([*command, "--require-hashes", "--no-deps", "-r", requirements], what="pip", total=total)


def _run(command: list[str], *, what: str, total: int = 0) -> None:
    """Run a tool, show how far it is, and its words only if it fails."""
    lines: list[str] = []
    seen = 0
    told = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as tool:
        for line in tool.stdout or ():
            lines.append(line)
            seen += line.startswith(("Collecting ", "Requirement already satisfied: "))
            if line.startswith("Installing collected packages"):
                print("  unpacking …", flush=True)
                total = 0
            elif total and time.monotonic() - told > _PROGRESS_EVERY:
                told = time.monotonic()
                print(f"  {seen} of {total} packages found", flush=True)
    if tool.returncode != 0:
        words = "".join(lines[-25:]).rstrip()
        raise EnvironmentNotMadeError(f"{what} failed with exit status {tool.returncode}:\n{words}")


def main() -> int:
    if sys.version_info[:2] != (3, 11):
        print(f"Python 3.11 is needed; this is {sys.version.split()[0]}.", file=sys.stderr)
        return 1
    try:
        environment_ensure(root=ROOT)
    except EnvironmentNotMadeError as failure:
        print(failure, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The environment cannot be made: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the next run starts over.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
