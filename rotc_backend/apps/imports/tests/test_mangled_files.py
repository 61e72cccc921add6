"""Whatever is sent: rows with problems or a refused file, never an error of ours, and nothing half done."""

import io
import random
import zipfile
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet
from apps.cadets.tests import factories as cadets
from apps.imports import rules, tasks
from apps.imports.models import ImportFile, ImportRow, ImportRun, State
from apps.imports.services.kinds import KINDS
from apps.imports.tests import factories
from apps.training.tests import factories as training
from core.spreadsheets.writing import csv_stream, xlsx_stream

pytestmark = pytest.mark.django_db(transaction=True)
EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

# What people write into cells, what programs make of it, and what is meant to hurt.
CELLS = st.sampled_from(
    [
        "", " ", "2026-00001", "2026-99999", "ana", "Cruz, Ana B.", "Macaraeg, Liza", "=1+1", "'=1+1", "+63917", "-5",
        "85", "85.5", "85,5", "101", "1e400", "NaN", "Infinity", "-0", "٣", "²", "0x10", "p", "L", "EXCUSED",
        "absent", "7:05", "25:61", "0705H", "2026-11-24", "2026-02-30", "3/25/2004", "25/3/2004", "38071", "9" * 40,
        "Alpha", "1st Platoon", "Zulu", "ongoing", "MS1", "CDT", "ana@rotc.example", "a@b", "\x00", "\ud800",
        "\u202e", "\u0131", "ß", "İ", "é" * 300, "x" * 5000, "#REF!", "TRUE", "\t", "\r\n", '"', "'", "''", ";",
        "<b>", "{{7*7}}", "%s", "\ufeff",
    ]
) | st.text(max_size=20)  # fmt: skip


class Sent:
    """Runs of one kind, in the same small unit."""

    def __init__(self, kind: str, admin: Person) -> None:
        self.kind = kind
        self.admin = admin
        self.columns = [column for column in KINDS[kind].columns if column.imported]
        self.where: dict[str, Any] = {"training_day": training.day(), "term": None} if kind == rules.ATTENDANCE else {}
        if not Cadet.objects.exists():
            cadets.enrolled("2026-00001", last_name="Cruz", first_name="Ana")
            cadets.cadet("2026-00002", last_name="Cruz", first_name="Ben")

    def perform(self, content: bytes, *, dry_run: bool) -> ImportRun:
        """The run at its end. What is asserted holds whatever was sent."""
        run = factories.run(self.admin.user, content, kind=self.kind, dry_run=dry_run, **self.where)
        before = self.stored()
        tasks._perform(run_id=run.pk)
        run.refresh_from_db()
        assert run.state in {State.REFUSED, State.READY if dry_run else State.DONE}, (run.problem, content)
        assert ImportFile.objects.filter(run=run).exists() == (run.state == State.READY)
        rows = ImportRow.objects.filter(run=run)
        assert rows.count() == sum(run.counts.values())
        assert all(bool(row.problems) == (row.fate == "refuse") for row in rows)
        if run.state != State.DONE:
            assert self.stored() == before
        if run.state == State.REFUSED:
            assert run.problem
        run.delete()
        return run

    def stored(self) -> Any:
        """The audit trail tells of every write; of imports it tells itself."""
        entries = AuditEntry.objects.exclude(action__startswith="import.")
        return Cadet.objects.count(), entries.count()

    def table(self, cells: list[list[str]]) -> list[list[str]]:
        return [[*row, *[""] * len(self.columns)][: len(self.columns)] for row in cells]

    def csv(self, cells: list[list[str]]) -> bytes:
        return b"".join(csv_stream(columns=self.columns, rows=self.table(cells)))

    def xlsx(self, cells: list[list[str]]) -> bytes:
        return b"".join(xlsx_stream(columns=self.columns, rows=self.table(cells), sheet_name="Sheet"))


@pytest.fixture(params=rules.KINDS)
def sent(request: pytest.FixtureRequest, admin: Person) -> Sent:
    return Sent(request.param, admin)


TABLES = st.lists(st.lists(CELLS, max_size=12), max_size=5)


@EXAMPLES
@given(cells=TABLES, workbook=st.booleans(), dry_run=st.booleans())
def test_cells_with_anything_in_them(sent: Sent, cells: list[list[str]], workbook: bool, dry_run: bool) -> None:
    named = [["2026-00001", *row] if index % 2 else row for index, row in enumerate(cells)]
    sent.perform((sent.xlsx if workbook else sent.csv)(named), dry_run=dry_run)


@EXAMPLES
@given(cells=TABLES, seed=st.integers(0, 2**32), workbook=st.booleans(), dry_run=st.booleans())
def test_files_with_bytes_that_were_changed_lost_or_added(
    sent: Sent, cells: list[list[str]], seed: int, workbook: bool, dry_run: bool
) -> None:
    content = bytearray((sent.xlsx if workbook else sent.csv)(cells))
    chance = random.Random(seed)
    for _ in range(chance.randrange(1, 8)):
        at = chance.randrange(len(content))
        match chance.randrange(3):
            case 0:
                content[at] = chance.randrange(256)
            case 1:
                del content[at : at + chance.randrange(1, 200)]
            case _:
                content[at:at] = chance.randbytes(chance.randrange(1, 20))
        content = content or bytearray(b"x")
    sent.perform(bytes(content), dry_run=dry_run)


@EXAMPLES
@given(parts=st.data(), dry_run=st.booleans())
def test_workbooks_whose_inside_was_changed(sent: Sent, parts: st.DataObject, dry_run: bool) -> None:
    """The archive is sound, and what it packs is not."""
    whole = zipfile.ZipFile(io.BytesIO(sent.xlsx([["2026-00001", "85"], ["2026-00002", "90"]])))
    names = whole.namelist()
    changed = parts.draw(st.sampled_from(names))
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            text = whole.read(name)
            if name == changed:
                at = parts.draw(st.integers(0, len(text)))
                text = text[:at] + parts.draw(st.binary(max_size=12)) + text[at + parts.draw(st.integers(0, 12)) :]
            archive.writestr(name, text)
    sent.perform(written.getvalue(), dry_run=dry_run)


@EXAMPLES
@given(
    content=st.binary(max_size=400),
    beginning=st.sampled_from([b"", b"PK\x03\x04", b"\xff\xfe", b"\xef\xbb\xbf", b"sep=;\n"]),
)
def test_bytes_that_mean_nothing(sent: Sent, content: bytes, beginning: bytes) -> None:
    sent.perform(beginning + content, dry_run=False)
