"""What can be done with accounts, one module for each noun; other apps import from here."""

from apps.accounts.services.account_checks import account_checked
from apps.accounts.services.audit import Audited, audit_record, audit_record_many
from apps.accounts.services.cleanup import tokens_cleanup
from apps.accounts.services.invitations import invitation_accept, invitation_create, user_invite
from apps.accounts.services.lockout import attempts_unlock
from apps.accounts.services.mails import (
    ToSend,
    mail_preferences_change,
    mail_resend,
    mails_expire,
    mails_queue,
    mails_resume,
)
from apps.accounts.services.passwords import user_set_password
from apps.accounts.services.registration import user_create, user_register
from apps.accounts.services.resets import password_reset_request
from apps.accounts.services.sessions import (
    credentials_verify,
    password_change,
    session_end,
    session_end_of_other,
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
    "Audited",
    "ToSend",
    "account_checked",
    "account_hold",
    "account_may_become",
    "attempts_unlock",
    "audit_record",
    "audit_record_many",
    "credentials_verify",
    "invitation_accept",
    "invitation_create",
    "mail_preferences_change",
    "mail_resend",
    "mails_expire",
    "mails_queue",
    "mails_resume",
    "own_account_change",
    "password_change",
    "password_reset_request",
    "session_end",
    "session_end_of_other",
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
