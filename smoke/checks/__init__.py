"""The checks, one file per subject, in the order in which a person would look."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from smoke.check import ATTRIBUTE

SUBJECTS = (
    "health",
    "version",
    "keys",
    "login",
    "tokens",
    "access",
    "stores",
    "migrations",
    "api",
    "sockets",
    "notifications",
    "celery",
    "schedule",
    "static_files",
    "cors",
    "security",
    "media",
    "residue",
)
FILES = tuple(Path(__file__).with_name(f"{subject}.py") for subject in SUBJECTS)


def every_check() -> dict[str, Callable[..., None]]:
    """All checks by function name, for a test module that runs them under another pytest configuration.

    Raises ValueError if two subjects use the same name, since one would hide the other.
    """
    found: dict[str, Callable[..., None]] = {}
    for subject in SUBJECTS:
        for name, value in vars(import_module(f"{__name__}.{subject}")).items():
            if not hasattr(value, ATTRIBUTE):
                continue
            if name in found:
                raise ValueError(f"two checks are called {name}")
            found[name] = value
    return found
