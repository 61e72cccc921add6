"""The officers' page says what the code does."""

from pathlib import Path

import pytest
from django.conf import settings

from apps.reports import rules
from apps.reports.models import CertificateType, Kind, State

DOCS = Path(settings.BASE_DIR).parent / "docs"
PAGE = (DOCS / "REPORTS.md").read_text()
WORDS = " ".join(PAGE.split())
ROWS = {
    line.split("`")[1]: [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and line.count("|") == 6 and "(`" in line
}


@pytest.mark.parametrize("kind", Kind.values)
def test_every_kind_has_its_row_with_what_it_takes_its_formats_and_who_may(kind):
    its, (_, _, of_what, formats, who) = rules.KINDS[kind], ROWS[kind]
    assert [name for name in its.takes if f"`{name}`" not in of_what] == []
    assert [name for name in rules.PARAMETERS if f"`{name}`" in of_what and name not in its.takes] == []
    assert formats == ", ".join(its.formats).upper()
    expected = ["administrators", *(["training staff"] if its.staff else [])]
    assert who == ", ".join([*expected, *(["the cadet"] if kind in rules.CADET_KINDS else [])])


def test_every_state_and_type_is_explained():
    states = [*State.values, rules.VALID, rules.SUPERSEDED, rules.REVOKED, *CertificateType.values]
    assert [state for state in states if f"`{state}`" not in PAGE] == []


def test_limits_and_times_are_those_of_the_code():
    for words in (
        f"can be fetched for {rules.FILE_DAYS} days",
        f"with {rules.MERIT_POINTS} merits or more",
        f"a code of {rules.CODE_LENGTH} letters and digits",
        f"may ask {rules.CERTIFICATE_ASKS} times a minute",
        f"good for {rules.LINK_SECONDS // 60} minutes",
        f"at most {rules.MOST_UNDER_WAY} under way",
        {3: "at most three times"}[rules.ATTEMPTS],
    ):
        assert words in WORDS, words


def test_its_pictures_are_small():
    pictures = [name for name in ("report-grade-sheet.png", "report-certificate.png") if f"images/{name}" in PAGE]
    assert len(pictures) == 2
    assert all((DOCS / "images" / name).stat().st_size < 150_000 for name in pictures)
