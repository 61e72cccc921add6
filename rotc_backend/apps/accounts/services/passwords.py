from django.contrib.auth.hashers import get_hasher, get_hashers, make_password, verify_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from apps.accounts import rules
from apps.accounts.models import User
from apps.accounts.services.audit import audit_record
from apps.accounts.services.revocations import links_end, sessions_revoke
from core.errors import FieldError, ValidationFailed
from core.models import lock_row

# Of the cost that the replaced system used; no password has it.
_LEGACY_OF_NOBODY = rules.LEGACY_PREFIX + "$2b$10$" + "." * 53


def password_matches(*, user: User | None, password: str) -> bool:
    """Whether it is the account's password; a legacy or cheaper hash is then replaced. Slow, outside a transaction.

    A wrong one costs the same hashing for every account and for none: otherwise the time of the answer would tell
    which names exist and which accounts have not signed in since they were taken over.
    """
    stored = user.password if user is not None else ""
    plain = rules.legacy_hash_of(stored)
    legacy = plain is not None
    if user is None:
        make_password(password)
        matches = must_update = False
    else:
        matches, must_update = verify_password(password, rules.LEGACY_PREFIX + plain if plain else stored)
    if not matches:
        if legacy:
            make_password(password)
        elif rules.LEGACY_PREFIX.rstrip("$") in {hasher.algorithm for hasher in get_hashers()}:
            get_hasher("bcrypt").verify(password, _LEGACY_OF_NOBODY)
        return False
    if user is not None and must_update:
        replaced = make_password(password)
        # Only over the hash that was compared: otherwise a parallel change of the password would be undone.
        if User.objects.filter(pk=user.pk, password=stored).update(password=replaced):
            user.password = replaced
    return True


def password_encode(*, user: User, password: str, field: str = "password") -> str:
    """The hash to store. Raises ValidationFailed naming `field` when the policy refuses the password. Slow."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValidationFailed(
            "The password is too weak.",
            errors=[
                FieldError(field=field, code=inner.code or "weak", detail=" ".join(inner.messages))
                for inner in error.error_list
            ],
        ) from error
    return make_password(password)


def user_set_password(*, actor_id: int | None, user: User, password: str) -> None:
    """Replace the password and end all sessions of the account. Raises ValidationFailed."""
    encoded = password_encode(user=user, password=password)
    with transaction.atomic():
        lock_row(User.objects.filter(pk=user.pk))
        password_store(user=user, encoded=encoded)
        audit_record(actor_id=actor_id, action="user.set_password", target=f"user:{user.pk}")


def password_store(*, user: User, encoded: str) -> None:
    """Write the hash, end all sessions and the open link, in the transaction of a caller that holds the row's lock."""
    user.password = encoded
    User.objects.filter(pk=user.pk).update(password=encoded)
    sessions_revoke(user)
    links_end(user)
