import contextlib
import csv
import datetime as dt
import io
import random
import re
import tracemalloc
import zipfile
from collections.abc import Iterable, Sequence
from decimal import Decimal

import openpyxl
import openpyxl.utils.datetime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import DomainError, ValidationFailed
from core.spreadsheets.reading import LARGEST_FILE, spreadsheet_read
from core.spreadsheets.serials import NumberFormat, number_format, number_value
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
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
        (b"Student ID\n" + b"ab," * 100_000, "too_many_columns"),
        (b"Student ID\n1," + b"x" * 140_000, "file_malformed"),
        (b"Student ID\n" + b"1\n" * 50_002, "too_many_rows"),
        (b"Student ID\n" + b"\n" * 1_048_577, "too_many_rows"),
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
    assert detail == "Row 2 comes closest to a row of titles, but has no column “Student ID” (also: USN, Student No.)."


def test_letters_that_nobody_sees_are_a_problem_of_their_cell() -> None:
    table = read(b"Student ID,Remarks,x\x00y\n1,a\x00b,\n2,a\tb,\n")
    assert [(problem.row, problem.code) for problem in table.problems] == [(2, "invisible_characters")]
    assert table.rows[1].values["remarks"] == "a\tb"
    assert table.notes == []


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


@pytest.mark.parametrize("shown", ["0%", "0.00%", "#,##0.0\\ %"])
def test_a_score_that_is_shown_a_hundredfold_is_a_problem_of_its_cell(shown: str) -> None:
    book = openpyxl.load_workbook(io.BytesIO(workbook(("A", [["USN", "Score"], ["1", 0.85], ["2", 85]]))))
    sheet = book.active
    assert sheet is not None
    sheet["B2"].number_format = shown
    written = io.BytesIO()
    book.save(written)
    table = read(written.getvalue())
    assert [(problem.row, problem.column, problem.code) for problem in table.problems] == [(2, "B", "percentage")]
    assert table.rows[1].values["score"] == 85


def test_a_workbook_with_macros_or_of_another_kind_is_refused() -> None:
    content = workbook(("A", [["Student ID"], ["1"]]))
    assert code_of(repacked(content, add_vbaProject=b"x")) == "macros"
    assert code_of(repacked(content, workbook_xml=None)) == "file_type"
    assert code_of(repacked(content, sheet1_xml=b"<worksheet><sheetData><row")) == "file_malformed"


MAIN = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
TITLES = b'<row r="1"><c r="A1" t="inlineStr"><is><t>USN</t></is></c><c t="inlineStr"><is><t>Note</t></is></c></row>'


PADDING = random.Random(4).randbytes(100_000)  # without it, every sheet of one thing repeated looks like a bomb


def sharing(rows: bytes, texts: bytes) -> bytes:
    """A workbook whose texts lie beside its only sheet, as Excel writes them."""
    office = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    sheet = b"<worksheet " + MAIN + b"><sheetData>" + rows + b"</sheetData></worksheet>"
    relations = (
        b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        b'<Relationship Id="rId1" Type="' + office + b'/worksheet" Target="/xl/worksheets/sheet1.xml"/>'
        b'<Relationship Id="rId2" Type="' + office + b'/sharedStrings" Target="Texts.bin"/></Relationships>'
    )
    return repacked(
        workbook(("A", [])),
        sheet1_xml=sheet,
        workbook_xml_rels=relations,
        add_Texts=b"<sst " + MAIN + b">" + texts + b"</sst>",
        add_padding=PADDING,
    )


SHARED = sharing(
    b'<row><c t="s"><v>0</v></c></row><row><c t="s"><v>1</v></c></row>',
    b"<si><t>Student ID</t></si><si><r><t>20</t></r><r><rPr><b/></rPr><t>21-1</t></r></si>",
)


def test_shared_and_rich_texts_as_excel_writes_them_are_read() -> None:
    assert values(read(SHARED)) == [{"student_id": "2021-1"}]
    assert code_of(sharing(b'<row><c t="s"><v>7</v></c></row>', b"<si/>")) == "file_malformed"


def sheet_of(rows: bytes, *, before: bytes = b"", after: bytes = b"") -> bytes:
    """A workbook whose only sheet has these rows under its titles, in XML."""
    sheet = b"<worksheet " + MAIN + b">" + before + b"<sheetData>" + TITLES + rows + b"</sheetData>" + after
    return repacked(workbook(("A", [])), sheet1_xml=sheet + b"</worksheet>", add_padding=PADDING)


