"""Links to files: signed, for one account, for five minutes. The file's own name is never told."""

import datetime as dt
from dataclasses import dataclass

from django.core import signing

from apps.accounts.models import User
from apps.accounts.rules import Principal
from apps.accounts.selectors import principal_of_user
from apps.reports import rules
from apps.reports.models import Report, State
from apps.reports.selectors import report_visible_to
from core.clock import now
from core.errors import Conflict, NotFound

_SALT = "apps.reports.links"
_REFUSED = "This link is not one of this system's, or it was cut off. Ask for a new one."


@dataclass(frozen=True, kw_only=True)
class FileLink:
    token: str
    expires_at: dt.datetime


def report_link(*, actor: Principal, report_id: int) -> FileLink:
    """A link to the file of a report. Raises NotFound, and Conflict (`report_not_ready`, `report_expired`)."""
    report = report_visible_to(principal=actor, report_id=report_id)
    if report.state == State.EXPIRED:
        raise Conflict("The file is no longer kept. Ask for the report again.", code="report_expired")
    if report.state != State.READY:
        raise Conflict(
            "There is no file yet, or there will be none. Look at the report's state.", code="report_not_ready"
        )
    token = signing.dumps([report.pk, actor.user_id, report.file[-12:]], salt=_SALT)
    return FileLink(token=token, expires_at=now() + dt.timedelta(seconds=rules.LINK_SECONDS))


def report_of_token(token: str) -> Report:
    """The report whose file a link opens, if its account may still see it.

    Raises NotFound: `link_malformed`, `link_expired`, or `file_missing` when the file has gone since.
    """
    try:
        report_id, user_id, file = signing.loads(token, salt=_SALT, max_age=rules.LINK_SECONDS)
    except signing.SignatureExpired:
        raise NotFound("This link has expired. Ask for a new one.", code="link_expired") from None
    except (signing.BadSignature, ValueError, TypeError):
        raise NotFound(_REFUSED, code="link_malformed") from None
    user = User.objects.filter(pk=user_id).first()
    if user is None or not user.is_active:
        raise NotFound("The account that this link was given to can no longer be used.", code="link_expired")
    report = report_visible_to(principal=principal_of_user(user), report_id=report_id)
    if report.state != State.READY or not report.file.endswith(file):
        raise NotFound("The file is no longer kept. Ask for the report again.", code="file_missing")
    return report
