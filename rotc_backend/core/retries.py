"""When work that could not be done is tried again: after how many seconds, and how often. `config.celery` obeys."""

ATTEMPTS = 8  # failed ones of a task, after which it is laid aside for an administrator
STARTS = 5  # of a task whose process ended each time: the sixth would end it too
_FIRST_SECONDS, _MOST_SECONDS = 15, 120
# Redis hands out a message a second time once it has waited for VISIBILITY_SECONDS: no wait may be as long.
LONGEST_WAIT_SECONDS = 270.0


class TryLater(Exception):
    """What the work needs is held by somebody else, or away. No failed attempt is counted: again in `seconds`."""

    def __init__(self, *, seconds: float, why: str = "") -> None:
        super().__init__(why or f"again in {seconds:.0f} s")
        self.seconds = seconds


def retry_delay_seconds(*, attempt: int, jitter: float) -> float:
    """Seconds until failed work is tried again: 15, 30, 60, 120 … and up to as much again by `jitter` from 0 to 1."""
    return float(min(_FIRST_SECONDS * 2 ** (attempt - 1), _MOST_SECONDS)) * (1 + jitter)


def wait_seconds(asked: float) -> float:
    """How long a message may wait that asks for so many seconds; work that comes too early just waits again."""
    return min(max(asked, 0.0), LONGEST_WAIT_SECONDS)
