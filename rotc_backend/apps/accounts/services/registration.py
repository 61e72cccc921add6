from typing import Any

from django.db import IntegrityError, transaction

from apps.accounts import rules
from apps.accounts.events import UserCreated, UserRegistered
from apps.accounts.models import Role, Status, User
from apps.accounts.services.accounts import account_target, account_tell, malformed_refuse
from apps.accounts.services.audit import audit_record
from apps.accounts.services.lockout import address_guards, attempt_count, lockout_check
from apps.accounts.services.passwords import password_encode
from core.errors import Conflict, FieldError, ValidationFailed


def user_create(
    *,
    actor_id: int | None,
    username: str,
    role: Role,
    status: Status,
    password: str | None = None,
    email: str = "",
    first_name: str = "",
    last_name: str = "",
    legacy_hash: str | None = None,
) -> User:
    """Create an account; without a password nobody can sign in to it.

    `legacy_hash` takes over a password of the replaced system instead: a plain bcrypt hash (`$2a$`, `$2b$` or `$2y$`,
    cost 4 to 14), which the first sign-in replaces. Raises ValidationFailed for a field that is malformed or a
    password that the policy refuses, Conflict (`username_taken`) for a name in use.
    """
    return _create(
        actor_id=actor_id,
        action="user.create",
        password=password,
        legacy_hash=legacy_hash,
        # Without an actor accounts are made by commands, many at once, which nobody watches.
        event=UserCreated if actor_id is not None else None,
        username=username,
        role=role,
        status=status,
        email=email,
        first_name=first_name,
        last_name=last_name,
    )


def user_register(
    *, username: str, password: str, email: str, first_name: str, last_name: str, address: str | None = None
) -> User:
    """A cadet's own registration: pending, until an administrator approves it.

    Raises ValidationFailed, Conflict (`username_taken`), or TooManyRequests (`address_locked`).
    """
    guards = address_guards(address, kind=rules.REGISTRATION)
    lockout_check(guards)
    for guard in guards:
        attempt_count(guard)
    return _create(
        actor_id=None,
        action="user.register",
        password=password,
        legacy_hash=None,
        event=UserRegistered,
        username=username,
        role=Role.CADET,
        status=Status.PENDING,
        email=email,
        first_name=first_name,
        last_name=last_name,
    )


def _create(
    *,
    actor_id: int | None,
    action: str,
    password: str | None,
    legacy_hash: str | None,
    event: type[UserCreated] | type[UserRegistered] | None,
    username: str,
    **facts: Any,
) -> User:
    user = User(username=User.normalize_username(username), **facts)
    malformed_refuse(user)
    taken = Conflict(f"The username {username} is taken. Choose another.", code="username_taken")
    if User.objects.named(username).exists():
        raise taken  # before anything is hashed
    if legacy_hash is not None:
        user.password = _legacy(legacy_hash)
    elif password is not None:
        user.password = password_encode(user=user, password=password)
    else:
        user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            user.refresh_from_db(fields=["created_at", "updated_at"])
            audit_record(
                actor_id=actor_id,
                action=action,
                target=account_target(user),
                after={"username": user.username, "role": user.role, "status": user.status},
            )
            if event is not None:
                account_tell(event, user, owner=False)
    except IntegrityError:  # somebody else took the name meanwhile
        raise taken from None
    return user


def _legacy(legacy_hash: str) -> str:
    plain = rules.legacy_hash_of(legacy_hash)
    if plain is None:
        raise ValidationFailed(
            "The hash is not one of the replaced system.",
            errors=[FieldError(field="legacy_hash", code="malformed", detail="Give it as stored: $2b$10$ and so on.")],
        )
    return rules.LEGACY_PREFIX + plain