def cell_of(xml: bytes) -> object:
    """What a cell of the second column is read as: its value, the code of its problem, or None."""
    table = read(sheet_of(b'<row r="2"><c r="A2"><v>1</v></c>' + xml + b"</row>"))
    return table.problems[0].code if table.problems else table.rows[0].values.get("remarks")


@pytest.mark.parametrize(
    ("xml", "value"),
    [
        (b"<c><v>85</v></c>", 85),
        (b"<c><v>85.5</v></c>", 85.5),
        (b"<c><v>1e3</v></c>", 1000.0),
        (b"<c><v>1_0</v></c>", "error_value"),
        (b"<c><v>nan</v></c>", "error_value"),
        (b"<c><v>1e999</v></c>", "error_value"),
        (b'<c t="b"><v>1</v></c>', True),
        (b'<c t="b"><v>0</v></c>', False),
        (b'<c t="e"><v>#REF!</v></c>', "error_value"),
        (b'<c t="d"><v>2004-03-25T00:00:00</v></c>', "2004-03-25T00:00:00"),
        (b'<c t="str"><f>A1</f><v>x</v></c>', "formula"),
        (b'<c><f t="shared" si="0"/><v>1</v></c>', "formula"),
        (b'<c t="inlineStr"><is><t> a_x000D_b_x005F_x0041_ </t></is></c>', "a\rb_x0041_"),
        (b'<c t="inlineStr"><is><t>_xD83D_</t></is></c>', "_xD83D_"),
        (b'<c t="inlineStr"><is><t>a_x0000_b</t></is></c>', "invisible_characters"),
        (b'<c t="inlineStr"><is><r><t>To</t></r><rPh><t>xx</t></rPh><r><t>kyo</t></r></is></c>', "Tokyo"),
        (b'<c t="inlineStr"><is><t>' + b"x" * 32_767 + b"</t></is></c>", "x" * 32_767),
        (b'<c t="inlineStr"><is><t>' + b"x" * 32_768 + b"</t></is></c>", "too_long"),
        (b'<c t="inlineStr"><is><t>' + b"x" * 2_000_000 + b"</t></is></c>", "too_long"),
        (b'<c t="inlineStr"/>', None),
        (b"<c/>", None),
    ],
)
def test_a_cell_of_a_workbook_is_what_it_shows(xml: bytes, value: object) -> None:
    assert cell_of(xml) == value


def test_all_cells_that_one_formula_fills_are_problems() -> None:
    first = b'<row r="2"><c r="A2"><v>1</v></c><c r="B2"><f t="array" ref="B2:B3">A2:A3</f><v>1</v></c></row>'
    below = b'<row r="3"><c r="A3"><v>2</v></c><c r="B3"><v>2</v></c></row><row><c><v>3</v></c><c><v>3</v></c></row>'
    table = read(sheet_of(first + below))
    assert [(problem.row, problem.column, problem.code) for problem in table.problems] == [
        (2, "B", "formula"),
        (3, "B", "formula"),
    ]
    assert (table.rows[2].row, table.rows[2].values) == (4, {"student_id": 3, "remarks": 3})


def test_a_workbook_of_the_strict_kind_with_prefixes_is_read() -> None:
    sheet = b'<x:worksheet xmlns:x="http://purl.oclc.org/ooxml/spreadsheetml/main"><x:sheetData><x:row r="1"><x:c '
    sheet += b't="inlineStr"><x:is><x:t>USN</x:t></x:is></x:c></x:row><x:row><x:c><x:v>7</x:v></x:c></x:row>'
    content = repacked(workbook(("A", [])), sheet1_xml=sheet + b"</x:sheetData></x:worksheet>")
    assert values(read(content)) == [{"student_id": 7}]


def test_one_part_is_not_read_as_many_sheets_and_sheets_of_macros_are_refused() -> None:
    content = workbook(("A", [["USN"], ["1"]]))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        book, relations = archive.read("xl/workbook.xml"), archive.read("xl/_rels/workbook.xml.rels")
    entry = re.search(rb"<sheet [^>]*/>", book)
    assert entry is not None
    assert code_of(repacked(content, workbook_xml=book.replace(entry[0], entry[0] * 2))) == "file_malformed"
    macros = relations.replace(b"relationships/worksheet", b"relationships/xlMacrosheet")
    assert code_of(repacked(content, workbook_xml_rels=macros)) == "macros"
    chart = relations.replace(b"relationships/worksheet", b"relationships/chartsheet")
    assert code_of(repacked(content, workbook_xml_rels=chart)) == "no_header"


