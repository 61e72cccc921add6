"""Log records as JSON lines, without secrets."""

import datetime as dt
import json
import logging
import math
import re
import traceback
from typing import Any

from core.measure import current_request_id

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# A token can reach a message through a URL (?token=…), a header, or an exception's text.
_SECRETS = (
    re.compile(r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]+\.[\w-]*"),
    re.compile(r"(?i)(?<=bearer )[^\s\"',]+"),
    re.compile(r"(?i)(?<=[?&]token=)[^&\s\"']+"),
    re.compile(r"(?<=/report-files/)[^/\s\"'?]+"),  # who has such a link has the file
    re.compile(r"(?<=://)[^/\s:@\"]*:[^/\s\"]+(?=@)"),  # to the last @: a password may hold one unescaped
)


def without_secrets(text: str) -> str:
    """`text` with tokens, bearer headers and passwords in URLs replaced."""
    for pattern in _SECRETS:
        text = pattern.sub("[removed]", text)
    return text


def places_of(error: BaseException) -> str:
    """Where it happened, innermost first: for errors whose own words may quote names or grades."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: at, level, logger, message, service facts given by `extra`, request_id, exception."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "at": dt.datetime.fromtimestamp(record.created, tz=dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := current_request_id():
            entry["request_id"] = request_id
        for key, value in vars(record).items():
            # Objects of frameworks (the request of django.request, the data of celery) are not for a log line.
            if key not in _STANDARD | entry.keys() and key[0] != "_" and isinstance(value, str | int | float | None):
                entry[key] = value
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        # Cleaned before it is JSON: a pattern that ran over the escapes would leave a line that nobody can parse.
        line = json.dumps({key: _printable(value) for key, value in entry.items()}, ensure_ascii=False)
        return line.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair would fail in the stream


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value  # JSON has no NaN
