"""Each operation on imports: who may, what comes back, what is refused."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import AuditEntry
from apps.cadets.tests import factories as cadets
from apps.events.models import Event
from apps.imports import rules
from apps.imports.models import Fate, ImportFile, ImportRow, ImportRun, State
from apps.imports.services.kinds import KINDS
from apps.imports.tests import factories
from apps.training.tests import factories as training
from core.clock import now
from core.spreadsheets.reading import LARGEST_FILE, spreadsheet_read

pytestmark = pytest.mark.django_db
IMPORTS = "/api/v1/imports"


def send(person: Any, content: bytes = factories.NAMES, name: str = "companies.csv", **fields: Any) -> Any:
    given = {"kind": "cadets", "file": factories.upload(content, name), **fields}
    return person.client.post(IMPORTS, given, format="multipart")


def problems(answer: Any) -> dict[str, str]:
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


# --- Sending ----------------------------------------------------------------------------------------------------------


def test_a_file_is_taken_for_the_worker_and_only_checked_unless_told(admin, term):
    answer = send(admin)
    assert answer.status_code == 202, answer.content
    run = ImportRun.objects.get()
    assert answer["Location"] == f"{IMPORTS}/{run.pk}"
    body = answer.json()
    assert {name: body[name] for name in ("id", "kind", "state", "dry_run", "on_duplicate", "term_id")} == {
        "id": run.pk,
        "kind": "cadets",
        "state": "queued",
        "dry_run": True,
        "on_duplicate": "update",
        "term_id": term.pk,
    }
    assert (body["counts"], body["rows_total"], body["problem"], body["expires_at"]) == (None, None, None, None)
    assert body["created_by"] == {"id": admin.user.pk, "username": "Amina"}
    assert bytes(ImportFile.objects.get().content) == factories.NAMES
    entry = AuditEntry.objects.get(action="import.create")
    assert entry.after is not None
    assert (entry.target, entry.after["file_name"], entry.after["file_bytes"]) == (
        f"import:{run.pk}",
        "companies.csv",
        18,
    )
    assert "Foxtrot" not in str(entry.after)


def test_once_it_is_committed_the_worker_is_asked_once(admin, term, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        send(admin)
    assert len(callbacks) == 1


def test_it_can_be_applied_at_once_and_leave_what_exists(admin, term):
    send(admin, dry_run="false", on_duplicate="skip")
    run = ImportRun.objects.get()
    assert (run.dry_run, run.on_duplicate) == (False, "skip")


def test_scores_go_into_the_term_that_is_named_and_attendance_to_its_day(instructor, term):
    former = cadets.former_term()
    assert send(instructor, kind="scores", term_id=former.pk).json()["term_id"] == former.pk
    day = training.day()
    body = send(instructor, kind="attendance", training_day_id=day.pk).json()
    assert (body["term_id"], body["training_day_id"]) == (None, day.pk)


def test_staff_may_not_import_cadets_and_cadets_nothing(instructor, liza):
    answer = send(instructor)
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert send(liza, kind="scores").status_code == 403
    assert not ImportRun.objects.exists()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"kind": "grades"}, {"kind": "invalid_choice"}),
        ({"kind": "attendance"}, {"training_day_id": "required"}),
        ({"kind": "attendance", "training_day_id": 999}, {"training_day_id": "unknown_training_day"}),
        ({"kind": "attendance", "training_day_id": 2**63}, {"training_day_id": "max_value"}),
        ({"kind": "attendance", "term_id": 1, "training_day_id": 1}, {"term_id": "not_for_this_kind"}),
        ({"training_day_id": 1}, {"training_day_id": "not_for_this_kind"}),
        ({"term_id": 999}, {"term_id": "unknown_term"}),
        ({"on_duplicate": "replace"}, {"on_duplicate": "invalid_choice"}),
        ({"dry_run": "perhaps"}, {"dry_run": "invalid"}),
        ({"dryrun": "true"}, {"dryrun": "unknown_field"}),
    ],
)
def test_fields_that_cannot_be_meant_are_refused(admin, term, fields, expected):
    answer = send(admin, **fields)
    assert (answer.status_code, problems(answer)) == (400, expected)
    assert not ImportRun.objects.exists()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"%PDF-1.7 and so on", "file_type"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 an old workbook", "file_type"),
        (b"<html><table>", "file_type"),
        (b"PK\x03\x04 no archive", "file_malformed"),
    ],
)
def test_what_can_never_be_a_table_is_refused_at_once(admin, term, content, code):
    answer = send(admin, content)
    assert (answer.status_code, problems(answer)) == (400, {"file": code})
    assert not ImportRun.objects.exists()


def test_a_file_beyond_ten_megabytes_is_refused(admin, term):
    assert send(admin, b"Name\n" + b"x" * LARGEST_FILE).status_code == 413
    assert not ImportRun.objects.exists()


def test_a_form_that_is_far_too_long_is_refused_before_it_is_read(admin, term):
    answer = admin.client.generic(
        "POST",
        IMPORTS,
        b"--x\r\n",
        content_type="multipart/form-data; boundary=x",
        CONTENT_LENGTH=str(LARGEST_FILE + 100_000),
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "body", [b"", b"--y\r\n\r\n", b"\x00\xff" * 50, b"--x\r\nContent-Disposition: form-data\r\n\r\n"]
)
def test_a_form_that_cannot_be_taken_apart_is_a_problem_not_an_error(admin, term, body):
    answer = admin.client.generic("POST", IMPORTS, body, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 400
    assert admin.client.post(IMPORTS, {"kind": "cadets"}, format="json").status_code == 415


def test_names_of_files_are_kept_as_they_can_be_shown(admin, term):
    body = send(admin, name="../../etc/Alpha\x00 \u202ecompany.csv").json()
    assert body["file_name"].endswith("company.csv")
    assert "/" not in body["file_name"]
    assert body["file_name"].isprintable()
    assert len(send(admin, name="x" * 240 + ".csv").json()["file_name"]) == 120


def test_without_a_current_term_the_term_has_to_be_named(admin):
    answer = send(admin)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_current_term")


def test_one_person_cannot_pile_up_files(admin, instructor, term):
    for _ in range(rules.MOST_UNFINISHED):
        factories.run(admin.user)
    answer = send(admin)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_imports")
    assert send(instructor, kind="scores").status_code == 202
    ImportRun.objects.filter(created_by=admin.user).update(state=State.DONE)
    assert send(admin).status_code == 202


# --- Looking ----------------------------------------------------------------------------------------------------------


def test_administrators_see_all_imports_and_staff_their_own(admin, instructor, colleague, liza, term):
    of_admin = factories.run(admin.user)
    own = factories.run(instructor.user, kind="scores")

    def seen(person: Any, query: str = "") -> list[int]:
        return [run["id"] for run in person.client.get(IMPORTS + query).json()["results"]]

    assert seen(admin) == [own.pk, of_admin.pk]
    assert seen(admin, "?kind=scores") == [own.pk]
    assert seen(admin, "?state=ready") == []
    assert seen(instructor) == [own.pk]
    assert seen(colleague) == []
    assert liza.client.get(IMPORTS).status_code == 403
    for path in ("", "/rows"):
        assert instructor.client.get(f"{IMPORTS}/{own.pk}{path}").status_code == 200
        assert admin.client.get(f"{IMPORTS}/{own.pk}{path}").status_code == 200
        assert colleague.client.get(f"{IMPORTS}/{own.pk}{path}").status_code == 404
        assert instructor.client.get(f"{IMPORTS}/{of_admin.pk}{path}").status_code == 404
        assert liza.client.get(f"{IMPORTS}/{own.pk}{path}").status_code == 403
    for path in ("apply", "cancel"):
        assert colleague.client.post(f"{IMPORTS}/{own.pk}/{path}").status_code == 404
        assert liza.client.post(f"{IMPORTS}/{own.pk}/{path}").status_code == 403


def test_an_administrator_who_became_staff_no_longer_sees_the_imports_of_cadets(instructor, term):
    former = factories.run(instructor.user, kind="cadets")
    assert instructor.client.get(f"{IMPORTS}/{former.pk}").status_code == 404


def test_filters_that_do_not_exist_are_refused(admin):
    for query in ("?kind=x", "?state=x", "?status=ready", "?page=0"):
        assert admin.client.get(IMPORTS + query).status_code == 400
    assert admin.client.get(f"{IMPORTS}/{2**63}").status_code == 404


def refused_row(run: ImportRun, number: int) -> ImportRow:
    problem = {
        "sheet": "S",
        "row": number + 1,
        "column": "B",
        "field": "name",
        "code": "odd",
        "detail": "Write a name.",
    }
    return ImportRow(run=run, number=number, sheet="S", row=number + 1, fate=Fate.REFUSE, problems=[problem])


def test_rows_come_in_the_order_of_the_file_and_by_fate(admin):
    run = factories.run(admin.user)
    changes = {"name": {"before": None, "after": "Foxtrot"}}
    made = [ImportRow(run=run, number=n, sheet="S", row=n + 1, fate=Fate.CREATE, changes=changes) for n in (3, 1)]
    ImportRow.objects.bulk_create([*made, refused_row(run, 2)])
    url = f"{IMPORTS}/{run.pk}/rows"
    assert [row["number"] for row in admin.client.get(url).json()["results"]] == [1, 2, 3]
    page = admin.client.get(f"{url}?fate=refuse").json()
    assert page["count"] == 1
    assert page["results"] == [
        {
            "number": 2,
            "sheet": "S",
            "row": 3,
            "fate": "refuse",
            "label": "",
            "changes": {},
            "problems": [
                {"sheet": "S", "row": 3, "column": "B", "field": "name", "code": "odd", "detail": "Write a name."}
            ],
        }
    ]
    assert admin.client.get(f"{url}?fate=x").status_code == 400


def test_lists_cost_the_same_however_long_they_are(admin):
    def queries(url: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin.client.get(url).status_code == 200
        return len(captured)

    run = factories.run(admin.user)
    url = f"{IMPORTS}/{run.pk}/rows"
    ImportRow.objects.bulk_create([refused_row(run, 1)])
    admin.client.get(IMPORTS)
    few = queries(IMPORTS), queries(url)
    ImportRow.objects.bulk_create([refused_row(run, number) for number in range(2, 40)])
    for _ in range(10):
        factories.run(admin.user)
    assert (queries(IMPORTS), queries(url)) == few
    assert max(few) <= 4


# --- Applying and cancelling ------------------------------------------------------------------------------------------


def ready(person: Any, *, hours_ago: float = 1.0, **fields: Any) -> ImportRun:
    run = factories.run(person.user, dry_run=True, **fields)
    ImportRun.objects.filter(pk=run.pk).update(
        state=State.READY, finished_at=now() - dt.timedelta(hours=hours_ago), counts={"create": 2}, attempt=2
    )
    return run


def test_what_was_checked_is_applied_by_the_worker(admin, django_capture_on_commit_callbacks):
    run = ready(admin)
    expires = admin.client.get(f"{IMPORTS}/{run.pk}").json()["expires_at"]
    assert expires is not None
    with django_capture_on_commit_callbacks() as callbacks:
        answer = admin.client.post(f"{IMPORTS}/{run.pk}/apply")
    assert answer.status_code == 202
    assert len(callbacks) == 1
    body = answer.json()
    assert (body["state"], body["dry_run"], body["counts"], body["expires_at"]) == ("queued", False, None, None)
    run.refresh_from_db()
    assert (run.attempt, run.asked_by_id) == (0, admin.user.pk)
    entry = AuditEntry.objects.get(action="import.confirm")
    assert (entry.actor_id, entry.target) == (admin.user.pk, f"import:{run.pk}")


def test_pressed_twice_it_is_queued_once(admin, django_capture_on_commit_callbacks):
    run = ready(admin)
    with django_capture_on_commit_callbacks() as callbacks:
        answers = [admin.client.post(f"{IMPORTS}/{run.pk}/apply") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 409]
    assert answers[1].json()["code"] == "import_not_ready"
    assert len(callbacks) == 1
    assert AuditEntry.objects.filter(action="import.confirm").count() == 1


def test_whoever_applies_anothers_import_is_the_one_it_is_done_for(admin, instructor):
    run = ready(instructor, kind="scores")
    assert admin.client.post(f"{IMPORTS}/{run.pk}/apply").status_code == 202
    run.refresh_from_db()
    assert (run.created_by_id, run.asked_by_id) == (instructor.user.pk, admin.user.pk)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("queued", "import_not_ready"),
        ("running", "import_not_ready"),
        ("done", "import_ended"),
        ("refused", "import_ended"),
        ("cancelled", "import_ended"),
        ("failed", "import_ended"),
    ],
)
def test_only_what_is_ready_can_be_applied(admin, state, code):
    run = factories.run(admin.user)
    ImportRun.objects.update(state=state)
    answer = admin.client.post(f"{IMPORTS}/{run.pk}/apply")
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert ImportRun.objects.get().state == state


def test_a_preview_of_yesterday_can_no_longer_be_applied(admin):
    run = ready(admin, hours_ago=24.1)
    answer = admin.client.post(f"{IMPORTS}/{run.pk}/apply")
    assert (answer.status_code, answer.json()["code"]) == (409, "import_expired")


@pytest.mark.parametrize("state", [State.QUEUED, State.READY])
def test_what_does_not_run_is_cancelled_at_once_and_its_file_goes(admin, state):
    run = factories.run(admin.user)
    ImportRun.objects.update(state=state)
    answer = admin.client.post(f"{IMPORTS}/{run.pk}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert answer.json()["problem"]["code"] == "cancelled"
    assert not ImportFile.objects.exists()
    assert AuditEntry.objects.get(action="import.cancel").actor_id == admin.user.pk
    assert Event.objects.get(type="import.finished").data["state"] == "cancelled"


def test_what_runs_is_asked_to_stop(admin):
    run = factories.run(admin.user)
    factories.claimed(run)
    answer = admin.client.post(f"{IMPORTS}/{run.pk}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    assert answer.json()["cancel_requested_at"] is not None
    assert admin.client.post(f"{IMPORTS}/{run.pk}/cancel").status_code == 202
    assert AuditEntry.objects.filter(action="import.ask_cancel").count() == 1
    assert ImportFile.objects.exists()


def test_what_a_dead_worker_left_is_cancelled_at_once(admin):
    run = factories.run(admin.user)
    factories.claimed(run)
    ImportRun.objects.update(lease_until=now() - dt.timedelta(seconds=1))
    assert admin.client.post(f"{IMPORTS}/{run.pk}/cancel").status_code == 200


@pytest.mark.parametrize("state", [State.DONE, State.REFUSED, State.CANCELLED, State.FAILED])
def test_what_has_ended_cannot_be_cancelled(admin, state):
    run = factories.run(admin.user)
    ImportRun.objects.update(state=state)
    answer = admin.client.post(f"{IMPORTS}/{run.pk}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "import_ended")
    assert not AuditEntry.objects.filter(action__startswith="import.").exists()


# --- Templates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", rules.KINDS)
@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_a_template_has_the_titles_and_no_row_that_would_be_imported(instructor, kind, file_format):
    answer = instructor.client.get(f"/api/v1/import-templates/{kind}?file_format={file_format}")
    assert answer.status_code == 200
    assert f"{kind}-template.{file_format}" in answer["Content-Disposition"]
    content = b"".join(answer.streaming_content)
    columns = KINDS[kind].columns
    table = spreadsheet_read(content, columns=columns)
    assert (list(table.rows), list(table.problems)) == ([], [])
    if file_format == "csv":
        text = content.decode("utf-8-sig")
        assert all(column.title in text.splitlines()[0] for column in columns if column.imported)
        assert "Required:" in text


def test_templates_are_for_the_staff_and_of_known_kinds(admin, liza):
    assert liza.client.get("/api/v1/import-templates/scores").status_code == 403
    assert admin.client.get("/api/v1/import-templates/grades").status_code == 404
    assert admin.client.get("/api/v1/import-templates/scores?file_format=pdf").status_code == 400
