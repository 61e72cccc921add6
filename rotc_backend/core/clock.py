"""Time as the unit keeps it: instants in UTC, days in Manila."""

import datetime as dt
from zoneinfo import ZoneInfo

MANILA = ZoneInfo("Asia/Manila")


def now() -> dt.datetime:
    """The present instant, aware, in UTC."""
    return dt.datetime.now(tz=dt.UTC)


def manila_date(instant: dt.datetime) -> dt.date:
    """The calendar day in Manila at `instant`: training days, "today" and the daily report follow it."""
    return instant.astimezone(MANILA).date()


def manila_day(day: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """The half-open interval [start, end) of instants that make up `day` in Manila."""
    start = dt.datetime.combine(day, dt.time.min, tzinfo=MANILA)
    return start.astimezone(dt.UTC), (start + dt.timedelta(days=1)).astimezone(dt.UTC)


def iso(instant: dt.datetime) -> str:
    """ISO 8601 with offset Z and milliseconds, as every timestamp in JSON is written."""
    return instant.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
