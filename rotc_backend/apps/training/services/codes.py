"""Attendance codes: what a cadet shows to a scanner. An unused one leaves no row."""

import datetime as dt
import io
import secrets
import uuid
from dataclasses import dataclass

from django.conf import settings

from apps.accounts.rules import Principal
from apps.cadets.selectors import cadet_of_user, enrollment_of
from apps.training.models import TrainingDay
from apps.training.rules import AttendanceCode, code_read, code_spelled, instant_cut
from apps.training.services.holds import NO_DAY
from core.clock import manila_date, now
from core.errors import Conflict, NotFound

PNG, SVG = "png", "svg"
_PIXELS = 12  # of a square's side: the whole is 540 wide, which a telephone shows in full and a camera reads at once
_QUIET_ZONE = 4  # squares around the code, as ISO/IEC 18004 asks for


@dataclass(frozen=True, kw_only=True)
class IssuedCode:
    code: str
    expires_at: dt.datetime


def attendance_code_issue(*, actor: Principal, training_day_id: int) -> IssuedCode:
    """A fresh code of one's own for a training day of today, in Manila.

    Raises NotFound for the day, for an account without a cadet (`no_cadet_record`) and for a cadet who is not enrolled
    (`not_enrolled`); and Conflict (`day_cancelled`, `term_closed`, `day_not_today`).
    """
    cadet = cadet_of_user(user_id=actor.user_id)
    day = TrainingDay.objects.filter(pk=training_day_id).select_related("term").first()
    if day is None:
        raise NotFound(NO_DAY)
    enrollment_of(cadet_id=cadet.pk, term_id=day.term_id)
    issued_at = now()
    _refuse_closed(day, today=manila_date(issued_at))
    code = AttendanceCode(
        training_day_id=day.pk,
        cadet_id=cadet.pk,
        issued_at=instant_cut(issued_at),
        lifetime=dt.timedelta(seconds=settings.ATTENDANCE_CODE_SECONDS),
        nonce=uuid.UUID(bytes=secrets.token_bytes(16)),  # all 128 bits random, which those of uuid4 are not
    )
    return IssuedCode(code=code_spelled(code, key=settings.ATTENDANCE_CODE_KEY), expires_at=code.expires_at)


def attendance_code_image(code: str, *, file_format: str) -> bytes:
    """A code as a QR code with its quiet zone, black on white, PNG or SVG."""
    import segno  # here, since only this operation needs it

    # M mends 15 % of it: a scratched or dirty screen.
    image, written = segno.make_qr(code, error="m", boost_error=False), io.BytesIO()
    if file_format == SVG:
        image.save(written, kind=SVG, scale=_PIXELS, border=_QUIET_ZONE, light="#ffffff")
    else:
        image.save(written, kind=PNG, scale=_PIXELS, border=_QUIET_ZONE)
    return written.getvalue()


def attendance_code_read(text: str) -> AttendanceCode:
    """What a code of this system says. Raises `rules.CodeRefused`."""
    return code_read(text, key=settings.ATTENDANCE_CODE_KEY)


def _refuse_closed(day: TrainingDay, *, today: dt.date) -> None:
    if day.term.closed_at is not None:
        raise Conflict("The term of this training day is closed; its attendance stands.", code="term_closed")
    if day.cancelled_at is not None:
        raise Conflict("This training day is cancelled. There is nothing to be scanned for.", code="day_cancelled")
    if day.date > today:
        raise Conflict(
            f"This training day is on {day.date}. Codes for it are given from midnight of that day on, in Manila.",
            code="day_not_today",
        )
    if day.date < today:
        raise Conflict(
            f"This training day was on {day.date}. Ask an officer to correct your attendance if it is wrong.",
            code="day_not_today",
        )
