import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apps.accounts.rules import Principal
from apps.messaging import rules
from apps.messaging.events import MessageCreated, MessageDeleted, MessageEdited, MessageRead
from apps.messaging.selectors import rooms as selectors
from apps.messaging.services import messages, rooms
from apps.realtime.rules import ClientFrame, CloseCode, SocketRefused
from apps.realtime.streams import Answer, Stream, Told
from core.clock import iso
from core.errors import NotFound, PermissionRefused
from core.messages import Json

EVENT_TYPES = frozenset({MessageCreated.type, MessageEdited.type, MessageDeleted.type, MessageRead.type, rules.TYPING})


class ChatStream(Stream):
    """/ws/chat/{room_id}/: what is said in one room, and the ways to say something.

    Who may is asked when the socket opens, at each frame, and whenever something changes that it depends on: who has
    left the company is closed out before the next message is handed out.
    """

    argument = "room_id"
    _typed_at = float("-inf")

    def __init__(self, principal: Principal, arguments: Mapping[str, Any]) -> None:
        super().__init__(principal, arguments)
        self.standing_types = rules.STAFF_STANDING_TYPES if principal.is_staff_member else rules.STANDING_TYPES

    @classmethod
    def hears(cls, event_type: str) -> bool:
        return event_type in EVENT_TYPES

    @property
    def room_id(self) -> int:
        return int(self.arguments["room_id"])

    def recipients(self) -> Sequence[str]:
        try:
            room = selectors.room_listened_to(actor=self.principal, room_id=self.room_id)
        except NotFound as error:
            raise SocketRefused(code=CloseCode.UNKNOWN, reason=error.code) from None
        except PermissionRefused as error:
            raise SocketRefused(code=CloseCode.NOT_ALLOWED, reason=error.code) from None
        return (f"room:{room.pk}",)

    def welcome(self) -> dict[str, Any]:
        summary = selectors.room_summary(actor=self.principal, room_id=self.room_id)
        newest = summary.last_message
        return {
            "room": {"id": self.room_id, "kind": summary.room.kind, "name": summary.name},
            "unread": summary.unread,
            "last_read_id": summary.last_read_id,
            "last_message_id": newest.pk if newest is not None else None,
        }

    def answer(self, given: ClientFrame) -> Answer:
        call = _ANSWERS.get(given.type)
        return call(self, given.data) if call is not None else super().answer(given)

    # --- What a client may ask ----------------------------------------------------------------------------------------

    def _send(self, data: Any) -> Answer:
        fields = rules.frame_fields(data, required={"client_id": str, "body": str})
        message, is_new = messages.message_send(actor=self.principal, room_id=self.room_id, **fields)
        return Answer(data={"message": messages.message_told(message).data(), "is_new": is_new})

    def _edit(self, data: Any) -> Answer:
        fields = rules.frame_fields(data, required={"message_id": int, "body": str})
        self._refuse_foreign(fields["message_id"])
        message = messages.message_edit(actor=self.principal, **fields)
        return Answer(data={"message": messages.message_told(message).data()})

    def _delete(self, data: Any) -> Answer:
        fields = rules.frame_fields(data, required={"message_id": int})
        self._refuse_foreign(fields["message_id"])
        messages.message_delete(actor=self.principal, **fields)
        return Answer(data={"message_id": fields["message_id"]})

    def _read(self, data: Any) -> Answer:
        fields = rules.frame_fields(data, required={"message_id": int})
        mark = rooms.room_read(actor=self.principal, room_id=self.room_id, **fields)
        return Answer(data={"last_message_id": mark.last_message_id, "read_at": iso(mark.read_at)})

    def _history(self, data: Any) -> Answer:
        fields = rules.frame_fields(data or {}, required={}, optional={"before": int, "limit": int})
        limit = min(fields.get("limit", rules.USUAL_HISTORY), rules.LARGEST_HISTORY)
        room = rooms.room_enter(actor=self.principal, room_id=self.room_id)
        found, next_before = selectors.history(room=room, before=fields.get("before"), limit=limit)
        shown: list[dict[str, Json]] = []
        size = 0
        for message in found:
            told = messages.message_told(message).data()
            size += len(json.dumps(told))
            if shown and size > rules.LARGEST_ANSWER:
                next_before = found[len(shown) - 1].pk
                break
            shown.append(told)
        return Answer(data={"messages": shown, "next_before": next_before})

    def _type(self, data: Any) -> Answer:
        rules.frame_fields(data or {}, required={})
        present = time.monotonic()
        if present - self._typed_at < rules.TYPING_SECONDS:
            return Answer(data={"told": False})
        selectors.room_written_in(actor=self.principal, room_id=self.room_id)
        self._typed_at = present
        person = {"room_id": self.room_id, "user_id": self.principal.user_id, "username": self.principal.username}
        return Answer(
            data={"told": True}, told=Told(recipients=[f"room:{self.room_id}"], type=rules.TYPING, data=person)
        )

    def _refuse_foreign(self, message_id: int) -> None:
        """A socket speaks in its own room, also for who is in several. Raises NotFound."""
        message = selectors.message_looked_at(actor=self.principal, message_id=message_id)
        if message.room_id != self.room_id:
            raise NotFound("There is no message with this id in this room.")


_ANSWERS: dict[str, Callable[[ChatStream, Any], Answer]] = {
    "message.send": ChatStream._send,
    "message.edit": ChatStream._edit,
    "message.delete": ChatStream._delete,
    "read": ChatStream._read,
    "history": ChatStream._history,
    "typing": ChatStream._type,
}
