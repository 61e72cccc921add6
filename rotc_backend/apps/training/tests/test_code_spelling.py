import base64
import datetime as dt
import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.training import rules
from apps.training.rules import AttendanceCode, CodeRefused

KEY, FOREIGN = "k" * 128, "f" * 128
ID = st.integers(min_value=1, max_value=2**63 - 1)
CODE = AttendanceCode(
    training_day_id=31,
    cadet_id=118,
    issued_at=dt.datetime(2026, 8, 21, 22, 50, 58, 4000, tzinfo=dt.UTC),
    lifetime=dt.timedelta(minutes=10),
    nonce=uuid.UUID("6c1f8f3e-2b7d-4a51-9a0c-5f4e0d7b9c21"),
)
SPELLED = rules.code_spelled(CODE, key=KEY)
QR_ALPHANUMERIC = set(string.digits + string.ascii_uppercase + " $%*+-./:")  # ISO/IEC 18004, 7.4.4


def refusal_of(text: str, key: str = KEY) -> str:
    with pytest.raises(CodeRefused) as refused:
        rules.code_read(text, key=key)
    return str(refused.value)


@given(
    training_day_id=ID,
    cadet_id=ID,
    issued_at=st.integers(0, 7_000_000_000_000).map(lambda ms: dt.datetime.fromtimestamp(ms / 1000, tz=dt.UTC)),
    seconds=st.integers(min_value=60, max_value=3600),
    nonce=st.uuids(),
)
def test_what_is_spelled_is_read_again(
    training_day_id: int, cadet_id: int, issued_at: dt.datetime, seconds: int, nonce: uuid.UUID
) -> None:
    code = AttendanceCode(
        training_day_id=training_day_id,
        cadet_id=cadet_id,
        issued_at=rules.instant_cut(issued_at),
        lifetime=dt.timedelta(seconds=seconds),
        nonce=nonce,
    )
    text = rules.code_spelled(code, key=KEY)
    assert len(text) == 102
    assert set(text) <= QR_ALPHANUMERIC
    assert rules.code_read(text, key=KEY) == code
    assert code.expires_at - code.issued_at == dt.timedelta(seconds=seconds)


def test_no_bit_of_a_code_can_be_changed() -> None:
    sealed = base64.b32decode(SPELLED.removeprefix("RGMS1."))
    for place in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[place] ^= 1 << bit
            assert refusal_of("RGMS1." + base64.b32encode(bytes(changed)).decode()) == "code_forged"


def test_no_character_of_a_code_can_be_replaced_by_any_other() -> None:
    for place in range(len(SPELLED)):
        for letter in string.printable + "É０\x00":
            if letter != SPELLED[place]:
                changed = SPELLED[:place] + letter + SPELLED[place + 1 :]
                assert refusal_of(changed) in {"code_forged", "code_malformed"}


@pytest.mark.parametrize(
    "text",
    [
        SPELLED.lower(),
        SPELLED + "\n",
        " " + SPELLED,
        SPELLED + "A",
        SPELLED + "=",
        SPELLED[:-1],
        SPELLED.replace("RGMS1.", "RGMS2."),
        SPELLED.removeprefix("RGMS1."),
        SPELLED * 2,
        "",
        "https://rotc.example/118",
        "\ud83d",
        "RGMS1." + "\u0661" * 96,
    ],
)
def test_another_spelling_is_not_a_code(text: str) -> None:
    assert refusal_of(text) == "code_malformed"


@given(st.text(max_size=200))
def test_whatever_a_camera_reads_is_refused_in_words(text: str) -> None:
    assert refusal_of(text) == "code_malformed"


def test_a_code_of_another_key_is_forged() -> None:
    assert refusal_of(rules.code_spelled(CODE, key=FOREIGN)) == "code_forged"
    assert refusal_of(SPELLED, key=FOREIGN) == "code_forged"


def test_the_seals_of_two_codes_cannot_be_exchanged() -> None:
    import dataclasses

    other = rules.code_spelled(dataclasses.replace(CODE, cadet_id=119), key=KEY)
    first, second = (base64.b32decode(text.removeprefix("RGMS1.")) for text in (SPELLED, other))
    assert refusal_of("RGMS1." + base64.b32encode(first[:44] + second[44:]).decode()) == "code_forged"
