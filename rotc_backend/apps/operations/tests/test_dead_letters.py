import datetime as dt
from typing import Any

import pytest
from celery import current_app
from django.db import connection

from apps.accounts.models import AuditEntry, Mail
from apps.accounts.selectors import principal_of_user
from apps.events.models import OutboxJob
from apps.operations.models import DeadLetter
from apps.operations.services.dead_letters import (
    dead_letter_dismiss,
    dead_letter_record,
    dead_letter_retry,
    dead_letters_expire,
)
from core.clock import now
from core.errors import Conflict, NotFound
from tests.admin_pages import Site, said

TASK = "operations.probe_record"
PROBE = {"probe_id": "7f0c2c7e-9f0e-4a52-8ad5-3d1b8f7a1c11"}
PATH = "/api/v1/operations/dead-letters"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    monkeypatch.setattr(current_app.tasks[TASK], "apply_async", lambda **message: messages.append(message))
    return messages


def letter(task: str = TASK, **arguments: Any) -> DeadLetter:
    return dead_letter_record(
        task=task, arguments=arguments or PROBE, request_id="r", attempts=3, error=ValueError("no"), job_number=None
    )


def test_what_is_laid_aside_says_why_without_secrets(settings):
    settings.EMAIL_HOST_PASSWORD = "hunter-of-letters"

    def fail() -> None:
        raise ConnectionError(f"{settings.EMAIL_HOST_PASSWORD} at {settings.SECRET_KEY}, redis://u:p@h/0")

    try:
        fail()
    except ConnectionError as error:
        kept = dead_letter_record(
            task=TASK, arguments={**PROBE, "token": "abc"}, request_id="r", attempts=2, error=error, job_number=None
        )
    assert kept.detail == "*** at ***, redis://***@h/0"
    assert kept.arguments == {**PROBE, "token": "***"}
    assert "in fail" in kept.traceback
    assert settings.SECRET_KEY not in kept.traceback
    assert "hunter-of-letters" not in kept.traceback


def test_a_retry_asks_for_the_same_task_again_once_and_is_audited(admin, sent):
    kept, actor = letter(), principal_of_user(admin.user)
    settled = dead_letter_retry(actor=actor, letter_id=kept.pk)
    assert (settled.settlement, settled.settled_by_id) == ("retried", admin.user.pk)
    job = OutboxJob.objects.get()
    assert (job.task, job.arguments) == (TASK, PROBE)
    assert sent[0]["kwargs"] == PROBE
    entry = AuditEntry.objects.get(action="dead_letter.retry")
    assert (entry.actor, entry.target) == (admin.user, f"dead_letter:{kept.pk}")
    for again in (dead_letter_retry, dead_letter_dismiss):
        with pytest.raises(Conflict) as refused:
            again(actor=actor, letter_id=kept.pk)
        assert refused.value.code == "dead_letter_settled"
    assert (OutboxJob.objects.count(), len(sent)) == (1, 1)


@pytest.mark.parametrize(("task", "arguments"), [("operations.of_yesterday", {}), (TASK, {"token": "abc"})])
def test_what_cannot_be_done_again_as_it_was_is_not_retried(admin, sent, task, arguments):
    kept, actor = letter(task, **arguments), principal_of_user(admin.user)
    with pytest.raises(Conflict) as refused:
        dead_letter_retry(actor=actor, letter_id=kept.pk)
    assert refused.value.code == "dead_letter_unfit"
    kept.refresh_from_db()
    assert (kept.settled_at, sent) == (None, [])
    assert dead_letter_dismiss(actor=actor, letter_id=kept.pk).settlement == "dismissed"
    assert not OutboxJob.objects.exists()


def test_an_unknown_letter_is_not_found(admin):
    with pytest.raises(NotFound):
        dead_letter_retry(actor=principal_of_user(admin.user), letter_id=1)


def test_old_letters_go(admin):
    old, young = letter(), letter()
    DeadLetter.objects.filter(pk=old.pk).update(failed_at=now() - dt.timedelta(days=91))
    assert dead_letters_expire(failed_before=now() - dt.timedelta(days=90)) == 1
    assert DeadLetter.objects.get() == young


def test_administrators_read_retry_and_dismiss_them_over_the_interface(admin, staff, sent):
    first, second = letter(), letter()
    found = admin.client.get(PATH, {"settled": "false"}).json()
    assert [one["id"] for one in found["results"]] == [second.pk, first.pk]
    assert found["results"][0]["traceback"].startswith("ValueError")
    assert admin.client.post(f"{PATH}/{first.pk}/retry").json()["settlement"] == "retried"
    assert admin.client.post(f"{PATH}/{second.pk}/dismiss").json()["settlement"] == "dismissed"
    assert admin.client.post(f"{PATH}/{second.pk}/retry").status_code == 409
    assert admin.client.get(PATH, {"settled": "false"}).json()["count"] == 0
    assert staff.client.get(PATH).status_code == 403
    assert len(sent) == 1


def test_administrators_retry_and_dismiss_them_in_the_admin_site(admin, sent):
    first, second = letter(), letter()
    site = Site(admin.user)
    assert "ValueError: no" in site.page_of(first)
    assert "1 dead letter retried." in said(site.act("retry", first))
    assert "1 dead letter dismissed." in said(site.act("dismiss", second))
    assert "settled already" in said(site.act("retry", first))
    assert [one.settlement for one in DeadLetter.objects.order_by("pk")] == ["retried", "dismissed"]
    assert len(sent) == 1


def test_the_status_counts_those_that_nobody_has_looked_at(admin):
    letter()
    status = admin.client.get("/api/v1/operations/status").json()
    assert status["dead_letters"] == 1
    assert status["outbox"] == {"jobs": 0, "oldest_age_seconds": None}
    assert status["email"]["detail"] == "Nothing is e-mailed: EMAIL_URL is not set."


def test_the_table_is_what_the_model_says():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, is_nullable FROM information_schema.columns "
            "WHERE table_schema = 'ops' AND table_name = 'dead_letter'"
        )
        found = dict(cursor.fetchall())
    assert found == {field.column: "YES" if field.null else "NO" for field in DeadLetter._meta.local_fields}


def test_administrators_send_a_message_again_in_the_admin_site(admin):
    lost = Mail.objects.create(
        event="user.approved:1:2", kind="account_approved", recipient_id=admin.user.pk, context={}, state="unknown"
    )
    site = Site(admin.user)
    assert "1 mail will be sent again." in said(site.act("send_again", lost))
    lost.refresh_from_db()
    assert lost.state == "waiting"
    assert AuditEntry.objects.filter(action="mail.resend", actor=admin.user).count() == 1
    assert "Only what was not sent" in said(site.act("send_again", lost))
