from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import JSONObject

from apps.accounts.rules import Principal
from apps.cadets.models import Enrollment
from apps.cadets.selectors import cadet_of_user
from apps.training.models import ExcuseLetter, LetterState, TrainingDay
from core.errors import NotFound

NO_LETTER = "There is no excuse letter with this id that you may see."


def letters_visible_to(
    *,
    principal: Principal,
    state: str | None = None,
    term_id: int | None = None,
    company_id: int | None = None,
    cadet_id: int | None = None,
) -> QuerySet[ExcuseLetter]:
    """Letters, newest first: all for staff, one's own for a cadet. Each has `company`, the cadet's in its term.

    Raises NotFound (`no_cadet_record`) for a cadet's account without a cadet.
    """
    enrollments = Enrollment.objects.filter(cadet=OuterRef("cadet"), term=OuterRef("term"))
    company = enrollments.filter(company__isnull=False).values(found=JSONObject(id="company_id", name="company__name"))
    letters = (
        ExcuseLetter.objects.select_related("cadet", "decided_by")
        .annotate(company=Subquery(company[:1]))
        .order_by("-id")
    )
    if not principal.is_staff_member:
        letters = letters.filter(cadet=cadet_of_user(user_id=principal.user_id))
    given = {"state": state, "term_id": term_id, "cadet_id": cadet_id}
    letters = letters.filter(**{name: value for name, value in given.items() if value is not None})
    if company_id is not None:
        letters = letters.filter(Exists(enrollments.filter(company_id=company_id)))
    return letters


def letter_visible_to(*, principal: Principal, letter_id: int) -> ExcuseLetter:
    """Raises NotFound, for another cadet's letter as well."""
    letter = letters_visible_to(principal=principal).filter(pk=letter_id).first()
    if letter is None:
        raise NotFound(NO_LETTER)
    return letter


def letters_for_day(*, training_day: TrainingDay) -> QuerySet[ExcuseLetter]:
    """The approved letters that excuse a day on its present date.

    One that names a day speaks of its date then: once the day has been moved, the letter no longer excuses it.
    """
    return ExcuseLetter.objects.filter(
        Q(training_day=None) | Q(training_day=training_day),
        term_id=training_day.term_id,
        date_absent=training_day.date,
        state=LetterState.APPROVED,
    ).order_by("cadet_id", "id")
