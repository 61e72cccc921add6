"""Cadets' photos. The file is stored before the transaction, which must not wait for the storage, and the one that it
replaces is deleted after the commit: whatever fails, the row names a file that exists.
"""

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from apps.accounts.rules import Principal
from apps.cadets import selectors
from apps.cadets.models import Cadet
from apps.cadets.services.cadets import MISSING, cadet_apply
from core.models import lock_row
from core.uploads import file_discard_on_commit, file_kept_by_commit, file_store, image_reencoded


def cadet_photo_set(*, actor: Principal, cadet_id: int, upload: "UploadedFile[bytes]") -> Cadet:
    """Replace the photo of a cadet.

    Raises NotFound, ValidationFailed and ContentTooLarge for what is no photo, Unavailable (`storage_unavailable`).
    """
    selectors.cadet_by_id(cadet_id=cadet_id)  # before the file is worked on
    name = file_store(folder="cadets", extension="jpg", content=image_reencoded(upload))
    with file_kept_by_commit(name):
        cadet = lock_row(Cadet.objects.filter(pk=cadet_id), missing=MISSING)
        former = cadet.photo
        cadet_apply(cadet, {"photo": name}, actor=actor, action="cadet.set_photo")
        if former:
            file_discard_on_commit(former)
    return cadet


def cadet_photo_remove(*, actor: Principal, cadet_id: int) -> Cadet:
    """Remove the photo of a cadet; nothing happens where there is none. Raises NotFound."""
    with transaction.atomic():
        cadet = lock_row(Cadet.objects.filter(pk=cadet_id), missing=MISSING)
        former = cadet.photo
        if cadet_apply(cadet, {"photo": ""}, actor=actor, action="cadet.remove_photo"):
            file_discard_on_commit(former)
    return cadet
