"""A picture in the worker.

1  remove what an attempt that died has stored: it fails at once, and cheaply, while the storage is away
2  decode and write anew, in memory, one picture at a time on the machine
3  note the name that the file will have      4  store it
5  one transaction: the record's write with its audit entry and event, and the picture's end

Nothing is locked before the last step. Whoever is killed leaves one name in the row, and whoever comes next removes
what stands under it: however often a picture is begun, there is one file.
"""

import datetime as dt
import io
import logging

from django.core.files import File
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from apps.pictures import rules
from apps.pictures.models import Picture, PicturePart, State
from apps.pictures.services.keeping import picture_end
from apps.pictures.services.uses import refusal_tell, use_of
from core.clock import now
from core.errors import DomainError, Unavailable
from core.leases import Claim, LeasedTable, LeaseLost
from core.uploads import (
    file_discard,
    file_kept_by_commit,
    file_name_made,
    file_store_as,
    image_reencoded,
)

logger = logging.getLogger("rgms.pictures")

LEASES = LeasedTable(
    table="pictures_picture",
    lease_seconds=rules.LEASE_SECONDS,
    attempts=rules.ATTEMPTS,
    shows_progress=False,
)


def picture_claim(*, picture_id: int) -> Claim | None:
    """Claim a picture; None when there is nothing to do. Raises RowHeld."""
    claim = LEASES.claim(row_id=picture_id)
    if claim is None:
        _give_up(picture_id)
    return claim


def picture_perform(*, claim: Claim) -> State:
    """Bring a claimed picture to its end, and return it.

    Raises LeaseLost; Unavailable and DatabaseError, after which nothing has changed and another attempt may succeed.
    """
    picture = _owned(claim)
    use = use_of(picture)
    if not file_discard(picture.name):
        raise Unavailable("The file storage is away.", code="storage_unavailable")
    try:
        content = image_reencoded(_sent(picture), largest_bytes=picture.file_bytes, longest_side=use.longest_side)
    except Unavailable:
        raise
    except DomainError as refusal:
        return _refused(claim, code=refusal.errors[0].code if refusal.errors else refusal.code, detail=_words(refusal))
    name = file_name_made(folder=use.folder, extension="jpg")
    with transaction.atomic():
        picture = _locked(claim)
        picture.name = name
        picture.save(update_fields=["name"])
    file_store_as(name=name, content=content)
    with file_kept_by_commit(name):
        state = State.DONE if use.place(picture, name) else State.DROPPED
        # After the record, as whoever sends another one locks them. If this one is no longer ours, all is taken back.
        picture_end(_locked(claim), state=state)
    return state


def picture_fail(*, claim: Claim, code: str, detail: str) -> None:
    """End a picture that broke off, in words. Nothing if it is no longer ours."""
    try:
        _refused(claim, code=code, detail=detail)
    except LeaseLost:
        logger.warning("Picture %s has another owner now", claim.row_id)


def picture_release(*, claim: Claim) -> float:
    """Give a picture back unfinished, as if it had not been tried; return for how many seconds it has waited."""
    own = Picture.objects.filter(pk=claim.row_id, owner=claim.owner, state=State.RUNNING)
    own.update(state=State.QUEUED, owner=None, lease_until=None, attempt=F("attempt") - 1, queued_at=Now())
    sent_at = Picture.objects.values_list("sent_at", flat=True).get(pk=claim.row_id)
    return (now() - sent_at).total_seconds()


def picture_forget(*, picture_id: int, sent_before: dt.datetime) -> bool:
    """Refuse a picture that nobody could put in its place for too long; False if it has ended meanwhile."""
    with transaction.atomic():
        picture = Picture.objects.filter(pk=picture_id, state__in=rules.UNFINISHED, sent_at__lt=sent_before).first()
        if picture is None:
            return False
        subject = use_of(picture).refuse(picture)
        locked = Picture.objects.select_for_update(no_key=True).get(pk=picture_id)
        if locked.state not in rules.UNFINISHED:
            transaction.set_rollback(True)
            return False
        _end_refused(
            locked,
            subject,
            code="waited_too_long",
            detail=f"It could not be stored within {rules.WAIT_HOURS} hours. Send it again.",
        )
    return True


def _owned(claim: Claim) -> Picture:
    picture = Picture.objects.filter(pk=claim.row_id, owner=claim.owner).first()
    if picture is None:
        raise LeaseLost
    return picture


def _locked(claim: Claim) -> Picture:
    """The picture, locked, while it is still ours. Raises LeaseLost."""
    rows = Picture.objects.filter(pk=claim.row_id, owner=claim.owner, state=State.RUNNING)
    picture = rows.select_for_update(no_key=True).first()
    if picture is None:
        raise LeaseLost
    return picture


def _sent(picture: Picture) -> "File[bytes]":
    """What was sent. Raises LeaseLost when the picture's end has taken it away meanwhile."""
    content = io.BytesIO()
    parts = PicturePart.objects.filter(picture=picture)
    # One by one: an answer with all of them would stand in the memory three times over.
    for number in list(parts.order_by("number").values_list("number", flat=True)):
        content.write(parts.values_list("content", flat=True).filter(number=number).first() or b"")
    if content.tell() != picture.file_bytes:
        raise LeaseLost
    return File(content)


def _refused(claim: Claim, *, code: str, detail: str) -> State:
    with transaction.atomic():
        picture = _owned(claim)
        subject = use_of(picture).refuse(picture)
        _end_refused(_locked(claim), subject, code=code, detail=detail)
    return State.REFUSED


def _end_refused(picture: Picture, subject: str | None, *, code: str, detail: str) -> None:
    picture_end(picture, state=State.REFUSED, code=code, detail=detail)
    if subject is not None:
        refusal_tell(picture, subject)  # last, since it locks the account of whoever is told


def _words(refusal: DomainError) -> str:
    return " ".join(error.detail for error in refusal.errors) or refusal.detail


def _give_up(picture_id: int) -> None:
    with transaction.atomic():
        picture = Picture.objects.filter(pk=picture_id, state__in=rules.UNFINISHED).first()
        if picture is None:
            return
        subject = use_of(picture).refuse(picture)
        if not LEASES.is_exhausted(row_id=picture_id):
            transaction.set_rollback(True)
            return
        _end_refused(
            picture,
            subject,
            code="attempts_exhausted",
            detail="It broke off several times while it was worked on. Save it as a usual JPEG, and send it again.",
        )
    logger.error("Picture %s is given up after %s attempts", picture_id, rules.ATTEMPTS)
