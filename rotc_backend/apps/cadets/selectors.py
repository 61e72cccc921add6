"""What can be asked about the unit's people and terms."""

from apps.cadets.models import Cadet, Enrollment, StaffProfile, Term
from core.errors import NotFound


def term_current() -> Term:
    """The term that is current. Raises NotFound (`no_current_term`) while no administrator has chosen one."""
    term = Term.objects.filter(is_current=True).first()
    if term is None:
        raise NotFound("No term is current. An administrator has to make one current.", code="no_current_term")
    return term


def term_by_id(*, term_id: int) -> Term:
    """Raises NotFound."""
    term = Term.objects.filter(pk=term_id).first()
    if term is None:
        raise NotFound("There is no term with this id.")
    return term


def cadet_of_user(*, user_id: int) -> Cadet:
    """The cadet whose account this is. Raises NotFound (`no_cadet_record`), also for an archived cadet."""
    cadet = Cadet.objects.filter(user_id=user_id, archived_at=None).first()
    if cadet is None:
        raise NotFound(
            "This account is not linked to a cadet's record. Ask an administrator to link it.", code="no_cadet_record"
        )
    return cadet


def enrollment_of(*, cadet_id: int, term_id: int) -> Enrollment:
    """Raises NotFound (`not_enrolled`)."""
    enrollment = (
        Enrollment.objects.filter(cadet_id=cadet_id, term_id=term_id)
        .select_related("cadet", "term", "company", "platoon")
        .first()
    )
    if enrollment is None:
        raise NotFound("This cadet is not enrolled in this term.", code="not_enrolled")
    return enrollment


def staff_function_of(*, user_id: int) -> str | None:
    """The function of the staff profile that belongs to an account; None where there is none or it is archived."""
    return StaffProfile.objects.filter(user_id=user_id, archived_at=None).values_list("function", flat=True).first()
