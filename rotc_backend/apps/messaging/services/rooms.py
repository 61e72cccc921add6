"""Rooms: that they are there, who looks into them, and how far somebody has read. REST and sockets both come here."""

from collections.abc import Sequence

from django.db import transaction

from apps.accounts.models import Status, User
from apps.accounts.rules import Principal
from apps.accounts.selectors import user_by_username
from apps.accounts.services import audit_record
from apps.events.services import publish
from apps.messaging import rules
from apps.messaging.events import MessageRead, RoomOpened
from apps.messaging.models import Message, ReadMark, Room, RoomKind
from apps.messaging.selectors import rooms as selectors
from core.clock import now
from core.errors import FieldError, ValidationFailed


def rooms_ensure() -> None:
    """Open the rooms that nobody opens: the staff's, and one for each company that has none yet.

    Called before rooms are listed, since companies are added by an app that knows nothing of rooms. Two at once open
    one room. Two queries when there is nothing to do.
    """
    if not Room.objects.filter(kind=RoomKind.STAFF).exists():
        with transaction.atomic():
            room, opened = Room.objects.get_or_create(kind=RoomKind.STAFF)
            if opened:
                _record_opened(room, actor_id=None, recipients=rules.STAFF_ROLES)
    for company_id, name in selectors.companies_without_room():
        with transaction.atomic():
            room, opened = Room.objects.get_or_create(company_id=company_id, defaults={"kind": RoomKind.COMPANY})
            if opened:
                _record_opened(room, actor_id=None, recipients=[*rules.STAFF_ROLES, f"company:{name}"])


def room_open_direct(*, actor: Principal, username: str) -> tuple[Room, bool]:
    """The direct room of `actor` and another person, and whether it is new. Opened from both sides at once it is one.

    A room that is there is found whatever has become of the two since: it stays theirs. Raises ValidationFailed with
    `yourself` at `username`, and with `unknown_person` for a name that nobody has, and without a room for somebody who
    cannot sign in or whom `actor` may not write to (all the same, or strangers could try out names).
    """
    other = user_by_username(username)
    if other is None:
        raise _unknown_person(username)
    if other.pk == actor.user_id:
        raise _username_refused("yourself", "Name somebody else: nobody writes to himself.")
    first, second = sorted((actor.user_id, other.pk))
    present = Room.objects.filter(first_person=first, second_person=second).first()
    if present is not None:
        return present, False
    if not _may_open(actor, other):
        raise _unknown_person(username)
    with transaction.atomic():
        room, opened = Room.objects.get_or_create(
            first_person_id=first, second_person_id=second, defaults={"kind": RoomKind.DIRECT}
        )
        if opened:
            _record_opened(room, actor_id=actor.user_id, recipients=[f"user:{first}", f"user:{second}"])
    return room, opened


def room_enter(*, actor: Principal, room_id: int) -> Room:
    """The room for somebody who is about to read it; raises NotFound for who may not.

    An administrator who looks into the direct room of two others leaves an entry in the audit trail, each time.
    """
    room = selectors.room_looked_at(actor=actor, room_id=room_id)
    look_record(actor=actor, room=room)
    return room


def look_record(*, actor: Principal, room: Room) -> None:
    """Record that an administrator has looked into the direct room of two others; nothing for everybody else."""
    if room.kind == RoomKind.DIRECT and actor.user_id not in room.person_ids:
        with transaction.atomic():
            audit_record(actor_id=actor.user_id, action="room.look", target=f"room:{room.pk}")


def room_read(*, actor: Principal, room_id: int, message_id: int) -> ReadMark:
    """Say that one has read a room to a message. A mark never moves back, and then nothing is told.

    The mark itself holds who and when; the audit trail would only hold every glance of everybody a second time. Raises
    NotFound, PermissionRefused (`not_a_member`), and ValidationFailed with `unknown_message` at `message_id`.
    """
    with transaction.atomic():
        room = selectors.room_written_in(actor=actor, room_id=room_id)
        if not Message.objects.filter(pk=message_id, room=room).exists():
            detail = "There is no message with this id in this room."
            raise ValidationFailed(
                detail, errors=[FieldError(field="message_id", code="unknown_message", detail=detail)]
            )
        present = now()
        own = ReadMark.objects.filter(room=room, user=actor.user_id)
        mark, moved = ReadMark.objects.get_or_create(
            room=room, user_id=actor.user_id, defaults={"last_message_id": message_id, "read_at": present}
        )
        if not moved:
            # By one conditional update: of two marks that come at once the farther one stays, in either order.
            moved = bool(own.filter(last_message__lt=message_id).update(last_message=message_id, read_at=present))
            mark = own.get()
        if moved:
            publish(
                event=MessageRead(room_id=room.pk, user_id=actor.user_id, last_message_id=message_id, read_at=present),
                recipients=[f"room:{room.pk}"],
            )
    return mark


def _may_open(actor: Principal, other: User) -> bool:
    return (
        other.status == Status.APPROVED
        and other.archived_at is None
        and rules.may_open_direct(
            role=actor.role, other_role=other.role, is_same_company=_share_company(actor.user_id, other)
        )
    )


def _share_company(user_id: int, other: User) -> bool:
    own = selectors.company_id_of(user_id=user_id)
    return own is not None and own == selectors.company_id_of(user_id=other.pk)


def _unknown_person(username: str) -> ValidationFailed:
    return _username_refused("unknown_person", f"There is nobody named {username} to whom you may write.")


def _username_refused(code: str, detail: str) -> ValidationFailed:
    return ValidationFailed(
        "No direct room was opened.", errors=[FieldError(field="username", code=code, detail=detail)]
    )


def _record_opened(room: Room, *, actor_id: int | None, recipients: Sequence[str]) -> None:
    audit_record(
        actor_id=actor_id,
        action="room.open",
        target=f"room:{room.pk}",
        after={"kind": room.kind, "company_id": room.company_id, "person_ids": list(room.person_ids)},
    )
    publish(event=RoomOpened(id=room.pk, kind=str(room.kind)), recipients=recipients)
