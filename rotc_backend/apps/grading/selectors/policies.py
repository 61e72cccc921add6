"""Grading policies."""

from collections.abc import Iterable

from django.db.models import Q

from apps.grading import rules
from apps.grading.models import GradingPolicy
from core.errors import Unavailable


def policy_default() -> GradingPolicy:
    """The unit's default. Raises Unavailable (`policy_missing`) without its row: nothing is graded by a guess."""
    return _present(GradingPolicy.objects.filter(term=None).first())


def policy_in_force(*, term_id: int) -> GradingPolicy:
    """The term's own policy, or else the default. Raises Unavailable (`policy_missing`)."""
    rows = {row.term_id: row for row in GradingPolicy.objects.filter(Q(term_id=term_id) | Q(term=None))}
    return _present(rows.get(term_id) or rows.get(None))


def policies_of(*, term_ids: Iterable[int]) -> dict[int, rules.Policy]:
    """The policy that each of these terms follows, by one query. Raises Unavailable (`policy_missing`)."""
    wanted = set(term_ids)
    rows = {row.term_id: row for row in GradingPolicy.objects.filter(Q(term_id__in=wanted) | Q(term=None))}
    return {term_id: policy_of_row(_present(rows.get(term_id) or rows.get(None))) for term_id in wanted}


def policy_of_row(row: GradingPolicy) -> rules.Policy:
    return rules.policy_of_record(
        {
            "attendance_weight": row.attendance_weight,
            "aptitude_weight": row.aptitude_weight,
            "subject_weight": row.subject_weight,
            "attended_statuses": row.attended_statuses,
            "bands": row.bands,
            "failing_equivalent": row.failing_equivalent,
        }
    )


def _present(row: GradingPolicy | None) -> GradingPolicy:
    if row is None:
        raise Unavailable(
            "The default grading policy is missing, so nothing can be graded. An operator has to run "
            "`manage.py migrate`, which puts it back.",
            code="policy_missing",
        )
    return row
