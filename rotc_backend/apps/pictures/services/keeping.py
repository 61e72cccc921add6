"""A picture in the request: what was sent is written down, and the worker asked for the rest."""

from django.core.files import File

from apps.accounts.rules import Principal
from apps.pictures.jobs import PictureProcess
from apps.pictures.models import Picture, PicturePart, State
from apps.pictures.rules import PART_BYTES, UNFINISHED
from core.after_commit import enqueue
from core.clock import now
from core.uploads import file_discard_on_commit


def picture_keep(*, actor: Principal, purpose: str, upload: "File[bytes]") -> Picture:
    """Write down what was sent and has been checked. Call it in the transaction of the record's write, and before its
    lock, which should not be held for as long as ten megabytes take; then `picture_submit`.
    """
    picture = Picture.objects.create(purpose=purpose, file_bytes=upload.size, sent_by_id=actor.user_id, sent_at=now())
    upload.seek(0)
    for number, content in enumerate(iter(lambda: upload.read(PART_BYTES), b"")):
        PicturePart.objects.create(picture=picture, number=number, content=content)
    return picture


def picture_submit(*, picture: Picture, record_id: int) -> None:
    """Let the worker make of a kept picture what a record asks for. The caller holds the record.

    One that still waits for the same record is dropped: the newest counts, whichever is worked on first.
    """
    picture_drop(purpose=picture.purpose, record_id=record_id)
    picture.record_id = record_id
    picture.save(update_fields=["record_id"])
    enqueue(PictureProcess(picture_id=picture.pk))


def picture_drop(*, purpose: str, record_id: int) -> None:
    """Give up what waits for a record, also what a worker is at just now. The caller holds the record."""
    waiting = Picture.objects.filter(purpose=purpose, record_id=record_id, state__in=UNFINISHED)
    for picture in waiting.select_for_update(no_key=True):
        picture_end(picture, state=State.DROPPED)


def picture_end(picture: Picture, *, state: State, code: str = "", detail: str = "") -> None:
    """Write how a locked picture has ended. What was sent goes, and so does what an attempt has stored in vain."""
    if state != State.DONE:
        file_discard_on_commit(picture.name)
    picture.state, picture.problem_code, picture.problem = state, code, detail
    picture.name, picture.owner, picture.lease_until, picture.finished_at = "", None, None, now()
    picture.save(update_fields=["state", "problem_code", "problem", "name", "owner", "lease_until", "finished_at"])
    PicturePart.objects.filter(picture=picture).delete()
