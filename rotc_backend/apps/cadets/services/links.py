"""Which account stands behind which record: at most one cadet or one staff profile, and a role that fits.

The record is locked first, then the account: two records that want the same account are told apart by its lock, two
accounts for the same record by the record's.
"""

from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.accounts.rules import Principal
from apps.cadets import rules
from apps.cadets.models import Cadet, StaffProfile
from apps.cadets.services import cadets, staff
from core.errors import Conflict, FieldError, ValidationFailed
from core.models import lock_row

_REFUSALS = {
    "account_archived": "This account is archived. Restore it first.",
    "role_does_not_fit": "The role of this account does not fit: cadets have cadet accounts, staff the others.",
}


def cadet_account_link(*, actor: Principal, cadet_id: int, user_id: int) -> Cadet:
    """Put an account behind a cadet's record; nothing happens if it is there already.

    Raises NotFound, ValidationFailed (`unknown_user` at `user_id`), and Conflict: `record_archived`, `already_linked`
    (the record has another account), `account_linked` (the account has another record), `account_archived`,
    `role_does_not_fit`.
    """
    with transaction.atomic():
        cadet = lock_row(Cadet.objects.filter(pk=cadet_id), missing=cadets.MISSING)
        if cadet.user_id != user_id:
            _refuse_unfit(cadet, record=rules.CADET_RECORD, user_id=user_id)
            cadets.cadet_apply(cadet, {"user_id": user_id}, actor=actor, action="cadet.link_account")
    return cadet


def cadet_account_unlink(*, actor: Principal, cadet_id: int) -> Cadet:
    """Leave the record without an account; the account itself stays as it is. Raises NotFound."""
    with transaction.atomic():
        cadet = lock_row(Cadet.objects.filter(pk=cadet_id), missing=cadets.MISSING)
        former = cadet.user_id
        cadets.cadet_apply(cadet, {"user_id": None}, actor=actor, action="cadet.unlink_account", former_user_id=former)
    return cadet


def staff_account_link(*, actor: Principal, staff_id: int, user_id: int) -> StaffProfile:
    """Put an account behind a staff profile. Raises as `cadet_account_link`."""
    with transaction.atomic():
        profile = lock_row(StaffProfile.objects.filter(pk=staff_id), missing=staff.MISSING)
        if profile.user_id != user_id:
            _refuse_unfit(profile, record=rules.STAFF_RECORD, user_id=user_id)
            staff.staff_apply(profile, {"user_id": user_id}, actor=actor, action="staff.link_account")
    return profile


def staff_account_unlink(*, actor: Principal, staff_id: int) -> StaffProfile:
    """Leave the profile without an account; the account itself stays as it is. Raises NotFound."""
    with transaction.atomic():
        profile = lock_row(StaffProfile.objects.filter(pk=staff_id), missing=staff.MISSING)
        former = profile.user_id
        staff.staff_apply(profile, {"user_id": None}, actor=actor, action="staff.unlink_account", former_user_id=former)
    return profile


def account_check(*, user_id: int, role: str | None, restores: bool, **_: Any) -> None:
    """Refuse a new role, or a restore, of an account whose record does not allow it; connected in apps.py.

    Under the account's lock, which who links it takes as well. Raises Conflict (`role_does_not_fit`,
    `record_archived`).
    """
    for record, rows in (
        (rules.CADET_RECORD, Cadet.objects.filter(user_id=user_id)),
        (rules.STAFF_RECORD, StaffProfile.objects.filter(user_id=user_id)),
    ):
        for archived_at in rows.values_list("archived_at", flat=True):
            if role is not None and role not in rules.ROLES_OF_RECORD[record]:
                raise Conflict(
                    "This account is linked to a record that the new role does not fit. Unlink it there first.",
                    code="role_does_not_fit",
                )
            if restores and archived_at is not None:
                raise Conflict(
                    "The record that this account is linked to is archived. Restore that, or unlink the account there.",
                    code="record_archived",
                )


def _refuse_unfit(row: Cadet | StaffProfile, *, record: str, user_id: int) -> None:
    if row.archived_at is not None:
        raise Conflict("This record is archived. Restore it first.", code="record_archived")
    if row.user_id is not None:
        raise Conflict("This record has an account already. Unlink that one first.", code="already_linked")
    # NO KEY: rows that refer to the account can still be inserted meanwhile.
    account = User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
    if account is None:
        detail = "There is no account with this id."
        raise ValidationFailed(detail, errors=[FieldError(field="user_id", code="unknown_user", detail=detail)])
    refusal = rules.account_refusal(record=record, role=account.role, archived=account.archived_at is not None)
    if refusal is not None:
        raise Conflict(_REFUSALS[refusal], code=refusal)
    # Only now, under the account's lock: nobody else can link it meanwhile.
    if Cadet.objects.filter(user_id=user_id).exists() or StaffProfile.objects.filter(user_id=user_id).exists():
        raise Conflict("This account belongs to another record already. Unlink it there first.", code="account_linked")
