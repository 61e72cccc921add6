"""The daily report in words: notifications and e-mail to the staff."""

import datetime as dt

import pytest
from django.db import transaction
from django.template.loader import render_to_string

from apps.accounts.models import Mail, MailPreferences
from apps.cadets.tests import factories as cadets
from apps.grading.models import MeritDemerit
from apps.messaging.models import Notification
from apps.operations.models import ScheduledRun
from apps.operations.services import reports, runs
from apps.training.tests import factories as training
from core.clock import manila_date, manila_day, now

pytestmark = pytest.mark.django_db


def slot_after(day: dt.date) -> dt.datetime:
    """06:00 UTC of the next day, which is 14:00 in Manila."""
    return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(6), tzinfo=dt.UTC)


def report(day: dt.date):
    with transaction.atomic():
        return reports.daily_reports(slot=slot_after(day))


def test_staff_are_told_of_yesterday_in_manila_for_the_unit_and_for_each_company(admin, staff, cadet):
    day = training.day(1, title="Formation")
    alpha, bravo = cadets.company("Alpha"), cadets.company("Bravo")
    present, absent = cadets.enrolled(company=alpha), cadets.enrolled(company=bravo)
    training.record(day, present.cadet, "present")
    training.record(day, absent.cadet, "absent")
    start, _ = manila_day(day.date)
    MeritDemerit.objects.create(
        enrollment=present, kind="merit", points=5, reason="Drill", issued_by=staff.user, issued_at=start
    )
    outcome = report(day.date)
    assert outcome.counts == {
        "training_days": 1,
        "companies": 2,
        "absent": 1,
        "merits": 1,
        "demerits": 0,
        "recipients": 2,
        "reports": 3,
    }
    assert {told.recipient for told in Notification.objects.all()} == {admin.user, staff.user}
    told = Notification.objects.earliest("pk")
    assert told.title == f"Daily report for {day.date:%d %B %Y}"
    assert told.body.split("\n\n") == [
        "The unit\nFormation: 1 present, 1 absent.\nMerits: 1 (5 points). Demerits: 0 (0 points).",
        "Alpha\nFormation: 1 present.\nMerits: 1 (5 points). Demerits: 0 (0 points).",
        "Bravo\nFormation: 1 absent.\nNo merit or demerit was issued or revoked.",
    ]
    mail = Mail.objects.get(recipient_id=admin.user.pk)
    assert (mail.event, mail.state) == (f"daily_report:{day.date}:{admin.user.pk}", "waiting")
    assert [part["name"] for part in mail.context["parts"]] == ["The unit", "Alpha", "Bravo"]


def test_a_day_on_which_nothing_happened_is_told_as_such(admin):
    report(dt.date(2026, 3, 1))
    assert Notification.objects.get().body == (
        "The unit\nThere was no training day.\nNo merit or demerit was issued or revoked."
    )


def test_who_has_declined_the_email_gets_the_notification(admin):
    MailPreferences.objects.create(user=admin.user, daily_reports=False)
    report(dt.date(2026, 3, 1))
    assert Notification.objects.count() == 1
    assert Mail.objects.get().state == "skipped"


def test_a_slot_that_runs_late_tells_of_its_own_yesterday(admin):
    report(dt.date(2026, 3, 1))
    assert Notification.objects.get().title == "Daily report for 01 March 2026"
    assert manila_date(now()) != dt.date(2026, 3, 2)


def test_a_run_whose_lease_was_lost_tells_nobody_and_the_next_one_tells_once(admin, no_runs):
    slot = slot_after(dt.date(2026, 3, 1))

    def broken(at: dt.datetime):
        reports.daily_reports(slot=at)
        raise ConnectionResetError

    with pytest.raises(runs.RunFailed):
        runs.slot_run(job="daily-reports", slot=slot, crontab="0 6 * * *", perform=broken, together=True)
    assert (Notification.objects.count(), Mail.objects.count()) == (0, 0)
    for _ in range(2):
        runs.slot_run(
            job="daily-reports",
            slot=slot,
            crontab="0 6 * * *",
            perform=lambda at: reports.daily_reports(slot=at),
            together=True,
        )
    assert (Notification.objects.count(), Mail.objects.count()) == (1, 1)
    run = ScheduledRun.objects.get()
    assert (run.outcome, run.attempt, run.counts["recipients"]) == ("succeeded", 2, 1)
    assert run.finished_at is not None
    assert run.started_at <= run.finished_at


def test_the_template_shows_every_part(admin):
    context = {"day": "01 March 2026", "parts": [{"name": "Alpha & Co", "lines": ["Range: 3 present."]}]}
    written = {
        part: render_to_string(f"mail/daily_report.{part}", {**context, "user": admin.user})
        for part in ("subject.txt", "txt", "html")
    }
    assert written["subject.txt"].strip() == "Daily report for 01 March 2026"
    assert "Alpha & Co\n- Range: 3 present." in written["txt"]
    assert "Alpha &amp; Co" in written["html"]