@pytest.mark.parametrize(
    ("before", "rows", "after", "code"),
    [
        (b"", b"<row>" + b"<c/>" * 500_000 + b"</row>", b"", "file_malformed"),
        (b"", b"<row/>" * 200_000, b"", ""),
        (b"<x>" * 500_000, b"", b"", "file_malformed"),
        (b'<x y="' + b"z" * 2_000_000 + b'"/>', b"", b"", "file_malformed"),
        (b"<!--" + b"z" * 2_000_000 + b"-->", b"", b"", "file_malformed"),
        (b"".join(b"<x%d/>" % number for number in range(100_000)), b"", b"", "file_malformed"),
        (b"".join(b'<x xmlns:y%d="z"/>' % number for number in range(100_000)), b"", b"", "file_malformed"),
        (b"<x/>" * 500_000, b'<row><c r="A2"><v>1</v></c></row>', b"<x/>" * 500_000, ""),
    ],
)
def test_odd_shapes_of_a_sheet_cost_no_memory(before: bytes, rows: bytes, after: bytes, code: str) -> None:
    content = sheet_of(rows, before=before, after=after)
    tracemalloc.start()
    try:
        try:
            read(content)
            found = ""
        except ValidationFailed as refusal:
            found = refusal.errors[0].code
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == code
    assert peak < 12_000_000


def test_a_text_that_cells_share_counts_for_each_of_them() -> None:
    titles = b'<row><c t="s"><v>0</v></c><c t="s"><v>1</v></c></row>'
    row = b'<row><c><v>1</v></c><c t="s"><v>2</v></c></row>'
    texts = b"<si><t>USN</t></si><si><t>Note</t></si><si><t>" + b"x" * 30_000 + b"</t></si>"
    assert len(read(sharing(titles + row * 700, texts)).rows) == 700
    assert code_of(sharing(titles + row * 1_000, texts)) == "too_much_text"
    assert code_of(sharing(titles, b"<si/>" * 600_000)) == "too_much_text"


@pytest.mark.parametrize(
    ("code", "day", "clock"),
    [
        ("General", False, False),
        ("0.00", False, False),
        ('#,##0.00_);[Red]("d"#,##0.00)', False, False),
        ("0\\d", False, False),
        ("yyyy\\-mm\\-dd", True, False),
        ("[$-3409]d\\-mmm\\-yyyy;@", True, False),
        ("mmm", True, False),
        ("h:mm AM/PM", False, True),
        ("[h]:mm:ss", False, True),
        ("mm:ss.0", False, True),
        ("m/d/yy h:mm", True, True),
    ],
)
def test_a_number_format_tells_days_and_times(code: str, day: bool, clock: bool) -> None:
    assert number_format(code) == NumberFormat(day=day, clock=clock)


@pytest.mark.parametrize(
    ("text", "code", "value"),
    [
        ("38071", "d", dt.date(2004, 3, 25)),
        ("38071", "d h", dt.datetime(2004, 3, 25)),  # noqa: DTZ001 - spreadsheets know no zone
        ("38071.5", "d", dt.datetime(2004, 3, 25, 12)),  # noqa: DTZ001
        ("0.29513888888888884", "h:mm", dt.time(7, 5)),
        ("0.99999999999", "h:mm", dt.time(23, 59, 59, 999_000)),
        ("0", "h:mm", dt.time(0)),
        ("0", "d", 0),
        ("1.5", "[h]:mm", 1.5),
        ("60", "d", 60),
        ("-1", "d", -1),
        ("99999999", "d", 99_999_999),
        ("1e300", "d", 1e300),
    ],
)
def test_a_number_is_the_day_or_time_that_its_format_shows(text: str, code: str, value: object) -> None:
    assert number_value(text, number_format(code), from_1904=False) == value


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
        b'<row r="3"><c r="A3"><v>1</v></c></row></sheetData></worksheet>'
    )
    table = read(repacked(workbook(("A", [])), sheet1_xml=sheet))
    assert [(row.row, row.values["student_id"]) for row in table.rows] == [(1_048_576, "7"), (3, 1)]
    impossible = sheet.replace(b'r="1048576"', b'r="4000000000"')
    assert code_of(repacked(workbook(("A", [])), sheet1_xml=impossible)) == "file_malformed"


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


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "'=1",
        "+639171234567",
        "-x",
        "@a",
        "''+",
        "\uff1d1+1",
        "'\uff20a",
        "0012",
        "a\nb",
        'say "x"',
        "'tis",
        "Ñ 😀",
    ],
)
def test_no_text_can_become_a_formula_and_every_text_comes_back(text: str) -> None:
    written = b"".join(csv_stream(columns=COLUMNS[:1], rows=[[text]])).decode("utf-8-sig")
    assert written.splitlines()[1].lstrip('"')[:1] not in {*"=+-@\uff1d\uff0b\uff0d\uff20\t"}
    for stream in (
        csv_stream(columns=COLUMNS[:1], rows=[[text]]),
        xlsx_stream(columns=COLUMNS[:1], rows=[[text]], sheet_name="X"),
    ):
        table = read(b"".join(stream))
        assert table.problems == []
        assert table.rows[0].values["student_id"] == text


