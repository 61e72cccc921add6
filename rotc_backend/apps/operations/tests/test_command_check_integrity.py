import datetime as dt
import io
import json

import pytest
from django.core.management import call_command

from apps.events.models import Event, EventHead, OutboxJob
from apps.operations.selectors import integrity
from core.clock import now

pytestmark = pytest.mark.django_db


def check(*options: str) -> tuple[int, str]:
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check_integrity", *options, stdout=out)
    return int(str(ended.value.code)), out.getvalue()


def event(**fields: object) -> Event:
    position = Event.objects.count() + 1
    made = Event.objects.create(recipients=["user:1"], position=position, **fields)
    EventHead.objects.update(position=position)
    return made


def findings(name: str) -> list[tuple[str, str]]:
    return [(one["table"], one["id"]) for one in integrity()["findings"] if one["check"] == name]


def test_sound_data_end_with_0_and_the_list_of_checks():
    status, text = check()
    assert status == 0
    assert " sound  slots_once" in text
    assert " sound  events_have_sources" in text


def test_findings_end_with_1_and_say_which_row_and_what_to_do():
    made = event(type="letter.decided", data={"id": 99})
    status, text = check()
    assert status == 1
    assert "     1  events_have_sources" in text
    assert f"events_have_sources: event {made.pk}" in text
    assert "letter.decided tells of 99, which is not in training_excuseletter." in text
    assert "UPDATE event_head SET epoch" in text


def test_the_document_is_that_of_the_interface():
    status, text = check("--json")
    assert status == 0
    found = json.loads(text)
    assert found["sound"] is True
    assert {one["name"] for one in found["checks"]} == {one["name"] for one in integrity()["checks"]}


def test_an_event_of_a_type_that_nobody_declares_is_found():
    event(type="letter.burnt", data={})
    assert findings("events_have_sources") == [("event", "letter.burnt")]


def test_events_of_what_may_be_gone_are_sound(admin):
    event(type="notification.removed", data={"id": 99, "unread": 0})
    event(type="user.changed", data={"id": admin.user.pk})
    assert findings("events_have_sources") == []


def test_a_job_that_nobody_takes_is_found_and_one_that_just_waits_is_not():
    old, overdue = now() - dt.timedelta(hours=2), now() - dt.timedelta(minutes=20)
    job = OutboxJob.objects.create(task="operations.of_tomorrow", arguments={}, created_at=old, due_at=overdue)
    OutboxJob.objects.create(task="accounts.mails_send", arguments={}, created_at=old, due_at=now())
    OutboxJob.objects.create(task="accounts.mails_send", arguments={}, due_at=overdue)
    assert findings("jobs_taken") == [("ops.outbox", str(job.pk))]
