"""What is said in rooms; REST and sockets both come here.

The audit trail keeps the words that were changed or removed in the rooms of companies and of the staff. Of direct rooms
it keeps only how long they were: every administrator reads the trail, and who reads the words of two others has to
leave a trace.

Locks, always in this order:  room  →  message  →  the author's account
The room first: messages of a room are written one after another, so their ids rise in the order in which they can be
read, and a read mark never covers a message that came to light after it.
"""

import datetime as dt

from django.db import transaction

from apps.accounts.models import User
from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.events.services import publish
from apps.messaging import rules
from apps.messaging.events import Author, MessageCreated, MessageDeleted, MessageEdited
from apps.messaging.models import Message, Room, RoomKind
from apps.messaging.selectors import rooms as selectors
from apps.messaging.services import rooms
from core.clock import now
from core.errors import Conflict, PermissionRefused, TooManyRequests
from core.messages import Json


def message_enter(*, actor: Principal, message_id: int) -> Message:
    """One message for somebody who is about to read it; the same rules and traces as `room_enter`."""
    message = selectors.message_looked_at(actor=actor, message_id=message_id)
    rooms.look_record(actor=actor, room=message.room)
    return message


def message_send(*, actor: Principal, room_id: int, body: str, client_id: str) -> tuple[Message, bool]:
    """Write in a room; returns the message and whether it is new.

    The same `client_id` of the same author in the same room is the same message, whatever its body says now: nothing is
    written or told again, and the limit on the rate does not count it. Raises NotFound, PermissionRefused
    (`not_a_member`: an administrator in a direct room of others; `account_archived`), ValidationFailed for the body or
    the `client_id`, Conflict (`company_archived`) and TooManyRequests (`sending_too_fast`).
    """
    text, client_id = rules.message_body(body), rules.client_id(client_id)
    with transaction.atomic():
        room = _room_locked(actor, room_id)
        sent = Message.objects.filter(author=actor.user_id, room=room, client_id=client_id).first()
        if sent is not None:
            sent.author = User.objects.get(pk=actor.user_id)
            return sent, False
        _refuse_archived(room)
        # Who writes in two rooms at once is counted once: the account's lock spans all rooms.
        author = User.objects.select_for_update(no_key=True).get(pk=actor.user_id)
        if author.archived_at is not None:  # since a moment; its tokens are about to be refused
            raise PermissionRefused("This account is archived.", code="account_archived")
        present = now()
        _refuse_haste(author, present)
        message = Message.objects.create(room=room, author=author, body=text, client_id=client_id, created_at=present)
        # Without the body: the trail says that somebody wrote, it is no second copy of what.
        audit_record(
            actor_id=actor.user_id,
            action="message.send",
            target=_target(message.pk),
            after={"room_id": room.pk, "characters": len(text)},
        )
        publish(event=message_told(message), recipients=_members(room))
    return message, True


def message_edit(*, actor: Principal, message_id: int, body: str) -> Message:
    """Change what one wrote oneself. The same words again change nothing and are not told.

    Raises NotFound, PermissionRefused (`not_the_author`), ValidationFailed, and Conflict (`message_deleted`,
    `company_archived`).
    """
    text = rules.message_body(body)
    with transaction.atomic():
        message = _message_locked(actor, message_id)
        if message.author_id != actor.user_id:
            raise PermissionRefused("Only its author changes a message.", code="not_the_author")
        _refuse_archived(message.room)
        if message.deleted_at is not None:
            raise Conflict("This message was removed. Write a new one.", code="message_deleted")
        if message.body == text:
            return message
        before, message.body, message.edited_at = message.body, text, now()
        message.save(update_fields=["body", "edited_at"])
        audit_record(
            actor_id=actor.user_id,
            action="message.edit",
            target=_target(message_id),
            before=_kept(message.room, before),
            after=_kept(message.room, text),
        )
        publish(
            event=MessageEdited(id=message_id, room_id=message.room_id, body=text, edited_at=message.edited_at),
            recipients=_members(message.room),
        )
    return message


def message_delete(*, actor: Principal, message_id: int) -> None:
    """Blank one's own message, or as an administrator anybody's; its place in the room stays. Idempotent.

    What it said in a room of many is kept in the audit trail, for who has to look into a complaint; what it said in a
    direct room is gone. Raises NotFound and PermissionRefused (`not_the_author`).
    """
    with transaction.atomic():
        message = _message_locked(actor, message_id)
        is_own = message.author_id == actor.user_id
        if not (is_own or actor.is_admin):
            raise PermissionRefused("Only its author or an administrator removes a message.", code="not_the_author")
        if message.deleted_at is not None:
            return
        before, message.body, message.deleted_at = message.body, "", now()
        message.save(update_fields=["body", "deleted_at"])
        audit_record(
            actor_id=actor.user_id,
            action="message.delete" if is_own else "message.moderate",
            target=_target(message_id),
            before={"author_id": message.author_id, "room_id": message.room_id, **_kept(message.room, before)},
        )
        publish(
            event=MessageDeleted(id=message_id, room_id=message.room_id, deleted_at=message.deleted_at),
            recipients=_members(message.room),
        )


def message_told(message: Message) -> MessageCreated:
    """A message with its author as its room hears of it, and as a socket answers it."""
    return MessageCreated(
        id=message.pk,
        room_id=message.room_id,
        author=_author(message),
        body=message.body,
        client_id=message.client_id,
        created_at=message.created_at,
        edited_at=message.edited_at,
        deleted_at=message.deleted_at,
    )


def _kept(room: Room, body: str) -> dict[str, Json]:
    """What the audit trail keeps of words that were changed or removed."""
    return {"characters": len(body)} if room.kind == RoomKind.DIRECT else {"body": body}


def _author(message: Message) -> Author:
    author = message.author
    return {"id": author.pk, "username": author.username, "name": author.get_full_name(), "role": str(author.role)}


def _room_locked(actor: Principal, room_id: int) -> Room:
    """The room for a write. Looked at before it is locked: who is not in it must not be able to hold it up."""
    room = selectors.room_written_in(actor=actor, room_id=room_id)
    _lock(room.pk)
    return room


def _message_locked(actor: Principal, message_id: int) -> Message:
    seen = selectors.message_looked_at(actor=actor, message_id=message_id)
    _lock(seen.room_id)
    message = Message.objects.select_for_update(of=("self",), no_key=True).get(pk=message_id)
    message.room, message.author = seen.room, seen.author
    return message


def _lock(room_id: int) -> None:
    # NO KEY: rows that refer to the room can still be inserted meanwhile, as read marks are.
    Room.objects.select_for_update(no_key=True).values_list("pk").get(pk=room_id)


def _refuse_archived(room: Room) -> None:
    if room.company is not None and room.company.archived_at is not None:
        raise Conflict("This company is archived; nobody writes in its room any more.", code="company_archived")


def _refuse_haste(author: User, present: dt.datetime) -> None:
    recent = Message.objects.filter(author=author, created_at__gt=present - rules.WITHIN).order_by("-created_at")
    newest = list(recent.values_list("created_at", flat=True)[: rules.MESSAGES_AT_ONCE])
    wait = rules.seconds_to_wait(newest=newest, now=present)
    if wait:
        raise TooManyRequests(
            f"You may send {rules.MESSAGES_AT_ONCE} messages in {rules.WITHIN.seconds} seconds. Wait {wait} seconds, "
            "and send this one again with its client_id.",
            retry_after=wait,
            code="sending_too_fast",
        )


def _members(room: Room) -> list[str]:
    return [f"room:{room.pk}"]


def _target(message_id: int) -> str:
    return f"message:{message_id}"
