"""Pictures on their way from the request to the media storage."""

from core.errors import Conflict

QUEUED, RUNNING, DONE, REFUSED, DROPPED = "queued", "running", "done", "refused", "dropped"
UNFINISHED = (QUEUED, RUNNING)

# What a record says of the file that was sent for it last. Kept in the record are only the first two: a file that has
# arrived speaks for itself.
FILE_PROCESSING, FILE_REFUSED, FILE_READY = "processing", "refused", "ready"
FILE_STATES = (FILE_PROCESSING, FILE_REFUSED, FILE_READY)

PART_BYTES = 512 * 1024  # of a picture's content in one row: what a request has in its memory of it, some times over
# Each shorter than the next: 20 s for the picture before, some for this one, 20 s for each of two calls of the storage.
SOFT_LIMIT_SECONDS, HARD_LIMIT_SECONDS, LEASE_SECONDS = 100, 115, 130
ATTEMPTS = 3  # whose worker died; one that broke off in order does not count
LOST_MINUTES = 5  # a message that did not reach the queue is sent again after so long
WAIT_HOURS = 48  # a storage may be away for so long
KEPT_DAYS = 30  # the row that says what became of a picture, without its content
_FIRST_SECONDS, _MOST_SECONDS = 15.0, 120.0


def file_state(*, name: str, sent: str) -> str | None:
    """What a record shows of its file: `name` is that of the present one, `sent` what is kept of the last one sent."""
    return sent or (FILE_READY if name else None)


def being_prepared() -> Conflict:
    """The answer to who opens a file that the worker has yet to make."""
    return Conflict(
        "The picture was sent and is being prepared. It will be here in some seconds; try again.",
        code="file_processing",
    )


def retry_seconds(*, waited: float, jitter: float) -> float:
    """Seconds until a picture is tried again that waits for `waited` of them: as long again, within bounds."""
    return min(max(waited, _FIRST_SECONDS), _MOST_SECONDS) * (1 + jitter)
