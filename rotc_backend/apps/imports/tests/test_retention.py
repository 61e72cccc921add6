import datetime as dt

import pytest

from apps.accounts.models import AuditEntry
from apps.events.models import Event
from apps.imports.models import Fate, ImportFile, ImportRow, ImportRun, State
from apps.imports.services.retention import imports_expire, imports_resume
from apps.imports.tests import factories
from core.clock import now

pytestmark = pytest.mark.django_db


def ago(**time: float) -> dt.datetime:
    return now() - dt.timedelta(**time)


def with_row(run: ImportRun) -> ImportRun:
    ImportRow.objects.create(run=run, number=1, row=2, fate=Fate.CREATE)
    return run


def test_a_preview_that_nobody_applied_in_a_day_ends_and_its_file_goes(admin):
    old, young = factories.run(admin.user, dry_run=True), factories.run(admin.user, dry_run=True)
    ImportRun.objects.filter(pk=old.pk).update(state=State.READY, finished_at=ago(hours=24.1), counts={"create": 2})
    ImportRun.objects.filter(pk=young.pk).update(state=State.READY, finished_at=ago(hours=23.9))
    assert imports_expire() == (1, 0)
    old.refresh_from_db()
    assert (old.state, old.problem_code, old.counts) == (State.CANCELLED, "expired", {"create": 2})
    assert [file.run_id for file in ImportFile.objects.all()] == [young.pk]
    entry = AuditEntry.objects.get(action="import.expire")
    assert (entry.actor_id, entry.target) == (None, f"import:{old.pk}")
    assert Event.objects.get(type="import.finished").data["state"] == "cancelled"
    assert imports_expire() == (0, 0)


def test_rows_go_after_thirty_days_and_the_run_stays(admin):
    old, young = with_row(factories.run(admin.user)), with_row(factories.run(admin.user))
    ImportRun.objects.filter(pk=old.pk).update(state=State.DONE, finished_at=ago(days=31))
    ImportRun.objects.filter(pk=young.pk).update(state=State.REFUSED, finished_at=ago(days=29))
    assert imports_expire() == (0, 1)
    assert ImportRow.objects.get().run_id == young.pk
    assert ImportRun.objects.count() == 2


def test_the_worker_is_asked_again_for_what_waits_too_long_or_lost_its_worker(
    admin, django_capture_on_commit_callbacks
):
    lost, fresh, dead, alive, done = (factories.run(admin.user) for _ in range(5))
    ImportRun.objects.filter(pk=lost.pk).update(queued_at=ago(minutes=6))
    ImportRun.objects.filter(pk=fresh.pk).update(queued_at=ago(minutes=4))
    ImportRun.objects.filter(pk=dead.pk).update(state=State.RUNNING, lease_until=ago(seconds=1))
    ImportRun.objects.filter(pk=alive.pk).update(state=State.RUNNING, lease_until=ago(seconds=-20))
    ImportRun.objects.filter(pk=done.pk).update(state=State.DONE, queued_at=ago(days=1))
    with django_capture_on_commit_callbacks() as callbacks:
        assert imports_resume() == 2
    assert len(callbacks) == 2
