"""What the worker does with a run, tried with a small kind of import."""

import datetime as dt
import io
import time
from typing import Any

import pytest
from django.db import OperationalError, connection

from apps.accounts.models import AuditEntry, Status
from apps.cadets.models import Company
from apps.events.models import Event
from apps.imports.models import ImportFile, ImportRow, ImportRun, State
from apps.imports.services import asking, performing
from apps.imports.services.ends import LEASES
from apps.imports.tests import factories
from apps.imports.tests.factories import COMPANIES, Pausing, claimed, performed
from core.clock import now
from core.errors import Conflict
from core.leases import Claim, LeaseLost, RowHeld

pytestmark = pytest.mark.django_db(transaction=True)


def companies() -> set[str]:
    return set(Company.objects.values_list("name", flat=True))


def lease_ends() -> None:
    ImportRun.objects.update(lease_until=now() - dt.timedelta(seconds=1))


def finished_events() -> list[dict[str, Any]]:
    return [event.data for event in Event.objects.filter(type="import.finished").order_by("id")]


def test_an_import_writes_its_rows_and_what_became_of_each_and_forgets_the_file(admin):
    run = factories.run(admin.user)
    assert performed(run) == State.DONE
    assert companies() >= {"Foxtrot", "Echo"}
    assert run.counts == {"create": 2, "change": 0, "unchanged": 0, "skip": 0, "refuse": 0}
    assert (run.rows_done, run.rows_total, run.phase, run.attempt) == (2, 2, "", 1)
    assert run.finished_at is not None
    assert run.owner is run.lease_until is None
    assert [(row.number, row.row, row.fate, row.label) for row in ImportRow.objects.order_by("number")] == [
        (1, 2, "create", "Foxtrot"),
        (2, 3, "create", "Echo"),
    ]
    assert ImportRow.objects.get(number=1).changes == {"name": {"before": None, "after": "Foxtrot"}}
    assert not ImportFile.objects.exists()
    entry = AuditEntry.objects.get(action="import.apply")
    assert (entry.actor_id, entry.target) == (admin.user.pk, f"import:{run.pk}")
    assert (entry.after or {})["counts"]["create"] == 2
    event = Event.objects.get(type="import.finished")
    assert event.recipients == [f"user:{admin.user.pk}"]
    assert event.data == {"import_id": run.pk, "state": "done", "counts": run.counts}


def test_a_dry_run_shows_what_would_become_of_each_row_and_writes_nothing(admin):
    run = factories.run(admin.user, dry_run=True)
    before = companies()
    assert performed(run) == State.READY
    assert companies() == before
    assert run.counts["create"] == 2
    assert ImportRow.objects.count() == 2
    assert ImportFile.objects.exists()
    assert AuditEntry.objects.filter(action="import.check").exists()
    assert finished_events()[-1]["state"] == "ready"


def test_one_refused_row_refuses_all_and_the_others_are_shown_as_they_would_have_been(admin):
    run = factories.run(admin.user, b"Name\nFoxtrot\nOdd!\n")
    before = companies()
    assert performed(run) == State.REFUSED
    assert companies() == before
    assert (run.problem_code, run.problem) == (
        "rows_refused",
        "1 row of 2 needs correction, so nothing was saved. Correct the file and send it again.",
    )
    assert ImportRow.objects.get(fate="refuse").problems == [
        {"sheet": "", "row": 3, "column": "A", "field": "name", "code": "name_odd", "detail": "Write a name."}
    ]
    assert not ImportFile.objects.exists()
    assert (AuditEntry.objects.get(action="import.refuse").after or {})["code"] == "rows_refused"


