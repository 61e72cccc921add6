"""Merits, demerits and adjustments, and the leaderboard of lifetime merits."""

from typing import Any

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Sum, Window
from django.db.models.functions import DenseRank

from apps.cadets.models import Cadet, Enrollment
from apps.grading.models import Adjustment, MeritDemerit, MeritKind
from core.errors import NotFound

_NEVER_REVOKED = Q(enrollments__merits__kind=MeritKind.MERIT, enrollments__merits__revoked_at=None)


def merits_list(
    *,
    cadet_id: int | None = None,
    term_id: int | None = None,
    kind: str | None = None,
    revoked: bool | None = None,
) -> QuerySet[MeritDemerit]:
    """Merits and demerits, newest first, with whom they concern and who issued and revoked them."""
    rows = MeritDemerit.objects.select_related("enrollment__cadet", "issued_by", "revoked_by").order_by("-id")
    if cadet_id is not None:
        rows = rows.filter(enrollment__cadet_id=cadet_id)
    if term_id is not None:
        rows = rows.filter(enrollment__term_id=term_id)
    if kind is not None:
        rows = rows.filter(kind=kind)
    if revoked is not None:
        rows = rows.filter(revoked_at__isnull=not revoked)
    return rows


def merit_by_id(*, merit_id: int) -> MeritDemerit:
    """Raises NotFound."""
    row = merits_list().filter(pk=merit_id).first()
    if row is None:
        raise NotFound("There is no merit or demerit with this id.")
    return row


def adjustments_list(*, enrollment_id: int | None = None, term_id: int | None = None) -> QuerySet[Adjustment]:
    """Adjustments, newest first, with whom they concern and who issued and revoked them."""
    rows = Adjustment.objects.select_related("enrollment__cadet", "issued_by", "revoked_by").order_by("-id")
    if enrollment_id is not None:
        rows = rows.filter(enrollment_id=enrollment_id)
    if term_id is not None:
        rows = rows.filter(enrollment__term_id=term_id)
    return rows


def adjustment_by_id(*, adjustment_id: int) -> Adjustment:
    """Raises NotFound."""
    row = adjustments_list().filter(pk=adjustment_id).first()
    if row is None:
        raise NotFound("There is no adjustment with this id.")
    return row


def lifetime_merits_of(*, cadet_id: int) -> int:
    """A cadet's merits over all terms, without those revoked; demerits take nothing away."""
    own = MeritDemerit.objects.filter(enrollment__cadet_id=cadet_id, kind=MeritKind.MERIT, revoked_at=None)
    return int(own.aggregate(total=Sum("points"))["total"] or 0)


def leaderboard() -> QuerySet[Any]:
    """Cadets who have merits and are not archived, with `lifetime_merits`, `place` and `company_name`, best first.

    The same merits share a place and no place is left out; among equals names decide, so the order is total.
    """
    company = Enrollment.objects.filter(cadet=OuterRef("pk"), term__is_current=True).values("company__name")[:1]
    return (
        _merited()
        .annotate(
            place=Window(DenseRank(), order_by=F("lifetime_merits").desc()),
            company_name=Subquery(company),
        )
        .order_by("place", "last_name", "first_name", "id")
    )


def merited_count() -> int:
    """How many cadets stand on the leaderboard."""
    found = Cadet.objects.filter(_NEVER_REVOKED, archived_at=None).aggregate(count=Count("pk", distinct=True))
    return int(found["count"])


def place_of(*, lifetime_merits: int) -> int | None:
    """The place that so many merits have on the leaderboard; None without any."""
    if not lifetime_merits:
        return None
    above = _merited().filter(lifetime_merits__gt=lifetime_merits).values("lifetime_merits").distinct()
    return above.count() + 1


def _merited() -> QuerySet[Any]:
    rows: QuerySet[Any] = Cadet.objects.filter(_NEVER_REVOKED, archived_at=None)
    return rows.annotate(lifetime_merits=Sum("enrollments__merits__points"))
