"""Delivery to a client without a wire, with a hub of its own on a real event log."""

import asyncio
import datetime as dt
import threading
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from django.db import OperationalError, connection, transaction

from apps.accounts.models import TokenGeneration
from apps.accounts.rules import Principal
from apps.events import services
from apps.events.models import Event, EventHead
from apps.realtime import delivery as delivery_module
from apps.realtime.delivery import Delivery, while_connected
from apps.realtime.hub import Hub
from apps.realtime.rules import HEARTBEAT, READY, RESYNC, CloseCode, Frame, SocketRefused
from apps.realtime.server_sent import EventStream
from apps.realtime.streams import Stream, Told
from apps.realtime.threads import DatabaseThreads
from core import messages
from core.clock import now
from core.errors import NotAuthenticated, PermissionRefused

pytestmark = pytest.mark.django_db(transaction=True)

WITHIN = 10.0  # seconds, for whatever a scene waits for


@pytest.fixture(autouse=True)
def _nobody_says_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.realtime.hub.GOODBYE_SECONDS", 0.01)  # these clients never answer a close


@dataclass(frozen=True, kw_only=True)
class Drilled(messages.Event):
    type: ClassVar[str] = "realtime.tests.drilled"

    number: int


@dataclass(frozen=True, kw_only=True)
class Transferred(messages.Event):
    """After which the stream asks again what it may hear."""

    type: ClassVar[str] = "realtime.tests.transferred"


@dataclass(eq=False)
class Listener:
    """A wire that remembers what was sent over it. `reads` cleared: a client that does not read."""

    frames: list[Frame] = field(default_factory=list)
    ended: list[tuple[CloseCode, str]] = field(default_factory=list)
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    is_asked_to_read: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.reads.set()

    async def send(self, frame: Frame) -> None:
        assert not self.ended, "nothing is sent after the end"
        self.frames.append(frame)

    async def end(self, code: CloseCode, reason: str) -> None:
        self.ended.append((code, reason))

    async def read_down_to(self, size: int) -> None:
        self.is_asked_to_read.set()
        await self.reads.wait()

    @property
    def types(self) -> list[str]:
        return [frame.type for frame in self.frames]

    @property
    def numbers(self) -> list[int]:
        return [frame.data["number"] for frame in self.frames if frame.type == Drilled.type]


class Company(Stream):
    """Hears what its company does. `stops` before the answer until it is told to go on, in the database's thread."""

    standing_types = frozenset({Transferred.type})
    company = "Alpha"
    refusal: Exception | None = None

    def __init__(self, *, role: str = "cadet", user_id: int = 1) -> None:
        principal = Principal(
            user_id=user_id,
            username="Liza",
            role=role,
            session_id=str(uuid.uuid4()),
            version=1,
            generation=1,
            expires_at=now() + dt.timedelta(minutes=15),
        )
        super().__init__(principal, {})
        self.times_asked = 0
        self.is_asked, self.may_answer = threading.Event(), threading.Event()
        self.is_welcoming, self.may_welcome = threading.Event(), threading.Event()
        self.may_answer.set()
        self.may_welcome.set()

    @classmethod
    def hears(cls, event_type: str) -> bool:
        return event_type == Drilled.type

    def recipients(self) -> Sequence[str]:
        self.times_asked += 1
        answer = (f"user:{self.principal.user_id}", f"company:{self.company}")
        refusal = self.refusal
        self.is_asked.set()
        assert self.may_answer.wait(WITHIN)
        if refusal is not None:
            raise refusal
        return answer

    def welcome(self) -> dict[str, Any]:
        self.is_welcoming.set()
        assert self.may_welcome.wait(WITHIN)
        return {"company": self.company}


def publish(event: messages.Event, *recipients: str) -> None:
    with transaction.atomic():
        services.publish(event=event, recipients=recipients)


def drill(*numbers: int, to: str = "company:Alpha") -> None:
    for number in numbers:
        publish(Drilled(number=number), to)


def transfer(to: str = "user:1") -> None:
    publish(Transferred(), to)


def close_connection(together: threading.Barrier) -> None:
    together.wait(WITHIN)
    connection.close()  # looked up here, so that it is the calling thread's


@dataclass(frozen=True, kw_only=True)
class Stage:
    hub: Hub
    write: Callable[..., Awaitable[Any]]  # calls a function on the hub's thread

    def place(self) -> str:
        return str(self.hub._head)

    async def read(self, function: Callable[..., object] | None = None, *arguments: object) -> None:
        """Let `function` write, and the hub hand out what was written."""
        if function is not None:
            await self.write(function, *arguments)
        while await self.hub.tick():
            pass

    async def until(self, event: threading.Event) -> None:
        assert await asyncio.to_thread(event.wait, WITHIN)
        event.clear()


