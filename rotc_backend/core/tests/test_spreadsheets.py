import contextlib
import datetime as dt
import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from decimal import Decimal

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import DomainError, ValidationFailed
from core.spreadsheets.reading import LARGEST_FILE, spreadsheet_read
from core.spreadsheets.writing import Written, csv_stream, spreadsheet_answer, xlsx_stream
from core.tables import Column, ImportCancelled, Row, Table, date_of, decimal_of, text_of, time_of

COLUMNS = (
    Column(field="student_id", title="Student ID", aliases=("USN", "Student No."), required=True),
    Column(field="name", title="Name", imported=False),
    Column(field="remarks", title="Remarks", aliases=("Note",)),
    Column(field="born", title="Birthdate"),
    Column(field="at", title="Time in"),
    Column(field="score", title="Score"),
)


def read(content: bytes) -> Table:
    return spreadsheet_read(content, columns=COLUMNS)


def workbook(*sheets: tuple[str, Sequence[Sequence[object]]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)  # type: ignore[arg-type]
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def values(table: Table) -> list[dict[str, object]]:
    return [dict(row.values) for row in table.rows]


def code_of(content: bytes) -> str:
    with pytest.raises(DomainError) as refusal:
        read(content)
    return refusal.value.errors[0].code if refusal.value.errors else refusal.value.code


def repacked(content: bytes, **changed: bytes | None) -> bytes:
    """The archive with some entries replaced (by their ending), left out (None) or added."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            key = re.sub(r"\W", "_", entry.filename.rpartition("/")[2])
            if key not in changed:
                new.writestr(entry.filename, old.read(entry))
            elif (replacement := changed[key]) is not None:
                new.writestr(entry.filename, replacement)
        for key, added in changed.items():
            if added is not None and key.startswith("add_"):
                new.writestr(f"xl/{key.removeprefix('add_')}.bin", added)
    return written.getvalue()


# --- CSV --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_csv_is_read_in_the_encoding_and_with_the_separator_that_it_has(
    encoding: str, delimiter: str, end: str
) -> None:
    lines = [["USN", "Note", "Extra"], ["2021-1", "Peña", "1"], ["", "", ""], ["2021-2", "ok", "2"]]
    content = end.join(delimiter.join(line) for line in lines).encode(encoding)
    table = read(content)
    assert values(table) == [
        {"student_id": "2021-1", "remarks": "Peña"},
        {"student_id": "2021-2", "remarks": "ok"},
    ]
    assert [row.row for row in table.rows] == [2, 4]
    assert any("Extra" in note for note in table.notes)
    assert any("Windows-1252" in note for note in table.notes) == (encoding == "cp1252")


def test_titles_may_stand_below_the_letterhead_and_be_repeated() -> None:
    table = read(
        b"MSU-SND ROTC Unit,,\nList of cadets,,\n,,\nStudent No.,Remarks,Name\n1,a,X\nStudent No.,Remarks,Name\n2,b,Y\n"
    )
    assert [(row.row, row.values["student_id"]) for row in table.rows] == [(5, "1"), (7, "2")]
    assert table.notes == ["The file: titles that are repeated were passed over."]


def test_a_problem_knows_its_row_and_column() -> None:
    table = read(b"Student ID,Remarks\n1,=2+3\n")
    problem = table.problems[0]
    assert (problem.row, problem.column, problem.field, problem.code) == (2, "B", "remarks", "formula")
    assert isinstance(table.rows[0], Row)
    assert table.rows[0].problem("student_id", "c", "d").column == "A"


def test_excels_ways_of_writing_text_are_understood() -> None:
    assert values(read(b'sep=;\r\nStudent ID;Remarks\r\n="007";"\'+639171234567"\r\n')) == [
        {"student_id": "007", "remarks": "+639171234567"}
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"  \n ", "empty"),
        (b"Name,Remarks\nx,y\n", "no_header"),
        (b"Student ID,USN\n1,2\n", "duplicate_column"),
        (b'Student ID\n"1\n2\n', "file_malformed"),
        (b"Student ID,Remarks\n1,\x81\x8d\n", "encoding"),
        (b"<html><table>", "file_type"),
        (b"%PDF-1.7", "file_type"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "file_type"),
        (b"PK\x03\x04rest", "file_malformed"),
        (b"Student ID\n" + b"1\n" * 50_002, "too_many_rows"),
        (b"Student ID" + b",x" * 120 + b"\n", "too_many_columns"),
        (b"1" * (LARGEST_FILE + 1), "content_too_large"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused_with_the_reason(content: bytes, code: str) -> None:
    assert code_of(content) == code


def test_who_has_no_titles_is_told_which_are_wanted_and_which_row_came_closest() -> None:
    with pytest.raises(ValidationFailed) as refusal:
        read(b"x\nName,Remarks\n")
    detail = refusal.value.errors[0].detail
    assert "“Student ID” (also: USN, Student No.)" in detail
    assert "Row 2 came closest" in detail


# --- XLSX -------------------------------------------------------------------------------------------------------------


def test_every_shown_sheet_is_read_and_the_others_are_named() -> None:
    content = workbook(
        (
            "Alpha",
            [["Student ID", "Birthdate", "Time in", "Score"], [20210001, dt.date(2004, 3, 25), dt.time(7, 5), 85.1]],
        ),
        ("Signatures", [["Prepared by"]]),
        ("Bravo", [["USN"], ["0042"]]),
    )
    table = read(content)
    assert [row.sheet for row in table.rows] == ["Alpha", "Bravo"]
    first = table.rows[0].values
    assert text_of(first["student_id"]) == "20210001"
    assert date_of(first["born"]) == dt.date(2004, 3, 25)
    assert time_of(first["at"]) == dt.time(7, 5)
    assert decimal_of(first["score"]) == Decimal("85.10")
    assert table.rows[1].values == {"student_id": "0042"}
    assert table.notes == ["Sheet “Signatures” has no row with known titles and was passed over."]


def test_a_hidden_sheet_is_passed_over_with_a_note() -> None:
    book = openpyxl.Workbook()
    book.active.append(["Student ID"])  # type: ignore[union-attr]
    hidden = book.create_sheet("Old")
    hidden.append(["Student ID"])
    hidden.append(["1"])
    hidden.sheet_state = "hidden"
    written = io.BytesIO()
    book.save(written)
    table = read(written.getvalue())
    assert table.rows == []
    assert table.notes == ["Hidden sheets were passed over: Old."]


def test_dates_of_a_workbook_that_counts_from_1904_are_right() -> None:
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    book.active.append(["Student ID", "Birthdate"])  # type: ignore[union-attr]
    book.active.append(["1", dt.date(2004, 3, 25)])  # type: ignore[union-attr]
    written = io.BytesIO()
    book.save(written)
    assert date_of(read(written.getvalue()).rows[0].values["born"]) == dt.date(2004, 3, 25)


def test_formulas_and_error_values_are_problems_of_their_cells() -> None:
    table = read(workbook(("A", [["Student ID", "Remarks", "Score"], ["1", "=B1", "#N/A"]])))
    assert [(problem.column, problem.code) for problem in table.problems] == [("B", "formula"), ("C", "error_value")]
    assert table.problems[0].sheet == "A"


def test_a_workbook_with_macros_or_of_another_kind_is_refused() -> None:
    content = workbook(("A", [["Student ID"], ["1"]]))
    assert code_of(repacked(content, add_vbaProject=b"x")) == "macros"
    assert code_of(repacked(content, workbook_xml=None)) == "file_type"
    assert code_of(repacked(content, sheet1_xml=b"<worksheet><sheetData><row")) == "file_malformed"


def test_shared_and_rich_texts_as_excel_writes_them_are_read() -> None:
    head = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    office = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    sheet = b'<row r="1"><c r="A1" t="s"><v>0</v></c></row><row r="2"><c r="A2" t="s"><v>1</v></c></row>'
    plain, rich = b"<si><t>Student ID</t></si>", b"<si><r><t>20</t></r><r><rPr><b/></rPr><t>21-1</t></r></si>"
    content = repacked(
        workbook(("A", [])),
        sheet1_xml=b"<worksheet " + head + b"><sheetData>" + sheet + b"</sheetData></worksheet>",
        workbook_xml_rels=b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        b'<Relationship Id="rId1" Type="' + office + b'/worksheet" Target="/xl/worksheets/sheet1.xml"/>'
        b'<Relationship Id="rId2" Type="'
        + office
        + b'/sharedStrings" Target="/xl/sharedStrings.bin"/></Relationships>',
        add_sharedStrings=b"<sst " + head + b">" + plain + rich + b"</sst>",
        _Content_Types__xml=b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        b'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        b'<Default Extension="xml" ContentType="application/xml"/>'
        b'<Override PartName="/xl/workbook.xml" ContentType='
        b'"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
        b'<Override PartName="/xl/worksheets/sheet1.xml" ContentType='
        b'"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
        b'<Override PartName="/xl/sharedStrings.bin" ContentType='
        b'"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/></Types>',
    )
    assert values(read(content)) == [{"student_id": "2021-1"}]


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    content = workbook(("A", [["Student ID"], ["1"]]))
    assert code_of(repacked(content, sheet1_xml=b" " * 80_000_000)) == "file_malformed"
    cell = b'<row r="1"><c r="A1" t="inlineStr"><is><t>&b;</t></is></c></row>'
    entities = b'<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><worksheet><sheetData>' + cell
    entities += b"</sheetData></worksheet>"
    assert code_of(repacked(content, sheet1_xml=entities)) == "file_malformed"


def test_a_gap_and_a_false_size_cost_nothing() -> None:
    sheet = (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        b'<dimension ref="A1:A1"/><sheetData>'
        b'<row r="1"><c r="A1" t="inlineStr"><is><t>Student ID</t></is></c></row>'
        b'<row r="1048576"><c r="A1048576" t="inlineStr"><is><t>7</t></is></c></row>'
        b'<row r="4000000000"><c r="A4000000000"><v>1</v></c></row></sheetData></worksheet>'
    )
    table = read(repacked(workbook(("A", [])), sheet1_xml=sheet))
    assert [(row.row, row.values["student_id"]) for row in table.rows] == [(1_048_576, "7")]


# --- Both -------------------------------------------------------------------------------------------------------------

PLAIN = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Cn", "Co"]), max_size=40).map(
    lambda text: " ".join(text.split())
)
TEXT = PLAIN.filter(lambda text: text.strip("\u200b\ufeff") == text and not text.startswith('="'))


@given(
    rows=st.lists(
        st.tuples(
            TEXT.filter(bool),
            TEXT,
            st.none() | st.dates(dt.date(1930, 1, 1), dt.date(2060, 1, 1)),
            st.none() | st.times().map(lambda at: at.replace(microsecond=0)),
            st.none() | st.decimals(0, 100, places=2),
        ),
        max_size=5,
    ),
    kind=st.sampled_from(["csv", "xlsx"]),
)
def test_what_is_written_is_read_as_it_was(rows: list[tuple[Written, ...]], kind: str) -> None:
    shown = [column for column in COLUMNS if column.imported]
    stream = (
        csv_stream(columns=shown, rows=rows) if kind == "csv" else xlsx_stream(columns=shown, rows=rows, sheet_name="X")
    )
    found = [
        (
            text_of(row.values["student_id"]),
            text_of(row.values["remarks"]) if "remarks" in row.values else "",
            date_of(row.values["born"]) if "born" in row.values else None,
            time_of(row.values["at"]) if "at" in row.values else None,
            decimal_of(row.values["score"]) if "score" in row.values else None,
        )
        for row in read(b"".join(stream)).rows
    ]
    assert found == rows


@pytest.mark.parametrize("text", ["=1+1", "'=1", "+639171234567", "-x", "@a", "''+", "0012", "a\nb", 'say "x"', "Ñ 😀"])
def test_no_text_can_become_a_formula_and_every_text_comes_back(text: str) -> None:
    written = b"".join(csv_stream(columns=COLUMNS[:1], rows=[[text]])).decode("utf-8-sig")
    assert written.splitlines()[1].lstrip('"')[:1] not in {"=", "+", "-", "@", "\t"}
    for stream in (
        csv_stream(columns=COLUMNS[:1], rows=[[text]]),
        xlsx_stream(columns=COLUMNS[:1], rows=[[text]], sheet_name="X"),
    ):
        table = read(b"".join(stream))
        assert table.problems == []
        assert table.rows[0].values["student_id"] == text


def test_the_workbook_is_one_for_other_readers_too() -> None:
    rows: Iterable[Sequence[Written]] = [
        ["007", "N", "x\x01\r\n<&>", dt.date(2004, 3, 25), dt.time(7, 5), Decimal("85.50")]
    ]
    content = b"".join(xlsx_stream(columns=COLUMNS, rows=rows, sheet_name="Cadets: [all] of the whole unit, and more"))
    book = openpyxl.load_workbook(io.BytesIO(content))
    sheet = book.active
    assert sheet is not None
    assert sheet.title == "Cadets   all  of the whole unit"
    assert sheet.freeze_panes == "A2"
    assert sheet["A1"].font.bold
    assert sheet["A2"].number_format == "@"
    assert [cell.value for cell in sheet[2]] == [
        "007",
        "N",
        "x\ufffd\r\n<&>",
        dt.datetime(2004, 3, 25),  # noqa: DTZ001 - spreadsheets know no zone
        dt.time(7, 5),
        85.5,
    ]


def test_the_first_bytes_leave_before_the_last_row_is_read() -> None:
    read_rows = 0

    def rows() -> Iterable[Sequence[Written]]:
        nonlocal read_rows
        for number in range(20_000):
            read_rows += 1
            yield [f"{number}", "a name", "remarks" * 5]

    for stream in (csv_stream(columns=COLUMNS, rows=rows()), xlsx_stream(columns=COLUMNS, rows=rows(), sheet_name="X")):
        read_rows = 0
        assert next(iter(stream))
        assert read_rows < 2_000


def test_the_answer_is_a_download_that_nobody_keeps() -> None:
    answer = spreadsheet_answer(file_format="xlsx", file_name="cadets", sheet_name="Cadets", columns=COLUMNS, rows=[])
    assert answer["Content-Disposition"] == 'attachment; filename="cadets.xlsx"'
    assert answer["Cache-Control"] == "no-store"
    assert read(b"".join(answer)).rows == []  # type: ignore[arg-type]


def test_whoever_cancels_is_heard_while_rows_are_read() -> None:
    def stop(done: int) -> None:
        raise ImportCancelled(done)

    with pytest.raises(ImportCancelled):
        spreadsheet_read(b"Student ID\n" + b"1\n" * 300, columns=COLUMNS, progress=stop)


_SAMPLES = {
    "csv": b'Student ID,Remarks,Birthdate\n1,"a, b",2004-03-25\n2,x,\n',
    "xlsx": workbook(("Alpha", [["Student ID", "Remarks", "Score"], ["1", "a", 85.5], ["2", "=x", 3]])),
}


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(kind=st.sampled_from(sorted(_SAMPLES)), data=st.data())
def test_a_mangled_file_is_a_table_or_a_refusal(kind: str, data: st.DataObject) -> None:
    content = bytearray(_SAMPLES[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(content)))
        cut = data.draw(st.integers(0, 8))
        content[place : place + cut] = data.draw(st.binary(max_size=8))
    with contextlib.suppress(DomainError):
        read(bytes(content))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(part=st.sampled_from(["sheet1_xml", "workbook_xml", "styles_xml"]), data=st.data())
def test_a_workbook_with_mangled_parts_is_a_table_or_a_refusal(part: str, data: st.DataObject) -> None:
    with zipfile.ZipFile(io.BytesIO(_SAMPLES["xlsx"])) as archive:
        name = next(name for name in archive.namelist() if name.endswith(part.replace("_", ".")))
        content = bytearray(archive.read(name))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content)))
        content[place : place + data.draw(st.integers(0, 12))] = data.draw(
            st.sampled_from([b"", b"<", b"&x;", b'"', b"-1", b"99999999999999", b"e", b"s", b"</c>", b"\xff"])
        )
    with contextlib.suppress(DomainError):
        read(repacked(_SAMPLES["xlsx"], **{part: bytes(content)}))