def test_an_export_as_csv_that_was_saved_as_a_workbook_is_read_as_it_was() -> None:
    texts = ["+639171234567", "'=1", "-x", "'tis"]
    written = b"".join(csv_stream(columns=COLUMNS[:1], rows=[[text] for text in texts])).decode("utf-8-sig")
    # A spreadsheet program opens it with the apostrophes as a part of the texts.
    saved = workbook(("Sheet1", list(csv.reader(io.StringIO(written)))))
    assert [row.values["student_id"] for row in read(saved).rows] == texts


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


def test_what_a_spreadsheet_would_change_is_written_so_that_it_stays() -> None:
    instant = dt.datetime(2026, 11, 23, 23, 5, 9, 999, tzinfo=dt.UTC)
    rows: list[Sequence[Written]] = [
        ["_x0041_", instant, dt.date(1899, 3, 25), Decimal("1E+2"), "x" * 40_000],
    ]
    for stream in (
        csv_stream(columns=COLUMNS, rows=rows),
        xlsx_stream(columns=COLUMNS, rows=rows, sheet_name="'History'"),
    ):
        columns = [Column(field=str(index), title=column.title) for index, column in enumerate(COLUMNS)]
        table = spreadsheet_read(b"".join(stream), columns=columns)
        found = table.rows[0].values
        assert found["0"] == "_x0041_"
        assert time_of(found["1"]) == dt.datetime(2026, 11, 24, 7, 5, 9)  # noqa: DTZ001 - of the unit's own zone
        assert found["2"] == "1899-03-25"
        assert decimal_of(found["3"]) == 100


def test_a_template_keeps_the_zeros_of_what_is_typed_below_its_titles() -> None:
    book = openpyxl.load_workbook(io.BytesIO(b"".join(xlsx_stream(columns=COLUMNS, rows=[], sheet_name="X"))))
    sheet = book.active
    assert sheet is not None
    assert sheet.column_dimensions["A"].number_format == "@"
    assert sheet.column_dimensions["C"].number_format == "General"


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
    assert read(b"".join(answer)).rows == []


def test_whoever_cancels_is_heard_while_rows_are_read() -> None:
    def stop(done: int) -> None:
        raise ImportCancelled(done)

    with pytest.raises(ImportCancelled):
        spreadsheet_read(b"Student ID\n" + b"1\n" * 300, columns=COLUMNS, progress=stop)


_SAMPLES = {
    "csv": b'Student ID,Remarks,Birthdate\n1,"a, b",2004-03-25\n2,x,\n',
    "xlsx": workbook(
        ("Alpha", [["Student ID", "Remarks", "Birthdate"], ["1", "a", dt.date(2004, 3, 25)], ["2", "=x", 3]])
    ),
    "shared": SHARED,
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
@given(
    place=st.sampled_from(
        [
            ("xlsx", "xl/worksheets/sheet1.xml"),
            ("xlsx", "xl/workbook.xml"),
            ("xlsx", "xl/styles.xml"),
            ("xlsx", "xl/_rels/workbook.xml.rels"),
            ("shared", "xl/worksheets/sheet1.xml"),
            ("shared", "xl/Texts.bin"),
        ]
    ),
    data=st.data(),
)
def test_a_workbook_with_mangled_parts_is_a_table_or_a_refusal(place: tuple[str, str], data: st.DataObject) -> None:
    kind, part = place
    with zipfile.ZipFile(io.BytesIO(_SAMPLES[kind])) as archive:
        content = bytearray(archive.read(part))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 12))] = data.draw(
            st.sampled_from([b"", b"<", b"&x;", b'"', b"-1", b"99999999999999", b"e", b"s", b"</c>", b"\xff", b"<c>"])
        )
    key = re.sub(r"\W", "_", part.rpartition("/")[2])
    with contextlib.suppress(DomainError):
        read(repacked(_SAMPLES[kind], **{key: bytes(content)}))
