"""Jobs, their runs, probes and events in the admin site."""

import pytest
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks

from apps.accounts.models import AuditEntry
from apps.events.models import Event
from apps.operations.models import Probe
from apps.operations.tests.factories import Caller
from core.clock import now
from tests.admin_pages import Site, address_of, said

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(admin: Caller) -> Site:
    return Site(admin.user)


@pytest.fixture
def task() -> PeriodicTask:
    crontab, _ = CrontabSchedule.objects.get_or_create(minute="0", hour="6", timezone="UTC")
    return PeriodicTask.objects.create(name="daily-reports", task="operations.daily_reports", crontab=crontab)


def recorded(noun: str = "periodic_task") -> list[tuple[str, str]]:
    rows = AuditEntry.objects.filter(action__startswith=noun).order_by("pk")
    return list(rows.values_list("action", "actor__username"))


def test_a_job_is_paused_and_resumed_and_beat_is_told(site: Site, task: PeriodicTask) -> None:
    PeriodicTasks.objects.all().delete()
    assert "1 periodic task paused." in said(site.act("disable_tasks", task))
    assert not PeriodicTask.objects.get(pk=task.pk).enabled
    assert PeriodicTasks.last_change() is not None
    assert "Nothing to do" in said(site.act("disable_tasks", task))
    assert "1 periodic task resumed." in said(site.act("enable_tasks", task))
    assert PeriodicTask.objects.get(pk=task.pk).enabled
    assert recorded() == [("periodic_task.pause", "operator"), ("periodic_task.resume", "operator")]
    entry = AuditEntry.objects.get(action="periodic_task.pause")
    assert (entry.before, entry.after) == ({"enabled": True}, {"name": "daily-reports", "enabled": False})


def test_a_change_on_the_form_is_recorded_and_none_is_not(site: Site, task: PeriodicTask) -> None:
    assert site.change(task).status_code == 302
    assert list(AuditEntry.objects.filter(action__startswith="periodic_task").values("before", "after")) == []
    other, _ = CrontabSchedule.objects.get_or_create(minute="30", hour="7", timezone="UTC")
    assert site.change(task, crontab=other.pk, description="Later").status_code == 302
    entry = AuditEntry.objects.get(action="periodic_task.change")
    assert entry.before == {"crontab": str(task.crontab_id), "description": ""}
    assert entry.after is not None
    assert entry.after["description"] == "Later"


def test_a_job_that_is_deleted_is_recorded(site: Site, task: PeriodicTask) -> None:
    site.act("delete_selected", task, post="yes")
    assert not PeriodicTask.objects.exists()
    assert recorded() == [("periodic_task.delete", "operator")]


def test_what_a_worker_and_an_event_said_is_readable(site: Site, admin: Caller) -> None:
    present = now()
    probe = Probe.objects.create(
        requested_by=admin.user, started_at=present, finished_at=present, worker={"service": "<worker>"}
    )
    assert "{\n  &quot;service&quot;: &quot;&lt;worker&gt;&quot;\n}" in site.page_of(probe)
    event = Event.objects.create(type="user.changed", recipients=["role:admin", "user:1"], data={"id": 1})
    page = site.page_of(event)
    assert "role:admin, user:1" in page
    assert "&quot;id&quot;: 1" in page
    assert site.list_of(Event, q="user:1") == [event]
    assert site.list_of(Event, q="user:2") == []


def test_the_times_of_jobs_are_changed_and_made_with_an_entry_each(site: Site, task: PeriodicTask) -> None:
    assert site.change(task.crontab).status_code == 302
    assert recorded("crontab_schedule") == []
    assert site.change(task.crontab, hour="7").status_code == 302
    entry = AuditEntry.objects.get(action="crontab_schedule.change")
    assert (entry.target, entry.before, entry.after) == (
        f"crontab_schedule:{task.crontab_id}",
        {"hour": "6"},
        {"hour": "7"},
    )
    inline = {"periodictask_set-TOTAL_FORMS": "0", "periodictask_set-INITIAL_FORMS": "0"}
    assert site.add(IntervalSchedule, every="5", period="minutes", **inline).status_code == 302
    assert recorded("interval_schedule") == [("interval_schedule.create", "operator")]


def test_the_times_of_a_job_are_not_deleted_with_the_job(site: Site, task: PeriodicTask) -> None:
    site.act("delete_selected", task.crontab, post="yes")
    assert site.client.post(address_of(CrontabSchedule, "delete", task.crontab_id), {"post": "yes"}).status_code == 403
    assert PeriodicTask.objects.get() == task
