"""What every write of an account has in common: its field errors, its event, its name in the trail."""

from collections.abc import Collection

from django.core.exceptions import ValidationError

from apps.accounts.events import UserApproved, UserArchived, UserChanged, UserCreated, UserRegistered, UserRestored
from apps.accounts.models import User
from apps.events.services import publish
from core.errors import FieldError, ValidationFailed

_EVENTS = UserApproved | UserArchived | UserChanged | UserCreated | UserRegistered | UserRestored


def malformed_refuse(user: User, *, only: Collection[str] | None = None) -> None:
    """Raise ValidationFailed naming each field (of `only`) that does not fit its column."""
    names = {field.name for field in User._meta.fields}
    try:
        user.clean_fields(exclude={"password"} if only is None else names - set(only))
    except ValidationError as error:
        raise ValidationFailed(
            "Some fields of the account are malformed.",
            errors=[
                FieldError(field=field, code=inner.code or "invalid", detail=" ".join(inner.messages))
                for field, inners in error.error_dict.items()
                for inner in inners
            ],
        ) from error


def account_tell(event: type[_EVENTS], user: User, *, owner: bool = True) -> None:
    told = event(
        id=user.pk,
        username=user.username,
        email=user.email,
        first_name=user.first_name,
        last_name=user.last_name,
        role=user.role,
        status=user.status,
        archived_at=user.archived_at,
        version=user.version,
    )
    publish(event=told, recipients=["role:admin", f"user:{user.pk}"] if owner else ["role:admin"])


def account_target(user: User) -> str:
    return f"user:{user.pk}"
