import datetime as dt
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import current_app as app
from django.db import connection
from rest_framework.test import APIClient

from apps.accounts.models import AuditEntry
from apps.operations import selectors
from apps.operations.models import JournalEntry
from apps.operations.selectors.backups import UNFINISHED_FOR
from apps.operations.services.backups.database import alone
from core.clock import now
from core.retries import TryLater

PATH = "/api/v1/operations/backups"


@pytest.fixture
def no_journal(transactional_db: None) -> Iterator[None]:
    """Committed entries are removed: the schema `ops` is out of the sight of Django's flush."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ops.journal")


@pytest.fixture
def place(settings, tmp_path: Path, no_journal: None) -> Path:
    settings.BACKUP_PLACE = {"kind": "file", "path": str(tmp_path / "backups")}
    settings.BACKUP_KEYS = [secrets.token_urlsafe(48)]
    return tmp_path / "backups"


def make(entry_id: int) -> None:
    app.tasks["operations.backup_make"](entry_id=entry_id)


@pytest.mark.django_db
def test_nobody_but_an_administrator_sees_or_asks(cadet, staff):
    for client, status in ((APIClient(), 401), (cadet.client, 403), (staff.client, 403)):
        assert client.get(PATH).status_code == status
        assert client.post(PATH).status_code == status
        assert client.get(f"{PATH}/1").status_code == status
    assert not JournalEntry.objects.exists()


def test_what_was_asked_for_is_made_restored_on_trial_and_told(admin, place, empty_redis):
    answer = admin.client.post(PATH)
    assert answer.status_code == 202
    body = answer.json()
    assert (body["kind"], body["purpose"], body["state"], body["asked_by_id"]) == (
        "backup",
        "asked",
        "waiting",
        admin.user.pk,
    )
    assert answer.headers["Location"] == f"{PATH}/{body['id']}"
    (message,) = empty_redis.lrange("rgms", 0, -1)
    assert "operations.backup_make" in message
    assert AuditEntry.objects.filter(action="backup.request", actor=admin.user).count() == 1

    make(body["id"])
    found = admin.client.get(answer.headers["Location"]).json()
    assert (found["state"], found["detail"]) == ("succeeded", "")
    assert found["counts"]["tables"] > 40
    assert found["bytes"] == sum(part.stat().st_size for part in place.rglob("*.part"))
    assert found["place"] == f"file://{place}"
    assert len(list(place.rglob(f"{found['backup_id']}/manifest.json"))) == 1
    kinds = [(entry["kind"], entry["state"]) for entry in admin.client.get(PATH).json()["results"]]
    assert kinds == [("prune", "succeeded"), ("verify", "succeeded"), ("backup", "succeeded")]
    assert admin.client.get(f"{PATH}?kind=verify").json()["count"] == 1
    make(body["id"])  # delivered a second time
    assert len(list(place.rglob("manifest.json"))) == 1

    status = admin.client.get("/api/v1/operations/status").json()["backup"]
    assert status["last_good"]["id"] == found["backup_id"]
    assert 0 <= status["last_good"]["age_hours"] < 1
    assert (status["last_outcome"], status["last_detail"]) == ("succeeded", "")


def test_while_one_waits_no_second_one_is_asked_for(admin, place, empty_redis):
    assert admin.client.post(PATH).status_code == 202
    answer = admin.client.post(PATH)
    assert (answer.status_code, answer.json()["code"]) == (409, "backup_in_progress")
    assert JournalEntry.objects.count() == 1
    JournalEntry.objects.update(asked_at=now() - 2 * UNFINISHED_FOR)
    assert admin.client.post(PATH).status_code == 202


def test_without_the_settings_it_fails_in_words(admin, no_journal, empty_redis):
    body = admin.client.post(PATH).json()
    make(body["id"])
    found = admin.client.get(f"{PATH}/{body['id']}").json()
    assert found["state"] == "failed"
    assert found["detail"] == "No backup was stored, because BACKUP_URL and BACKUP_ENCRYPTION_KEY are not set."
    status = admin.client.get("/api/v1/operations/status").json()["backup"]
    assert status == {"last_good": None, "last_outcome": "failed", "last_detail": found["detail"]}


def test_while_another_one_is_at_work_it_comes_again(admin, place, empty_redis, monkeypatch):
    monkeypatch.setattr("apps.operations.services.backups.database._LOCK_SECONDS", 0.0)
    body = admin.client.post(PATH).json()
    with alone(), pytest.raises(TryLater):
        make(body["id"])
    assert admin.client.get(f"{PATH}/{body['id']}").json()["state"] == "waiting"
    make(body["id"])
    assert admin.client.get(f"{PATH}/{body['id']}").json()["state"] == "succeeded"


def test_a_place_that_cannot_be_written_is_told_and_nothing_counts_as_a_backup(admin, place, empty_redis, monkeypatch):
    monkeypatch.setattr("apps.operations.services.backups.places._PAUSE_SECONDS", 0.0)
    place.write_text("a file stands in the way")
    body = admin.client.post(PATH).json()
    make(body["id"])
    found = admin.client.get(f"{PATH}/{body['id']}").json()
    assert found["state"] == "failed"
    assert "failed at storing" in found["detail"]
    assert selectors.backup_status()["last_good"] is None


@pytest.mark.django_db
def test_an_entry_that_is_not_there_is_not_found(admin):
    answer = admin.client.get(f"{PATH}/999999999")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.django_db
def test_the_age_is_of_the_last_good_one_whatever_came_after_it(admin):
    for hours, outcome in ((50, "succeeded"), (26, "succeeded"), (2, "failed")):
        at = now() - dt.timedelta(hours=hours)
        JournalEntry.objects.create(kind="backup", purpose="weekly", started_at=at, finished_at=at, outcome=outcome)
    status = selectors.backup_status()
    assert status["last_good"]["age_hours"] == 26.0
    assert status["last_outcome"] == "failed"
