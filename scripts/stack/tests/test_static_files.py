import os
from pathlib import Path

import pytest

from scripts.stack.static_files import StaticFiles

COMMAND = "python manage.py collectstatic"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with one static file, collected."""
    for name in (
        "config/settings.py",
        "apps/web/static/page.css",
        "apps/web/views.py",
        "staticfiles/staticfiles.json",
    ):
        file = tmp_path / "rotc_backend" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("first")
    (tmp_path / "requirements.txt").write_text("django==5.2\n")
    files = static_files(tmp_path)
    (tmp_path / ".local").mkdir()
    files.remember(inputs=files.inputs(command=COMMAND))
    return tmp_path


def static_files(clone: Path) -> StaticFiles:
    return StaticFiles(root=clone, folder=clone / ".local")


def test_what_was_collected_from_the_same_sources_is_current(clone: Path) -> None:
    assert static_files(clone).are_current(command=COMMAND)


@pytest.mark.parametrize(
    "changed",
    ["rotc_backend/apps/web/static/page.css", "rotc_backend/config/settings.py", "requirements.txt"],
)
def test_a_change_of_what_decides_them_is_seen(clone: Path, changed: str) -> None:
    (clone / changed).write_text("something longer")

    assert not static_files(clone).are_current(command=COMMAND)


def test_a_change_of_other_code_costs_nothing(clone: Path) -> None:
    (clone / "rotc_backend/apps/web/views.py").write_text("something longer")

    assert static_files(clone).are_current(command=COMMAND)


def test_another_command_collects_again(clone: Path) -> None:
    assert not static_files(clone).are_current(command=f"{COMMAND} --ignore x")


def test_an_interrupted_collection_is_not_believed(clone: Path) -> None:
    static_files(clone).forget()

    assert not static_files(clone).are_current(command=COMMAND)


def test_files_that_somebody_removed_are_collected_again(clone: Path) -> None:
    (clone / "rotc_backend/staticfiles/staticfiles.json").unlink()

    assert not static_files(clone).are_current(command=COMMAND)


def test_one_system_at_a_time_collects(clone: Path) -> None:
    held = static_files(clone).lock()
    assert held is not None

    assert static_files(clone).lock() is None

    os.close(held)
    again = static_files(clone).lock()
    assert again is not None
    os.close(again)
