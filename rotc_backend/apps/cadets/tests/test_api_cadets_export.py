import datetime as dt
import io
import time
import tracemalloc
from typing import Any

import openpyxl
import pytest
from django.db import transaction

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets import rules
from apps.cadets.models import Cadet, Company, Enrollment, Term
from apps.cadets.selectors import cadets_sheet
from apps.cadets.services.imports import cadets_import
from apps.cadets.tests import factories, sheets, tables
from apps.cadets.tests.expectations import fields_of, refused
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from core.clock import now
from core.spreadsheets.reading import spreadsheet_read
from core.spreadsheets.writing import csv_stream, xlsx_stream
from core.tables import Row, RowFate

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/cadets/export"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TITLES = (
    "Student ID,Last name,First name,Middle name,Suffix,E-mail,Contact number,Address,Gender,Birthdate,Religion,Course,"
    "Year level,Company,Platoon,Battalion,Position,Rank,MS level,Status,Enrolled on"
)


def lines(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return answer.getvalue().decode("utf-8-sig").splitlines()


def numbers(answer: Any) -> list[str]:
    return [line.split(",")[0] for line in lines(answer)[1:]]


def brought(rows: list[Row], *, actor: Person, term: Term, on_duplicate: str = "update") -> list[RowFate]:
    with transaction.atomic():
        return cadets_import(
            actor=actor.principal,
            rows=rows,
            term_id=term.pk,
            on_duplicate=on_duplicate,
            dry_run=False,
            progress=tables.heard,
        )


# --- What is taken ----------------------------------------------------------------------------------------------------


def test_administrators_take_the_cadets_as_csv(admin: Person, liza: CadetPerson, term: Term) -> None:
    details = {"email": "liza@example.edu.ph", "address": "Maigo, Lanao del Norte", "contact_number": "+63 917"}
    Cadet.objects.update(**details, gender="female", birthdate=dt.date(2006, 3, 14), year_level=2, course="=BSA")
    outside = factories.cadet(last_name="Zapanta", first_name="Ana")
    answer = admin.client.get(PATH)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="cadets-{factories.today()}.csv"'
    assert answer["Cache-Control"] == "no-store"
    reached = 'liza@example.edu.ph,\'+63 917,"Maigo, Lanao del Norte"'
    placed = f"Alpha,1st Platoon,,,CDT,MS1,ongoing,{term.starts_on}"
    assert lines(answer) == [
        TITLES,
        f"{liza.cadet.student_id},Macaraeg,Liza,,,{reached},female,2006-03-14,,'=BSA,2,{placed}",
        f"{outside.student_id},Zapanta,Ana,,,,,,,,,,,,,,,,,,",
    ]


def test_a_workbook_holds_texts_dates_and_numbers(admin: Person, liza: CadetPerson, term: Term) -> None:
    Cadet.objects.update(student_id="007", birthdate=dt.date(2006, 3, 14), year_level=2)
    answer = admin.client.get(PATH, {"file_format": "xlsx"}, headers={"Accept": XLSX})
    assert answer["Content-Type"] == XLSX
    assert answer["Content-Disposition"].endswith('.xlsx"')
    (sheet,) = openpyxl.load_workbook(io.BytesIO(answer.getvalue())).worksheets
    titles, row = sheet.iter_rows(values_only=True)
    assert ",".join(map(str, titles)) == TITLES
    found = dict(zip(titles, row, strict=True))
    assert (found["Student ID"], found["Year level"], found["Middle name"]) == ("007", 2, None)
    assert found["Birthdate"] == dt.datetime(2006, 3, 14)  # noqa: DTZ001 - spreadsheets know no zone


def test_the_sheet_is_narrowed_and_sorted_as_the_list(
    admin: Person, liza: CadetPerson, omar: CadetPerson, bravo: Company, term: Term
) -> None:
    Enrollment.objects.filter(pk=omar.enrollment.pk).update(company=bravo, status="dropped")
    outside = factories.cadet(last_name="Zapanta")
    gone = factories.cadet(last_name="Abad", archived_at=now())
    ids = {who: cadet.student_id for who, cadet in (("liza", liza.cadet), ("omar", omar.cadet), ("out", outside))}
    narrowed: list[tuple[dict[str, Any], list[str]]] = [
        ({}, [ids["omar"], ids["liza"], ids["out"]]),
        ({"sort": "-name"}, [ids["out"], ids["liza"], ids["omar"]]),
        ({"term": term.pk}, [ids["omar"], ids["liza"]]),
        ({"company": bravo.pk}, [ids["omar"]]),
        ({"status": "dropped"}, [ids["omar"]]),
        ({"level": "MS2"}, []),
        ({"search": "macara"}, [ids["liza"]]),
        ({"archived": "true"}, [gone.student_id]),
        ({"term": 2**62}, []),
    ]
    for query, expected in narrowed:
        assert numbers(admin.client.get(PATH, query)) == expected
        listed = admin.client.get("/api/v1/cadets", query).json()["results"]
        assert [row["student_id"] for row in listed] == expected


def test_a_download_is_audited_without_its_rows(admin: Person, liza: CadetPerson, term: Term) -> None:
    query: dict[str, Any] = {"file_format": "xlsx", "term": term.pk, "search": "liza"}
    admin.client.get(PATH, query)
    entry = AuditEntry.objects.get(action="cadet.export")
    assert (entry.actor_id, entry.target, entry.before) == (admin.user.pk, f"term:{term.pk}", None)
    filters = {"term": term.pk, "search": "liza", "archived": False, "sort": "name"}
    assert entry.after == {"file_format": "xlsx", "filters": filters}
    admin.client.get(PATH)
    assert AuditEntry.objects.filter(action="cadet.export", target="cadets").count() == 1


def test_who_may_not_take_it_leaves_no_trace(admin: Person, instructor: StaffPerson, liza: CadetPerson) -> None:
    for person in (instructor, liza):
        assert refused(person.client.get(PATH)) == (403, "permission_denied")
    for query, field in (({"file_format": "pdf"}, "file_format"), ({"company": "x"}, "company"), ({"a": 1}, "a")):
        assert list(fields_of(admin.client.get(PATH, query))) == [field]
    assert not AuditEntry.objects.filter(action="cadet.export").exists()


def test_nothing_of_the_database_is_held_between_two_batches(term: Term) -> None:
    Cadet.objects.bulk_create(Cadet(student_id=f"A-{n:04}", last_name="Cruz", first_name=f"{n:04}") for n in range(501))
    with transaction.atomic():
        rows = cadets_sheet()
    # Rows made only after the first one was taken come as they are now: each batch reads for itself.
    assert next(rows)[1] == "Cruz"
    Cadet.objects.filter(student_id="A-0500").update(last_name="Reyes")
    assert [row[1] for row in rows][-1] == "Reyes"


# --- There and back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_duplicate", ["update", "skip"])
@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_importing_an_export_changes_nothing(admin: Person, term: Term, file_format: str, on_duplicate: str) -> None:
    sheets.unit_fill(60, term=term)
    factories.cadet(last_name="Zapanta")
    factories.enroll(factories.cadet(), company=None, platoon=None)
    factories.enrolled(archived_at=now())
    Company.objects.filter(name="Ñandu").update(archived_at=now())
    for archived, number in ((False, 62), (True, 1)):
        query: dict[str, Any] = {"file_format": file_format, "archived": archived}
        answer = admin.client.get(PATH, query)
        rows = tables.read(answer, rules.CADET_COLUMNS)
        assert len(rows) == number
        before = tables.footprint(Cadet, rules.roster_version()), list(sheets.unit_stored())
        done = brought(rows, actor=admin, term=term, on_duplicate=on_duplicate)
        assert set(tables.fates(done)) == {"unchanged"}, tables.problems(done)
        assert (tables.footprint(Cadet, rules.roster_version()), list(sheets.unit_stored())) == before


@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_an_export_makes_the_same_cadets_anew_where_there_are_none(admin: Person, term: Term, file_format: str) -> None:
    sheets.unit_fill(300, term=term)
    factories.cadet(last_name="Zapanta")
    answer = admin.client.get(PATH, {"file_format": file_format})
    rows, before = tables.read(answer, rules.CADET_COLUMNS), list(sheets.unit_stored())
    assert all(all(row.values()) for row, place in before if place for row in [_asked_for(row, place)])
    Enrollment.objects.all().delete()
    Cadet.objects.all().delete()
    done = brought(rows, actor=admin, term=term)
    assert tables.fates(done) == ["create"] * 301, tables.problems(done)
    assert list(sheets.unit_stored()) == before


def _asked_for(row: dict[str, Any], place: dict[str, Any]) -> dict[str, Any]:
    """What stands under the titles; it has to be filled, or nothing is proven."""
    both = {**row, **place, "company": place["company_id"], "platoon": place["platoon_id"]}
    return {column.field: both[column.field] for column in rules.CADET_SHEET_COLUMNS}


@pytest.mark.long
@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_three_thousand_cadets_go_there_and_back_in_time_and_in_bounds(
    admin: Person, term: Term, file_format: str
) -> None:
    sheets.unit_fill(3000, term=term)
    before = list(sheets.unit_stored())
    content = admin.client.get(PATH, {"file_format": file_format}).getvalue()
    Enrollment.objects.all().delete()
    Cadet.objects.all().delete()
    tracemalloc.start()
    started = time.perf_counter()
    done = brought(list(spreadsheet_read(content, columns=rules.CADET_COLUMNS).rows), actor=admin, term=term)
    seconds, (_, peak) = time.perf_counter() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert set(tables.fates(done)) == {"create"}
    assert list(sheets.unit_stored()) == before
    again = brought(list(spreadsheet_read(content, columns=rules.CADET_COLUMNS).rows), actor=admin, term=term)
    assert set(tables.fates(again)) == {"unchanged"}
    sheet: Any = {"columns": rules.CADET_SHEET_COLUMNS, "rows": cadets_sheet()}
    stream = csv_stream(**sheet) if file_format == "csv" else xlsx_stream(**sheet, sheet_name="Cadets")
    assert len(b"".join(stream)) == len(content)
    assert (seconds < 30, peak < 100 * 2**20) == (True, True), (seconds, peak)
