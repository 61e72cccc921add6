"""The officers' page says what the code does."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from apps.imports import rules
from apps.imports.models import Fate
from apps.imports.services.kinds import KINDS
from core.spreadsheets.cells import MOST_ROWS
from core.spreadsheets.reading import HEAD_ROWS, LARGEST_FILE

PAGE = (Path(settings.BASE_DIR).parent / "docs" / "IMPORT_EXPORT.md").read_text()
WORDS = " ".join(PAGE.split())


def table_of(kind: str) -> list[list[str]]:
    """The rows of a kind's table, without its titles."""
    between = PAGE.split(f"<!-- {kind} -->")[1].split("<!-- end -->")[0]
    lines = [line for line in between.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("kind", rules.KINDS)
def test_every_column_stands_in_its_table_with_its_other_titles_and_whether_it_is_needed(kind):
    expected = [(column.title, ", ".join(column.aliases)) for column in KINDS[kind].columns]
    rows = table_of(kind)
    assert [(title, aliases) for title, aliases, _ in rows] == expected
    for (title, _, words), column in zip(rows, KINDS[kind].columns, strict=True):
        assert words, title
        assert words.startswith("Required.") == column.required, title
        assert (words == "Only to read") == (not column.imported), title


def test_limits_and_times_are_those_of_the_code():
    assert f"{LARGEST_FILE // 1024 // 1024} MB and {MOST_ROWS:,} rows" in WORDS
    assert f"the first {HEAD_ROWS} rows" in WORDS
    assert f"can be applied for {rules.READY_HOURS} hours" in WORDS
    assert f"kept for {rules.ROW_DAYS} days" in WORDS
    assert {1: "once", 2: "twice", 3: "at most three times"}[rules.ATTEMPTS] in WORDS


def test_every_fate_and_every_reason_for_a_refused_file_is_explained():
    assert all(f"{fate.label} (`{fate.value}`)" in PAGE for fate in Fate)
    source = Path(settings.BASE_DIR) / "core" / "spreadsheets"
    codes = {
        code
        for file in sorted(source.glob("*.py"))
        for code in re.findall(r'refused\(\s*"([a-z_]+)"', file.read_text())
    }
    services = Path(settings.BASE_DIR) / "apps" / "imports"
    for file in [*sorted((services / "services").glob("*.py")), services / "tasks.py"]:
        codes |= set(re.findall(r'\bcode="([a-z_]+)",\s*detail', file.read_text()))
    assert len(codes) > 10
    assert {code for code in codes if f"`{code}`" not in PAGE} == {"cancelled"}