def played(scene: Callable[[Stage], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    TokenGeneration.objects.get_or_create(pk=1)

    async def play() -> None:
        hubs, sockets = (DatabaseThreads(name="test", size=size, renew=False) for size in (1, 2))
        hub = Hub(hubs)
        hub._beaten_at = float("inf")  # no sign of life but those that the scene gives
        monkeypatch.setattr(delivery_module, "hub", hub)
        monkeypatch.setattr(delivery_module, "_threads", sockets)
        try:
            await hub.tick()
            async with asyncio.timeout(3 * WITHIN):
                await scene(Stage(hub=hub, write=hubs.run))
        finally:
            await hub.stop()
            together = threading.Barrier(3)  # so that each of the three threads closes its own
            await asyncio.gather(*(pool.run(close_connection, together) for pool in (hubs, sockets, sockets)))

    asyncio.run(play())


# --- Between the steps ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("comes_back", [True, False])
def test_what_is_handed_out_before_the_rights_are_known_comes_once_to_who_comes_back(
    comes_back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes for the first time stands behind it: the welcome tells what is there."""

    async def scene(stage: Stage) -> None:
        wire, stream = Listener(), Company()
        delivery = Delivery(stream, wire)
        since = stage.place()
        stream.may_answer.clear()
        beginning = asyncio.create_task(delivery.begin(since if comes_back else None))
        await stage.until(stream.is_asked)
        await stage.read(drill, 1)
        await stage.read(lambda: drill(2, to="user:1"))  # which the client hears already, and holds back
        stream.may_answer.set()
        await beginning
        await stage.read(drill, 3)
        assert wire.numbers == ([1, 2, 3] if comes_back else [3])
        assert wire.types[0] == READY
        assert wire.frames[0].data["resumed"] is comes_back

    played(scene, monkeypatch)


def test_what_is_handed_out_before_the_welcome_comes_once_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        wire, stream = Listener(), Company()
        stream.may_welcome.clear()
        beginning = asyncio.create_task(Delivery(stream, wire).begin(stage.place()))
        await stage.until(stream.is_welcoming)
        await stage.read(drill, 1, 2)
        assert wire.frames == []
        stream.may_welcome.set()
        await beginning
        await stage.read(drill, 3)
        assert wire.types == [READY, HEARTBEAT, Drilled.type, Drilled.type, Drilled.type]
        assert wire.numbers == [1, 2, 3]

    played(scene, monkeypatch)


def test_rights_that_change_while_they_are_asked_for_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        wire, stream = Listener(), Company()
        stream.may_answer.clear()
        beginning = asyncio.create_task(Delivery(stream, wire).begin(None))
        await stage.until(stream.is_asked)  # it has seen Alpha in the database
        stream.company = "Bravo"
        await stage.read(transfer)
        stream.may_answer.set()
        await beginning
        await stage.read(drill, 1)
        await stage.read(lambda: drill(2, to="company:Bravo"))
        assert stream.times_asked == 2
        assert wire.numbers == [2]

    played(scene, monkeypatch)


def test_who_is_ended_before_the_welcome_is_not_welcomed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        wire, stream = Listener(), Company()
        stream.may_welcome.clear()
        beginning = asyncio.create_task(Delivery(stream, wire).begin(None))
        await stage.until(stream.is_welcoming)
        stream.refusal = SocketRefused(code=CloseCode.NOT_ALLOWED, reason="not_a_member")
        await stage.read(transfer)
        stream.may_welcome.set()
        await beginning
        await stage.read(drill, 1)
        assert wire.ended == [(CloseCode.NOT_ALLOWED, "not_a_member")]
        assert wire.frames == []

    played(scene, monkeypatch)


# --- Rights that change later -----------------------------------------------------------------------------------------


def test_a_move_takes_effect_between_two_events_of_one_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def move() -> None:
        drill(1)
        drill(2, to="company:Bravo")
        transfer()
        drill(3)
        drill(4, to="company:Bravo")

    async def scene(stage: Stage) -> None:
        wire, stream = Listener(), Company()
        await Delivery(stream, wire).begin(None)
        stream.company = "Bravo"
        await stage.read(move)
        assert wire.numbers == [1, 4]

    played(scene, monkeypatch)


def test_an_event_for_everybody_lets_the_rights_be_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A company is archived, a term begins: told to roles, whatever the stream itself listens to."""

    async def scene(stage: Stage) -> None:
        wire, other_role = Listener(), Listener()
        stream, other = Company(), Company(role="training_staff", user_id=2)
        await Delivery(stream, wire).begin(None)
        await Delivery(other, other_role).begin(None)
        stream.refusal = other.refusal = SocketRefused(code=CloseCode.NOT_ALLOWED, reason="archived")
        await stage.read(transfer, "role:cadet")
        assert wire.ended == [(CloseCode.NOT_ALLOWED, "archived")]
        assert other_role.ended == []

    played(scene, monkeypatch)


def test_rights_that_cannot_be_asked_for_end_the_connection_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        wire, other = Listener(), Listener()
        stream = Company()
        await Delivery(stream, wire).begin(None)
        await Delivery(Company(user_id=2), other).begin(None)
        stream.refusal = OperationalError("the server closed the connection unexpectedly")
        await stage.read(transfer)
        await stage.read(drill, 1)
        assert wire.ended == [(CloseCode.TRY_AGAIN_LATER, "unavailable")]
        assert (wire.numbers, other.numbers) == ([], [1])

    played(scene, monkeypatch)


def test_who_leaves_while_the_rights_are_asked_for_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back into the hub, the client would stay there for ever, and count among those of its account."""

    async def scene(stage: Stage) -> None:
        stream = Company()
        delivery = Delivery(stream, Listener())
        await delivery.begin(None)
        stream.is_asked.clear()
        stream.may_answer.clear()
        reading = asyncio.create_task(stage.read(transfer))
        await stage.until(stream.is_asked)
        delivery.finish()
        stream.may_answer.set()
        await reading
        assert stage.hub._all_members() == []

    played(scene, monkeypatch)


# --- The replay -------------------------------------------------------------------------------------------------------


def test_a_right_that_is_lost_during_the_replay_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_module, "REPLAYED_AT_ONCE", 2)

    async def scene(stage: Stage) -> None:
        wire, stream = Listener(), Company()
        since = stage.place()
        await stage.read(drill, 1, 2, 3, 4, 5)
        wire.reads.clear()
        beginning = asyncio.create_task(Delivery(stream, wire).begin(since))
        await wire.is_asked_to_read.wait()
        stream.refusal = SocketRefused(code=CloseCode.NOT_ALLOWED, reason="not_a_member")
        await stage.read(transfer)
        wire.reads.set()
        await beginning
        await stage.read(drill, 6)
        assert wire.ended == [(CloseCode.NOT_ALLOWED, "not_a_member")]
        assert wire.numbers == [1]

    played(scene, monkeypatch)


def test_a_move_during_the_replay_changes_what_comes_and_not_what_was_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_module, "REPLAYED_AT_ONCE", 2)

    async def scene(stage: Stage) -> None:
        wire, stream = Listener(), Company()
        since = stage.place()
        await stage.read(drill, 1, 2, 3)
        await stage.read(lambda: drill(4, to="company:Bravo"))
        wire.reads.clear()
        beginning = asyncio.create_task(Delivery(stream, wire).begin(since))
        await wire.is_asked_to_read.wait()
        stream.company = "Bravo"
        await stage.read(transfer)
        await stage.read(drill, 5)
        await stage.read(lambda: drill(6, to="company:Bravo"))
        wire.reads.set()
        await beginning
        assert wire.numbers == [1, 2, 3, 6]

    played(scene, monkeypatch)


def test_who_does_not_read_what_was_missed_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_module, "REPLAYED_AT_ONCE", 2)
    monkeypatch.setattr(delivery_module, "READ_SECONDS", 0.1)

    async def scene(stage: Stage) -> None:
        wire = Listener()
        since = stage.place()
        await stage.read(drill, 1, 2, 3, 4)
        wire.reads.clear()
        with pytest.raises(SocketRefused) as refusal:
            await Delivery(Company(), wire).begin(since)
        assert (refusal.value.code, refusal.value.reason) == (CloseCode.TRY_AGAIN_LATER, "slow_reader")
        assert wire.numbers == [1], "the rest is not piled up for a client that does not read"

    played(scene, monkeypatch)


def test_what_is_removed_from_the_log_during_the_replay_has_to_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_module, "REPLAYED_AT_ONCE", 2)

    async def scene(stage: Stage) -> None:
        wire = Listener()
        since = stage.place()
        await stage.read(drill, 1, 2, 3, 4, 5)
        wire.reads.clear()
        beginning = asyncio.create_task(Delivery(Company(), wire).begin(since))
        await wire.is_asked_to_read.wait()
        last = Event.objects.order_by("-position")[:1]
        await stage.write(lambda: Event.objects.exclude(pk=last.get().pk).delete())
        wire.reads.set()
        await beginning
        await stage.read(drill, 6)
        assert wire.types == [READY, Drilled.type, Drilled.type, RESYNC, Drilled.type]
        assert wire.frames[3].data == {"reason": "expired"}
        assert wire.frames[3].id == f"{since.partition(':')[0]}:{int(since.rpartition(':')[2]) + 5}"
        assert wire.numbers == [1, 2, 6]

    played(scene, monkeypatch)


# --- Places that this process does not know ---------------------------------------------------------------------------


def test_who_has_heard_more_from_another_process_hears_none_of_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        wire = Listener()
        behind = stage.place()
        await stage.write(drill, 1, 2)
        await stage.write(services.sequence)  # by the other process; this one has not read them
        ahead = await stage.write(lambda: str(EventHead.objects.get()))
        await Delivery(Company(), wire).begin(ahead)
        assert (wire.frames[0].data["resumed"], wire.frames[0].data["position"]) == (True, ahead)
        await stage.hub._beat()  # at `behind`
        assert behind != ahead
        await stage.read(drill, 3)
        await stage.hub._beat()
        assert wire.numbers == [3]
        assert [frame.id for frame in wire.frames if frame.type == HEARTBEAT] == [ahead, stage.place()]

    played(scene, monkeypatch)


def test_a_place_that_nobody_has_reached_is_invented(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        wire = Listener()
        await stage.write(drill, 1)
        await stage.write(services.sequence)
        epoch, _, position = (await stage.write(lambda: str(EventHead.objects.get()))).rpartition(":")
        await Delivery(Company(), wire).begin(f"{epoch}:{int(position) + 1}")
        assert wire.types == [READY, RESYNC]
        assert wire.frames[0].data["resumed"] is False
        assert wire.frames[1].data == {"reason": "unknown_position"}
        assert wire.frames[1].id == wire.frames[0].data["position"] == stage.place()
        await stage.read(drill, 2)
        assert wire.numbers == [1, 2], "from the told place on, which lies before the first"

    played(scene, monkeypatch)


# --- What is in no log ------------------------------------------------------------------------------------------------


def test_what_is_told_reaches_who_listens_and_moves_nobodys_place(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        wire = Listener()
        await Delivery(Company(), wire).begin(None)
        told = Told(recipients=["company:Alpha"], type=Drilled.type, data={"number": 7})
        frame = Frame(id=None, type=told.type, at="", data=dict(told.data))
        await stage.hub._deliver(frame, stage.hub._members_for(told.recipients))
        await stage.read(drill, 8)
        assert wire.numbers == [7, 8]

    played(scene, monkeypatch)


# --- Server-sent: what ends before its first byte ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (CloseCode.TOKEN_REFUSED, "token_revoked", NotAuthenticated),
        (CloseCode.NOT_ALLOWED, "not_a_member", PermissionRefused),
    ],
)
def test_a_stream_that_ends_before_its_first_byte_is_a_plain_answer(
    code: CloseCode, reason: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(stage: Stage) -> None:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        receive: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        stream = Company()
        stream.may_welcome.clear()
        serving = asyncio.create_task(EventStream(stream, send, {}).serve(receive.get, last_event_id=None))
        await stage.until(stream.is_welcoming)
        (member,) = stage.hub._all_members()
        await member.close(code, reason)
        stream.may_welcome.set()
        with pytest.raises(error) as refusal:
            await serving
        assert refusal.value.code == reason  # type: ignore[attr-defined]
        assert sent == []
        assert stage.hub._all_members() == []

    played(scene, monkeypatch)


async def test_what_a_client_says_before_its_welcome_is_kept_in_order() -> None:
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def work() -> None:
        for number in (1, 2):
            said.put_nowait({"type": "websocket.receive", "text": str(number)})
            await asyncio.sleep(0.01)

    heard = await while_connected(work(), said.get, gone="websocket.disconnect")
    said.put_nowait({"type": "websocket.receive", "text": "3"})
    assert [message["text"] for message in heard or ()] == ["1", "2"]
    assert (await said.get())["text"] == "3"


async def test_a_client_that_goes_away_before_its_welcome_is_waited_for_no_longer() -> None:
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    was_ended = False

    async def work() -> None:
        nonlocal was_ended
        said.put_nowait({"type": "websocket.disconnect"})
        try:
            await asyncio.Event().wait()
        finally:
            was_ended = True

    assert await while_connected(work(), said.get, gone="websocket.disconnect") is None
    await asyncio.sleep(0)
    assert was_ended


async def test_a_refusal_before_the_welcome_is_the_callers() -> None:
    async def work() -> None:
        raise SocketRefused(code=CloseCode.UNKNOWN, reason="room_unknown")

    with pytest.raises(SocketRefused):
        await while_connected(work(), asyncio.Queue[dict[str, Any]]().get, gone="websocket.disconnect")
