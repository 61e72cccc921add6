"""A grade that has become final is mailed to its cadet: once for each sheet, and never the grade itself."""

import pytest

from apps.accounts.models import Mail
from apps.accounts.tests import factories as accounts
from apps.cadets.tests import factories as cadets
from apps.events.models import OutboxJob
from apps.grading.models import GradeSheet
from apps.grading.services.closing import term_close, term_reopen

pytestmark = pytest.mark.django_db


def test_everybody_with_an_account_is_mailed_by_one_job_and_again_for_a_revision() -> None:
    admin = accounts.admin()
    liza, omar = cadets.cadet_person("Liza"), cadets.cadet_person("Omar")
    cadets.enrolled()  # without an account
    term = cadets.term()
    term_close(actor=admin.principal, term_id=term.pk)
    first = list(GradeSheet.objects.filter(enrollment__cadet__user__isnull=False).values_list("pk", flat=True))
    assert set(Mail.objects.values_list("event", flat=True)) == {f"grade.released:{pk}" for pk in first}
    assert {mail.recipient_id for mail in Mail.objects.all()} == {liza.user.pk, omar.user.pk}
    assert OutboxJob.objects.filter(task="accounts.mails_send").count() == 1
    assert Mail.objects.all()[0].context == {"term": str(term), "revision": 1}
    term_reopen(actor=admin.principal, term_id=term.pk, reason="A score was missing")
    term_close(actor=admin.principal, term_id=term.pk)
    assert Mail.objects.count() == 4
    assert Mail.objects.filter(context__revision=2).count() == 2
