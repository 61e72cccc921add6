"""Numbers of a workbook that are days and times, by the format in which they are shown (ECMA-376-1, 18.8.30)."""

import datetime as dt
import re
from dataclasses import dataclass

from core.tables import Value

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,15}", re.ASCII)
_NOT_SHOWN = re.compile(r'"[^"]*"?|\\.|[_*].|\[(?![hms]+\])[^\]]*\]', re.IGNORECASE | re.DOTALL)
_START_1900 = dt.datetime(1899, 12, 30)  # noqa: DTZ001 - days of a spreadsheet know no zone
_START_1904 = dt.datetime(1904, 1, 1)  # noqa: DTZ001
# Before that, Excel counts a 29 February 1900, and what exceeds 24 hours is a length of time.
_FIRST_SERIAL = 61
_LAST_SERIAL = 2_900_000
_MILLISECONDS = 86_400_000


@dataclass(frozen=True, kw_only=True)
class NumberFormat:
    """Whether a number is shown as a day, as a time of the day, or both; with neither it is a number, and may be shown
    a hundredfold."""

    day: bool
    clock: bool
    percent: bool = False


PLAIN = NumberFormat(day=False, clock=False)
_DAY, _CLOCK, _BOTH = (
    NumberFormat(day=True, clock=False),
    NumberFormat(day=False, clock=True),
    NumberFormat(day=True, clock=True),
)
# The formats that have a number only. 27 to 36 and 50 to 58 are those of East Asian languages.
BUILT_IN = {
    **dict.fromkeys([*range(14, 18), *range(27, 32), 36, *range(50, 55), 57, 58], _DAY),
    **dict.fromkeys([*range(18, 22), *range(32, 36), *range(45, 48), 55, 56], _CLOCK),
    22: _BOTH,
    **dict.fromkeys([9, 10], NumberFormat(day=False, clock=False, percent=True)),
}


def number_format(code: str) -> NumberFormat:
    """What a format such as `[$-3409]d\\-mmm\\-yyyy;@` shows, by its first section."""
    shown = _NOT_SHOWN.sub("", code).partition(";")[0].lower()
    clock = "h" in shown or "s" in shown
    day = "d" in shown or "y" in shown or ("m" in shown and not clock)
    return NumberFormat(day=day, clock=clock, percent="%" in shown)


def number_value(text: str, shown: NumberFormat, *, from_1904: bool) -> Value | None:
    """The number, day or time that `text` stands for, or None if it is none of them."""
    if _WHOLE.fullmatch(text):
        number: int | float = int(text)
    elif _NUMBER.fullmatch(text):
        number = float(text)
    else:
        return None
    if not (shown.day or shown.clock):
        return number if abs(number) < float("inf") else None
    if 0 <= number < 1 and (shown.clock or number > 0):
        return _time(number)
    if _FIRST_SERIAL <= number < _LAST_SERIAL:
        return _instant(number, shown, _START_1904 if from_1904 else _START_1900)
    return number if abs(number) < float("inf") else None


def _time(number: float) -> dt.time:
    passed = min(round(number * _MILLISECONDS), _MILLISECONDS - 1)
    return (_START_1900 + dt.timedelta(milliseconds=passed)).time()


def _instant(number: float, shown: NumberFormat, start: dt.datetime) -> dt.datetime | dt.date:
    instant = start + dt.timedelta(milliseconds=round(number * _MILLISECONDS))
    return instant if shown.clock or instant.time() != dt.time.min else instant.date()