def workbook(*rows: list[Any]) -> bytes:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Companies")
    for row in rows:
        sheet.append(row)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def test_a_cell_that_cannot_be_read_refuses_its_row_with_one_problem_for_that_cell(admin):
    # To the importer the name of the second row is blank, which it says as well; that would only confuse.
    run = factories.run(admin.user, workbook(["Name", "Motto"], ["Foxtrot", "On"], ["=A1", "On"], ["Odd!", "=B2"]))
    before = companies()
    assert performed(run) == State.REFUSED
    assert companies() == before
    refused = {row.row: [problem["code"] for problem in row.problems] for row in ImportRow.objects.exclude(problems=[])}
    assert refused == {3: ["formula"], 4: ["name_odd", "formula"]}, "in the order of the columns"
    assert ImportRow.objects.get(row=2).fate == "create"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"Motto\nOnwards\n", "no_header"),
        (b"Name\n", "no_rows"),
        (b"Name\n\n,,\n", "no_rows"),
        (b"PK\x03\x04 and then nothing of a workbook", "file_malformed"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused_with_the_reason(admin, content, code):
    run = factories.run(admin.user, content)
    assert performed(run) == State.REFUSED
    assert run.problem_code == code
    assert run.problem
    assert run.counts == {}
    assert not ImportFile.objects.exists()


def test_what_the_importer_refuses_as_a_whole_is_an_end_in_its_words(admin):
    run = factories.run(admin.user)
    closed = Conflict("The term is closed.", code="term_closed")
    assert performed(run, factories.failing(closed)) == State.REFUSED
    assert (run.problem_code, run.problem) == ("term_closed", "The term is closed.")
    assert "Foxtrot" not in companies()


def test_an_account_that_has_lost_its_role_or_was_archived_meanwhile_imports_nothing(admin, instructor):
    demoted = factories.run(instructor.user)
    assert performed(demoted) == State.REFUSED
    assert demoted.problem_code == "permission_denied"
    archived = factories.run(admin.user)
    type(admin.user).objects.filter(pk=admin.user.pk).update(status=Status.PENDING)
    assert performed(archived) == State.REFUSED
    assert "can no longer be used" in archived.problem
    assert "Foxtrot" not in companies()


def test_a_run_is_done_once_however_often_its_message_comes(admin):
    run = factories.run(admin.user)
    performed(run)
    assert performing.run_claim(run_id=run.pk) is None
    assert performing.run_claim(run_id=run.pk + 1) is None
    assert len(finished_events()) == 1


def test_of_two_workers_one_gets_the_run_and_the_other_is_told_how_long_to_wait(admin):
    run = factories.run(admin.user)
    claimed(run)
    with pytest.raises(RowHeld) as held:
        performing.run_claim(run_id=run.pk)
    assert 25 < held.value.seconds <= 31


def test_a_lease_that_ends_just_when_somebody_asks_is_asked_for_again_and_not_forgotten(admin):
    run = factories.run(admin.user)
    claimed(run)

    def ends_after_the_claim(execute: Any, sql: str, *rest: Any) -> Any:
        answer = execute(sql, *rest)
        if sql.startswith("UPDATE"):
            factories.in_thread(lease_ends)()
        return answer

    with connection.execute_wrapper(ends_after_the_claim), pytest.raises(RowHeld) as held:
        performing.run_claim(run_id=run.pk)
    assert held.value.seconds == 1
    assert performed(run) == State.DONE


def test_many_workers_at_once_and_one_claim(admin):
    run = factories.run(admin.user)

    def claim() -> Any:
        return performing.run_claim(run_id=run.pk)

    found = [end() for end in [factories.in_thread(claim) for _ in range(6)]]
    assert sum(isinstance(one, Claim) for one in found) == 1
    assert sum(isinstance(one, RowHeld) for one in found) == 5


def test_a_worker_that_was_taken_over_saves_nothing(admin):
    run = factories.run(admin.user)
    first = claimed(run)
    lease_ends()
    second = claimed(run)
    with pytest.raises(LeaseLost):
        performing.run_perform(claim=first, kinds=COMPANIES)
    assert "Foxtrot" not in companies()
    assert performing.run_perform(claim=second, kinds=COMPANIES) == State.DONE
    assert ImportRun.objects.get().attempt == 2


def test_a_worker_that_loses_its_run_while_it_writes_takes_everything_back(admin):
    run, pausing = factories.run(admin.user), Pausing()
    first = claimed(run)
    end = factories.in_thread(lambda: performing.run_perform(claim=first, kinds=pausing.kinds))
    assert pausing.written.wait(20)
    lease_ends()
    second = claimed(run)
    pausing.go_on.set()
    assert isinstance(end(), LeaseLost)
    assert "Foxtrot" not in companies()
    assert not ImportRow.objects.exists()
    assert performing.run_perform(claim=second, kinds=COMPANIES) == State.DONE
    assert len(finished_events()) == 1


def test_after_three_attempts_the_run_is_given_up_in_words(admin):
    run = factories.run(admin.user)
    for attempt in (1, 2, 3):
        assert claimed(run).attempt == attempt
        lease_ends()
    assert performing.run_claim(run_id=run.pk) is None
    run.refresh_from_db()
    assert (run.state, run.problem_code) == (State.FAILED, "attempts_exhausted")
    assert "None of 3 attempts" in run.problem
    assert not ImportFile.objects.exists()
    assert finished_events() == [{"import_id": run.pk, "state": "failed", "counts": {}}]


def test_when_the_database_goes_away_nothing_is_saved_and_the_file_stays_for_another_attempt(admin):
    run = factories.run(admin.user)
    claim = claimed(run)
    with pytest.raises(OperationalError):
        performing.run_perform(claim=claim, kinds=factories.failing(OperationalError("gone")))
    assert "Foxtrot" not in companies()
    LEASES.release(claim)
    assert performed(run) == State.DONE
    assert run.attempt == 2


def test_one_that_runs_stops_while_it_writes_and_takes_everything_back(admin):
    run, pausing = factories.run(admin.user), Pausing()
    claim = claimed(run)
    end = factories.in_thread(lambda: performing.run_perform(claim=claim, kinds=pausing.kinds))
    assert pausing.written.wait(20)
    asked = asking.import_cancel(actor=admin.principal, run_id=run.pk)
    assert (asked.state, asked.cancel_requested_at is not None) == (State.RUNNING, True)
    again = asking.import_cancel(actor=admin.principal, run_id=run.pk)
    assert again.cancel_requested_at == asked.cancel_requested_at
    pausing.go_on.set()
    assert end() == State.CANCELLED
    run.refresh_from_db()
    assert (run.state, run.problem_code, run.counts) == (State.CANCELLED, "cancelled", {})
    assert "Foxtrot" not in companies()
    assert not ImportRow.objects.exists()
    assert not ImportFile.objects.exists()
    assert AuditEntry.objects.filter(action="import.ask_cancel").count() == 1
    assert [event["state"] for event in finished_events()] == ["cancelled"]


def test_an_importer_that_goes_on_for_long_is_stopped_at_its_next_word(admin):
    run = factories.run(admin.user, b"Name\n" + b"".join(b"Company %d\n" % number for number in range(2000)))

    def slow(run: Any, actor: Any, rows: Any, dry_run: bool, progress: Any) -> Any:
        for number in range(400):
            time.sleep(0.05)
            progress(number)
        raise AssertionError("nobody has stopped it")

    kinds = {"cadets": type(COMPANIES["cadets"])(columns=factories.COLUMNS, import_rows=slow)}
    claim = claimed(run)
    end = factories.in_thread(lambda: performing.run_perform(claim=claim, kinds=kinds))
    time.sleep(0.3)
    asking.import_cancel(actor=admin.principal, run_id=run.pk)
    at = time.monotonic()
    assert end() == State.CANCELLED
    assert time.monotonic() - at < 5


def test_progress_is_told_while_the_transaction_is_open_and_the_lease_is_extended(admin):
    run, pausing = factories.run(admin.user), Pausing()
    claim = claimed(run)
    end = factories.in_thread(lambda: performing.run_perform(claim=claim, kinds=pausing.kinds))
    assert pausing.written.wait(20)
    lease = ImportRun.objects.get().lease_until
    time.sleep(2.5)
    seen = ImportRun.objects.get()
    assert (seen.phase, seen.rows_done, seen.rows_total) == ("writing", 2, 2)
    assert seen.lease_until is not None
    assert lease is not None
    assert seen.lease_until > lease
    assert "Foxtrot" not in companies()
    told = [event.data for event in Event.objects.filter(type="import.progress")]
    assert told == [{"import_id": run.pk, "phase": "writing", "done": 2, "total": 2}]
    pausing.go_on.set()
    assert end() == State.DONE
    assert Event.objects.filter(type="import.progress").count() == 1


def test_a_cancelled_run_whose_worker_died_ends_with_the_next_one(admin):
    run = factories.run(admin.user)
    claimed(run)
    asking.import_cancel(actor=admin.principal, run_id=run.pk)
    lease_ends()
    assert performed(run) == State.CANCELLED
    assert "Foxtrot" not in companies()


def test_what_a_preview_holds_can_be_kept_whatever_stands_in_the_file(admin):
    run = factories.run(admin.user, ("Name\n" + "\N{BALLOT BOX}" * 3000 + "\n" + "a\x00b!\n").encode(), dry_run=True)
    assert performed(run) in {State.READY, State.REFUSED}
    assert max(len(row.label) for row in ImportRow.objects.all()) <= 255
