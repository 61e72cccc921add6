import datetime as dt
import io
import re
from typing import Any

import pytest
from PIL import Image

from apps.accounts.models import AuditEntry
from apps.accounts.tests import factories as accounts
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet, Term
from apps.cadets.tests import factories as cadets
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.training import rules
from apps.training.models import Scan, TrainingDay
from apps.training.tests import factories
from apps.training.tests.problems import fields_of, problem_of
from apps.training.tests.qr_reader import SIZE, qr_text
from core.clock import iso, now

pytestmark = pytest.mark.django_db(transaction=True)

SIDE = SIZE + 8  # with the quiet zone


def path(day: TrainingDay, rest: str = "") -> str:
    return f"/api/v1/training-days/{day.pk}/attendance-code{rest}"


def code_of(body: Any, settings: Any) -> rules.AttendanceCode:
    return rules.code_read(body["code"], key=settings.ATTENDANCE_CODE_KEY)


@pytest.fixture
def day(db: None) -> TrainingDay:
    return factories.day(0)


def test_a_cadet_gets_a_code_for_the_own_person_and_this_day(
    cadet: CadetPerson, day: TrainingDay, settings: Any
) -> None:
    before = now()
    answer = cadet.client.get(path(day))
    assert answer.status_code == 200
    body = answer.json()
    code = code_of(body, settings)
    assert (code.training_day_id, code.cadet_id) == (day.pk, cadet.cadet.pk)
    assert rules.instant_cut(before) <= code.issued_at <= now()
    assert code.lifetime == dt.timedelta(seconds=600)
    assert body == {"code": body["code"], "expires_at": iso(code.expires_at)}
    assert answer["Cache-Control"] == "no-store"


def test_a_code_lives_as_long_as_is_configured(cadet: CadetPerson, day: TrainingDay, settings: Any) -> None:
    settings.ATTENDANCE_CODE_SECONDS = 60
    code = code_of(cadet.client.get(path(day)).json(), settings)
    assert code.expires_at - code.issued_at == dt.timedelta(seconds=60)


def test_codes_have_a_key_of_their_own(settings: Any) -> None:
    keys = {settings.SECRET_KEY, settings.TOKEN_KEY, settings.ATTENDANCE_CODE_KEY}
    assert (len(keys), len(settings.ATTENDANCE_CODE_KEY)) == (3, 128)
    assert 60 <= settings.ATTENDANCE_CODE_SECONDS <= 3600


def test_every_code_is_another_one_and_leaves_no_trace(cadet: CadetPerson, day: TrainingDay, settings: Any) -> None:
    entries = AuditEntry.objects.count()
    codes = [code_of(cadet.client.get(path(day)).json(), settings) for _ in range(20)]
    assert len({code.nonce for code in codes}) == 20
    assert not Scan.objects.exists()
    assert not Event.objects.exists()
    assert AuditEntry.objects.count() == entries


def test_a_code_is_of_today_in_manila_only(cadet: CadetPerson) -> None:
    for days_ago in (1, -1, 30, -30):
        answer = cadet.client.get(path(factories.day(days_ago)))
        assert problem_of(answer) == (409, "day_not_today")
        assert str(cadets.today() - dt.timedelta(days=days_ago)) in answer.json()["detail"]


def test_why_there_is_no_code_is_told(cadet: CadetPerson, day: TrainingDay) -> None:
    cancelled = factories.day(0, cancelled_at=now(), cancel_reason="Storm")
    assert problem_of(cadet.client.get(path(cancelled))) == (409, "day_cancelled")
    elsewhere = factories.day(0, term=cadets.former_term())
    assert problem_of(cadet.client.get(path(elsewhere))) == (404, "not_enrolled")
    unlinked = accounts.signed_in(accounts.user("Nobody"))
    assert problem_of(unlinked.client.get(path(day))) == (404, "no_cadet_record")
    assert problem_of(cadet.client.get("/api/v1/training-days/999999/attendance-code")) == (404, "not_found")
    assert cadet.client.get("/api/v1/training-days/9223372036854775808/attendance-code").status_code == 404
    Term.objects.update(closed_at=now())
    assert problem_of(cadet.client.get(path(day))) == (409, "term_closed")
    Cadet.objects.update(archived_at=now())
    assert problem_of(cadet.client.get(path(day))) == (404, "no_cadet_record")


