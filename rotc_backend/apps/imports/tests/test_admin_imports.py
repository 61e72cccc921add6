"""Imports in the admin site: send a file, look at what becomes of it, apply or cancel it."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import AuditEntry
from apps.imports.models import Fate, ImportFile, ImportRow, ImportRun, State
from apps.imports.tests import factories
from apps.training.tests import factories as training
from core.clock import now

pytestmark = pytest.mark.django_db
ADD = "/admin/imports/importrun/add/"


@pytest.fixture
def site(admin: Any) -> Client:
    client = Client()
    client.force_login(admin.user)
    return client


def page_of(run: ImportRun) -> str:
    return reverse("admin:imports_importrun_change", args=[run.pk])


def checked(sender: Any, *, rows: int = 3, **fields: Any) -> ImportRun:
    run = factories.run(sender.user, dry_run=True)
    made = [
        ImportRow(run=run, number=n, row=n + 1, fate=Fate.CREATE, label=f"Company {n}", changes={
            "name": {"before": None, "after": f"Company {n}"}
        })
        for n in range(1, rows + 1)
    ]  # fmt: skip
    problem = {
        "sheet": "", "row": rows + 2, "column": "A", "field": "name", "code": "odd", "detail": "Write <a> name."
    }  # fmt: skip
    made.append(ImportRow(run=run, number=rows + 1, row=rows + 2, fate=Fate.REFUSE, label="Odd!", problems=[problem]))
    ImportRow.objects.bulk_create(made)
    counts = {"create": rows, "change": 0, "unchanged": 0, "skip": 0, "refuse": 1}
    given = {"state": State.READY, "finished_at": now(), "counts": counts, "rows_total": rows + 1, **fields}
    ImportRun.objects.filter(pk=run.pk).update(**given)
    run.refresh_from_db()
    return run


def test_the_form_is_opened_for_a_kind_and_leads_to_the_preview(site, admin, term):
    assert reverse("admin:imports_importrun_add") == ADD
    form = site.get(f"{ADD}?kind=scores")
    assert '<option value="scores" selected>' in form.content.decode()
    sent = {"kind": "cadets", "file": factories.upload(), "on_duplicate": "skip", "term": "", "training_day": ""}
    answer = site.post(ADD, sent)
    run = ImportRun.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, page_of(run))
    assert (run.dry_run, run.state, run.term_id, run.on_duplicate) == (True, State.QUEUED, term.pk, "skip")
    assert run.created_by_id == admin.user.pk
    assert AuditEntry.objects.get(action="import.create").actor_id == admin.user.pk


def test_attendance_goes_into_the_day_that_was_chosen_and_a_term_left_in_the_form_does_not_matter(site, term):
    day = training.day()
    sent = {
        "kind": "attendance",
        "file": factories.upload(),
        "on_duplicate": "update",
        "term": term.pk,
        "training_day": day.pk,
    }
    assert site.post(ADD, sent).status_code == 302
    run = ImportRun.objects.get()
    assert (run.training_day_id, run.term_id) == (day.pk, None)


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"", "cadets", "The file is empty."),
        (b"%PDF-1.7", "cadets", "This is no table."),
        (b"Name\n", "attendance", "Say which training day the attendance is of."),
    ],
)
def test_what_is_refused_is_said_beside_its_field_and_nothing_is_kept(site, term, content, kind, words):
    answer = site.post(ADD, {"kind": kind, "file": factories.upload(content), "on_duplicate": "update"})
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not ImportRun.objects.exists()


def test_without_a_current_term_the_form_says_so(site):
    answer = site.post(ADD, {"kind": "cadets", "file": factories.upload(), "on_duplicate": "update"})
    assert "No term is current" in answer.content.decode()


@pytest.mark.parametrize("query", ["?kind=nonsense", "?kind=%00", "?term=x&training_day=99999999999999999999"])
def test_a_link_with_odd_values_still_opens_the_form(site, query):
    assert site.get(ADD + query).status_code == 200


def test_the_preview_shows_problems_first_and_what_is_written_is_escaped(site, admin):
    run = checked(admin)
    text = site.get(page_of(run)).content.decode()
    assert text.index("Cell A5") < text.index("Company 1")
    assert "Write &lt;a&gt; name." in text
    assert "Apply: write 3 rows" in text
    assert "http-equiv" not in text


def test_rows_are_paged_and_chosen_by_fate(site, admin):
    run = checked(admin, rows=120)
    assert "Page 1 of 3, 121 rows" in site.get(page_of(run)).content.decode()
    refused = site.get(page_of(run) + "?fate=refuse").content.decode()
    assert "Page 1 of 1, 1 row" in refused
    assert "Company 1" not in refused
    for query in ("?p=9999", "?p=x", "?fate=x"):
        assert site.get(page_of(run) + query).status_code == 200


@pytest.mark.parametrize("state", State.values)
def test_the_page_of_every_state_opens_and_looks_again_while_the_worker_has_it(site, admin, state):
    run = checked(admin, state=state, phase="writing" if state == "running" else "", rows_done=2)
    with CaptureQueriesContext(connection) as captured:
        text = site.get(page_of(run)).content.decode()
    assert len(captured) < 12
    assert ("http-equiv" in text) == (state in {"queued", "running"})
    assert ("/apply/" in text) == (state == "ready")
    assert ("/cancel/" in text) == (state in {"queued", "running", "ready"})


def test_apply_and_cancel_are_pressed_not_opened(site, admin):
    run = checked(admin)
    for name in ("apply", "cancel"):
        assert site.get(reverse(f"admin:imports_importrun_{name}", args=[run.pk])).status_code == 405
    assert site.post(page_of(run)).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin.user)
    assert strict.post(reverse("admin:imports_importrun_apply", args=[run.pk])).status_code == 403
    answer = site.post(reverse("admin:imports_importrun_apply", args=[run.pk]), follow=True)
    run.refresh_from_db()
    assert (run.state, run.dry_run) == (State.QUEUED, False)
    assert "The worker applies it now." in answer.content.decode()
    again = site.post(reverse("admin:imports_importrun_apply", args=[run.pk]), follow=True)
    assert "waiting or running already" in again.content.decode()
    site.post(reverse("admin:imports_importrun_cancel", args=[run.pk]))
    run.refresh_from_db()
    assert run.state == State.CANCELLED
    assert not ImportFile.objects.exists()
    assert AuditEntry.objects.get(action="import.cancel").actor_id == admin.user.pk


def test_of_one_that_runs_only_what_is_known_is_said(site, admin):
    run = checked(admin, state=State.RUNNING, lease_until=now() + dt.timedelta(minutes=1), finished_at=None)
    answer = site.post(reverse("admin:imports_importrun_cancel", args=[run.pk]), follow=True)
    run.refresh_from_db()
    assert (run.state, run.cancel_requested_at is None) == (State.RUNNING, False)
    assert "asked to stop" in answer.content.decode()
    assert "nothing of it is saved" not in answer.content.decode()


def test_unknown_imports_are_not_found(site):
    for path in ("999/change/", "x/change/", "9" * 30 + "/change/"):
        assert site.get(f"/admin/imports/importrun/{path}").status_code == 404
    assert site.post(reverse("admin:imports_importrun_apply", args=[999])).status_code == 404
    assert site.get("/admin/imports/importrun/template/grades.csv").status_code == 404


def test_lists_open_quickly_however_many_there_are(site, admin):
    for _ in range(30):
        run = factories.run(admin.user, dry_run=True)
    ImportRow.objects.bulk_create([ImportRow(run=run, number=n, row=n, fate=Fate.SKIP) for n in range(1, 80)])
    for name in ("importrun", "importrow", "importfile"):
        with CaptureQueriesContext(connection) as captured:
            assert site.get(f"/admin/imports/{name}/?q=a").status_code == 200
        assert len(captured) <= 12
    assert site.get(f"/admin/imports/importfile/{run.pk}/change/").status_code == 200
    assert site.get(f"/admin/imports/importrow/{ImportRow.objects.earliest('pk').pk}/change/").status_code == 200


def test_templates_can_be_taken_from_the_form(site):
    answer = site.get("/admin/imports/importrun/template/scores.xlsx")
    assert answer.status_code == 200
    assert b"".join(answer.streaming_content).startswith(b"PK")


def test_staff_and_strangers_have_no_way_in(instructor):
    client = Client()
    client.force_login(instructor.user)
    for path in (ADD, "/admin/imports/importrun/", "/admin/imports/importrun/template/scores.xlsx"):
        assert client.get(path).status_code == 302
    assert client.post(reverse("admin:imports_importrun_apply", args=[1])).status_code == 302
