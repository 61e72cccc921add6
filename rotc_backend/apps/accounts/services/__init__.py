"""What can be done with accounts, one module for each noun; other apps import from here."""

from apps.accounts.services.account_checks import account_checked
from apps.accounts.services.audit import audit_record
from apps.accounts.services.cleanup import tokens_cleanup
from apps.accounts.services.invitations import invitation_accept, invitation_create, user_invite
from apps.accounts.services.passwords import user_set_password
from apps.accounts.services.registration import user_create, user_register
from apps.accounts.services.resets import password_reset_request
from apps.accounts.services.sessions import (
    credentials_verify,
    password_change,
    session_end,
    session_open,
    session_rotate,
)
from apps.accounts.services.users import (
    account_hold,
    account_may_become,
    own_account_change,
    user_approve,
    user_archive,
    user_change,
    user_changed_by_admin,
    user_rescue,
    user_restore,
    user_unlock,
)

__all__ = [
    "account_checked",
    "account_hold",
    "account_may_become",
    "audit_record",
    "credentials_verify",
    "invitation_accept",
    "invitation_create",
    "own_account_change",
    "password_change",
    "password_reset_request",
    "session_end",
    "session_open",
    "session_rotate",
    "tokens_cleanup",
    "user_approve",
    "user_archive",
    "user_change",
    "user_changed_by_admin",
    "user_create",
    "user_invite",
    "user_register",
    "user_rescue",
    "user_restore",
    "user_set_password",
    "user_unlock",
]
