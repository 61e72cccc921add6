from collections.abc import Mapping, Sequence
from typing import Any

from apps.accounts.rules import Principal
from apps.messaging.consumers import chat, notifications
from apps.messaging.rules import STANDING_TYPES
from apps.messaging.selectors.rooms import company_of
from apps.realtime.streams import Stream


class UpdateStream(Stream):
    """/ws/updates/: what changes in the unit, as far as the account may know of it.

    Everything in the log that has no socket of its own: a cadet hears what concerns the own record, the own company and
    everybody; staff what concerns them and all cadets; who it is for was said by the service that wrote it.
    """

    def __init__(self, principal: Principal, arguments: Mapping[str, Any]) -> None:
        super().__init__(principal, arguments)
        # Staff hear the same whatever changes, and hear of every cadet: asking again for each would hold up all others.
        self.standing_types = frozenset() if principal.is_staff_member else STANDING_TYPES

    @classmethod
    def hears(cls, event_type: str) -> bool:
        return event_type not in notifications.EVENT_TYPES and event_type not in chat.EVENT_TYPES

    def recipients(self) -> Sequence[str]:
        own = (f"user:{self.principal.user_id}", f"role:{self.principal.role}")
        if self.principal.is_staff_member:
            return own
        company = company_of(user_id=self.principal.user_id)
        return own if company is None else (*own, f"company:{company.name}")
