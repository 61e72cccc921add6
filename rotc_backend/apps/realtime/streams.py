"""What a client hears and may say, apart from how it travels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from apps.accounts.rules import Principal
from apps.realtime.rules import ClientFrame
from core.errors import DomainError


class TypeUnknown(DomainError):
    code = "type_unknown"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What others hear at once and nobody hears later: it is in no log (somebody is typing)."""

    recipients: Sequence[str]
    type: str
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a client's frame has brought. `told` goes to others, in every process."""

    data: Mapping[str, Any] = field(default_factory=dict)
    told: Told | None = None


class Stream:
    """One client's part of the event log. Subclasses live beside the data that their events tell of.

    A transport (`sockets`, `server_sent`) makes one for each connection. All methods but `hears` are called in a thread
    that may ask the database. `argument` names the part of the path that a stream needs (`room_id`), if it needs one.

    Who may hear what was decided by who published: an event reaches those whom its recipients name. `hears` only leaves
    out what a client of this stream has no use for.
    """

    # Events after which `recipients` is asked again, if they were addressed to this client: until it has answered,
    # nothing that came later is handed out to anybody.
    standing_types: frozenset[str] = frozenset()
    argument: ClassVar[str | None] = None

    def __init__(self, principal: Principal, arguments: Mapping[str, Any]) -> None:
        self.principal = principal
        self.arguments = arguments

    @classmethod
    def hears(cls, event_type: str) -> bool:
        raise NotImplementedError

    def recipients(self) -> Sequence[str]:
        """Whom the client is in the log's words, now: what is for any of these, and `hears` lets through.

        Raises SocketRefused for who may not hear the stream at all. The hub also looks at what is for the account and
        for the role, so that `standing_types` are noticed; who wants to hear such events names them here, or they are
        left out when the client comes back.
        """
        return (f"user:{self.principal.user_id}",)

    def welcome(self) -> dict[str, Any]:
        """What `connection.ready` tells beyond who is connected."""
        return {}

    def answer(self, given: ClientFrame) -> Answer:
        """Do what a frame of the client asks. Raises DomainError, whose words the client is told."""
        raise TypeUnknown(f"This socket does not know frames of type {given.type[:64]!r}.")