@pytest.mark.parametrize("rest", ["", "/image"])
def test_only_cadets_have_codes(admin: Person, instructor: StaffPerson, day: TrainingDay, rest: str) -> None:
    for person in (admin, instructor):
        assert problem_of(person.client.get(path(day, rest))) == (403, "permission_denied")
    stranger = accounts.signed_in(accounts.user("Omar")).client
    stranger.credentials()
    assert problem_of(stranger.get(path(day, rest))) == (401, "token_missing")


# --- As a picture -----------------------------------------------------------------------------------------------------


def test_the_picture_can_be_read_and_says_until_when(cadet: CadetPerson, day: TrainingDay, settings: Any) -> None:
    answer = cadet.client.get(path(day, "/image"), HTTP_ACCEPT="image/png")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    assert (answer["Cache-Control"], answer["X-Content-Type-Options"]) == ("no-store", "nosniff")
    picture = Image.open(io.BytesIO(answer.content)).convert("L")
    assert picture.size == (SIDE * 12, SIDE * 12)
    values = [[picture.getpixel((x * 12 + 6, y * 12 + 6)) for x in range(SIDE)] for y in range(SIDE)]
    assert {value for row in values for value in row} == {0, 255}
    quiet = [values[y][x] for y in range(SIDE) for x in range(SIDE) if not (4 <= x < SIDE - 4 and 4 <= y < SIDE - 4)]
    assert set(quiet) == {255}
    text = qr_text([[value == 0 for value in row[4:-4]] for row in values[4:-4]])
    code = rules.code_read(text, key=settings.ATTENDANCE_CODE_KEY)
    assert (code.training_day_id, code.cadet_id) == (day.pk, cadet.cadet.pk)
    assert answer["X-Code-Expires-At"] == iso(code.expires_at)


def test_the_picture_as_svg_shows_the_same_squares(cadet: CadetPerson, day: TrainingDay, settings: Any) -> None:
    answer = cadet.client.get(path(day, "/image"), {"file_format": "svg"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/svg+xml")
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    svg = answer.content.decode()
    assert f'width="{SIDE * 12}" height="{SIDE * 12}"' in svg
    code = rules.code_read(qr_text(_squares_of_svg(svg)), key=settings.ATTENDANCE_CODE_KEY)
    assert code.cadet_id == cadet.cadet.pk


def _squares_of_svg(svg: str) -> list[list[bool]]:
    """Its lines: `M x y` sets the pen, `m dx dy` moves it, `h n` draws n squares."""
    (drawn,) = re.findall(r'class="qrline"[^>]* d="([^"]+)"', svg)
    squares = [[False] * SIZE for _ in range(SIZE)]
    x = y = 0.0
    for command, first, second in re.findall(r"([Mmh])(-?[\d.]+)(?: (-?[\d.]+))?", drawn):
        if command == "h":
            for step in range(int(first)):
                squares[int(y) - 4][int(x) + step - 4] = True
            x += int(first)
        else:
            x, y = (float(first), float(second)) if command == "M" else (x + float(first), y + float(second))
    return squares


def test_another_format_is_refused(cadet: CadetPerson, day: TrainingDay) -> None:
    assert fields_of(cadet.client.get(path(day, "/image"), {"file_format": "gif"})) == {"file_format": "invalid_choice"}
    assert fields_of(cadet.client.get(path(day, "/image"), {"format": "svg"})) == {"format": "unknown_field"}


def test_where_there_is_no_code_there_is_no_picture(cadet: CadetPerson) -> None:
    answer = cadet.client.get(path(factories.day(1), "/image"), HTTP_ACCEPT="image/png")
    assert problem_of(answer) == (409, "day_not_today")
    assert "X-Code-Expires-At" not in answer
