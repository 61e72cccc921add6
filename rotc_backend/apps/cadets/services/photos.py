"""Cadets' photos. What is sent waits in the database until the worker has written it anew; the present photo stays for
so long. The file is stored before the transaction that names it, and the one that it replaces is deleted after the
commit: whatever fails, the row names a file that exists.
"""

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from apps.accounts.rules import Principal
from apps.accounts.selectors import principal_of_user
from apps.accounts.services import audit_record
from apps.cadets import selectors
from apps.cadets.models import Cadet
from apps.cadets.services.cadets import MISSING, cadet_apply
from apps.pictures.models import Picture, SentFile
from apps.pictures.services import Use, picture_drop, picture_keep, picture_submit
from core.models import lock_row
from core.uploads import LONGEST_SIDE, file_discard_on_commit, image_checked

_PURPOSE = "cadet_photo"


def cadet_photo_set(*, actor: Principal, cadet_id: int, upload: "UploadedFile[bytes]") -> Cadet:
    """Let the worker make what was sent the photo of a cadet. Sent again meanwhile, the newest counts.

    Raises NotFound, and ValidationFailed and ContentTooLarge for what is no photo.
    """
    selectors.cadet_by_id(cadet_id=cadet_id)  # before the file is looked at
    image_checked(upload)
    with transaction.atomic():
        picture = picture_keep(actor=actor, purpose=_PURPOSE, upload=upload)
        cadet = lock_row(Cadet.objects.filter(pk=cadet_id), missing=MISSING)
        picture_submit(picture=picture, record_id=cadet.pk)
        sent = {"photo_sent": SentFile.PROCESSING.value}
        if not cadet_apply(cadet, sent, actor=actor, action="cadet.send_photo"):  # another one waits already
            audit_record(actor_id=actor.user_id, action="cadet.send_photo", target=f"cadet:{cadet.pk}", after=sent)
    return cadet


def cadet_photo_remove(*, actor: Principal, cadet_id: int) -> Cadet:
    """Remove the photo of a cadet, and one that waits; nothing happens where there is none. Raises NotFound."""
    with transaction.atomic():
        cadet = lock_row(Cadet.objects.filter(pk=cadet_id), missing=MISSING)
        former = cadet.photo
        picture_drop(purpose=_PURPOSE, record_id=cadet.pk)
        if cadet_apply(cadet, {"photo": "", "photo_sent": ""}, actor=actor, action="cadet.remove_photo"):
            file_discard_on_commit(former)
    return cadet


# --- When the worker has looked at it ---------------------------------------------------------------------------------


def _place(picture: Picture, name: str) -> bool:
    cadet, actor = _cadet_of(picture), principal_of_user(picture.sent_by)
    if _archived_since(cadet, picture):
        cadet_apply(cadet, {"photo_sent": ""}, actor=actor, action="cadet.drop_photo")
        return False
    former = cadet.photo
    cadet_apply(cadet, {"photo": name, "photo_sent": ""}, actor=actor, action="cadet.set_photo")
    file_discard_on_commit(former)
    return True


def _refuse(picture: Picture) -> str | None:
    cadet, actor = _cadet_of(picture), principal_of_user(picture.sent_by)
    if _archived_since(cadet, picture):
        cadet_apply(cadet, {"photo_sent": ""}, actor=actor, action="cadet.drop_photo")
        return None
    cadet_apply(cadet, {"photo_sent": SentFile.REFUSED.value}, actor=actor, action="cadet.refuse_photo")
    return f"the photo of {cadet.full_name}"


def _cadet_of(picture: Picture) -> Cadet:
    return lock_row(Cadet.objects.filter(pk=picture.target), missing=MISSING)


def _archived_since(cadet: Cadet, picture: Picture) -> bool:
    return cadet.archived_at is not None and cadet.archived_at > picture.sent_at


PHOTO = Use(purpose=_PURPOSE, folder="cadets", longest_side=LONGEST_SIDE, place=_place, refuse=_refuse)
