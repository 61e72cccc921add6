from django.db.models import QuerySet

from apps.training.models import Scan


def scans_of_day(*, training_day_id: int, cadet_id: int | None = None) -> QuerySet[Scan]:
    """The scans of a day that counted, or came too soon or too late to; the latest first."""
    scans = Scan.objects.filter(training_day_id=training_day_id).select_related("cadet")
    if cadet_id is not None:
        scans = scans.filter(cadet_id=cadet_id)
    return scans.order_by("-scanned_at", "-nonce")
