"""Grading policies: the unit's default and the terms' own.

Every write of a policy locks the default row, so they happen one after another. A closed term keeps the policy that
it was graded by: before the default changes, each closed term that followed it gets a copy of its own.
"""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from apps.accounts.rules import ADMIN, CADET, TRAINING_STAFF, Principal
from apps.accounts.services import audit_record
from apps.cadets.models import Term
from apps.cadets.rules import grades_version, term_version
from apps.cadets.services.terms import term_hold_open
from apps.events.services import publish
from apps.grading import rules
from apps.grading.events import GradingPolicyChanged
from apps.grading.models import GradingPolicy
from apps.grading.selectors.policies import policy_default, policy_of_row
from core import cache
from core.errors import Conflict, PreconditionFailed, ValidationFailed
from core.models import apply_changes, lock_row

_FIELDS = (
    "attendance_weight",
    "aptitude_weight",
    "subject_weight",
    "attended_statuses",
    "bands",
    "failing_equivalent",
)
_EVERYBODY = [f"role:{role}" for role in (ADMIN, TRAINING_STAFF, CADET)]
_CHANGED = (
    "Somebody has changed this policy since you read it. Read it again, look at what changed, and repeat your change "
    "with the new ETag."
)


def policy_change_default(*, actor: Principal, expected_version: int, changes: Mapping[str, Any]) -> GradingPolicy:
    """Change the unit's default, from `changes` in the form of rules.policy_record.

    Every open term without a policy of its own follows at once. Raises PreconditionFailed, and ValidationFailed by
    field.
    """
    with transaction.atomic():
        # 1. No term may be closed or reopened meanwhile, or it could follow neither the old policy nor the new one.
        following = Term.objects.filter(grading_policy=None).order_by("id")
        list(following.select_for_update(of=("self",), no_key=True).values_list("pk"))
        # 2. The default.
        row = _lock_default()
        if row.version != expected_version:
            raise PreconditionFailed(_CHANGED)
        wanted = _checked({**_record(row), **changes})
        if not _differ(row, wanted):
            return row
        # 3. What closed terms were graded by stays theirs. Asked anew: where step 1 had to wait, it saw the term as it
        #    is now and its policy as it was before. While the default is locked, no term gets a policy or is closed.
        for term_id in list(following.filter(closed_at__isnull=False).values_list("pk", flat=True)):
            _create(actor=actor, term_id=term_id, record=_record(row), version=row.version + 1)
            cache.touch(term_version(term_id), grades_version(term_id))
        before, after = apply_changes(row, _columns(wanted))
        audit_record(
            actor_id=actor.user_id, action="grading_policy.change", target=_target(None), before=before, after=after
        )
        cache.touch(rules.policy_version())
        publish(event=GradingPolicyChanged(term_id=None), recipients=_EVERYBODY)
    return row


def policy_create_for_term(*, actor: Principal, term_id: int, policy: Mapping[str, Any]) -> tuple[GradingPolicy, bool]:
    """Give a term a policy of its own: (row, whether it is new). The same policy again changes nothing.

    Raises NotFound, ValidationFailed by field, and Conflict: `term_closed`, and `policy_exists` when the term's own
    policy is another one.
    """
    with transaction.atomic():
        term_hold_open(term_id=term_id)
        default = _lock_default()
        wanted = _checked(policy)
        row = GradingPolicy.objects.filter(term_id=term_id).first()
        if row is not None:
            if _differ(row, wanted):
                raise Conflict(
                    "This term has a policy of its own already. Read it and change it with PATCH.", code="policy_exists"
                )
            return row, False
        # One more than the default's, whose ETag stood here until now: it must not pass for the new row's.
        row = _create(actor=actor, term_id=term_id, record=wanted, version=default.version + 1)
        _announce(term_id)
    return row, True


def policy_change_for_term(
    *, actor: Principal, term_id: int, expected_version: int, changes: Mapping[str, Any]
) -> GradingPolicy:
    """Change the policy that a term follows; one that follows the default gets a changed copy of its own.

    Raises NotFound, PreconditionFailed, ValidationFailed by field, and Conflict (`term_closed`).
    """
    with transaction.atomic():
        term_hold_open(term_id=term_id)
        default = _lock_default()
        own = GradingPolicy.objects.filter(term_id=term_id).first()
        row = own or default
        if row.version != expected_version:
            raise PreconditionFailed(_CHANGED)
        wanted = _checked({**_record(row), **changes})
        if not _differ(row, wanted):
            return row
        if own is None:
            row = _create(actor=actor, term_id=term_id, record=wanted, version=default.version + 1)
        else:
            before, after = apply_changes(own, _columns(wanted))
            audit_record(
                actor_id=actor.user_id,
                action="grading_policy.change",
                target=_target(term_id),
                before=before,
                after=after,
            )
        _announce(term_id)
    return row


def policy_default_ensure(*, using: str) -> None:
    """Put a lost default row back, as the unit has decided it; an existing one is left alone."""
    rows = GradingPolicy.objects.using(using)
    if not rows.filter(term=None).exists():
        # Of several processes that find it missing, one wins.
        rows.bulk_create([GradingPolicy(term=None, **rules.UNIT_POLICY)], ignore_conflicts=True)


def _lock_default() -> GradingPolicy:
    policy_default()  # its absence has words of its own
    return lock_row(GradingPolicy.objects.filter(term=None))


def _create(*, actor: Principal, term_id: int, record: Mapping[str, Any], version: int) -> GradingPolicy:
    row = GradingPolicy.objects.create(term_id=term_id, version=version, **_columns(record))
    row.refresh_from_db()
    audit_record(actor_id=actor.user_id, action="grading_policy.create", target=_target(term_id), after=dict(record))
    return row


def _announce(term_id: int) -> None:
    cache.touch(term_version(term_id), grades_version(term_id))
    publish(event=GradingPolicyChanged(term_id=term_id), recipients=_EVERYBODY)


def _checked(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record in its one spelling. Raises ValidationFailed."""
    policy = rules.policy_of_record(record)
    problems = rules.policy_problems(policy)
    if problems:
        raise ValidationFailed("This policy cannot be used as it is.", errors=problems)
    return rules.policy_record(rules.policy_spelled(policy))


def _record(row: GradingPolicy) -> dict[str, Any]:
    return rules.policy_record(rules.policy_spelled(policy_of_row(row)))


def _columns(record: Mapping[str, Any]) -> dict[str, Any]:
    policy = rules.policy_of_record(record)
    weights = {f"{component}_weight": getattr(policy, f"{component}_weight") for component in rules.COMPONENTS}
    return {**weights, **{name: record[name] for name in _FIELDS if name not in weights}}


def _differ(row: GradingPolicy, wanted: Mapping[str, Any]) -> bool:
    return _record(row) != wanted


def _target(term_id: int | None) -> str:
    return "grading_policy:default" if term_id is None else f"grading_policy:term:{term_id}"
