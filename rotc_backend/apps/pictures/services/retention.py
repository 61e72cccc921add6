"""What is done about pictures whose worker or message was lost, and about old rows."""

import datetime as dt

from django.db import transaction

from apps.pictures import rules
from apps.pictures.jobs import PictureProcess
from apps.pictures.models import Picture
from apps.pictures.services.processing import LEASES, picture_forget
from core.after_commit import enqueue
from core.clock import now


def pictures_resume() -> int:
    """Ask the worker again for what waits too long, or whose worker has died; return how many.

    A message more than needed does nothing: whoever takes the first one claims the picture.
    """
    lost = LEASES.without_worker(lost_minutes=rules.LOST_MINUTES)
    with transaction.atomic():
        for picture_id in lost:
            enqueue(PictureProcess(picture_id=picture_id))
    return len(lost)


def pictures_expire() -> int:
    """Refuse what could not be put in its place for too long, and remove old rows; return how many of both."""
    present = now()
    late = present - dt.timedelta(hours=rules.WAIT_HOURS)
    waiting = Picture.objects.filter(state__in=rules.UNFINISHED, sent_at__lt=late).order_by("pk")
    refused = sum(
        picture_forget(picture_id=picture_id, sent_before=late)
        for picture_id in list(waiting.values_list("pk", flat=True))
    )
    old = Picture.objects.filter(finished_at__lt=present - dt.timedelta(days=rules.KEPT_DAYS))
    removed, _ = old.delete()
    return refused + removed
