"""The hub with sockets that remember what they were told, on a real event log."""

import asyncio
import dataclasses
import datetime as dt
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from django.db import DatabaseError, connection, transaction

from apps.accounts.models import Revocation, TokenGeneration
from apps.accounts.rules import Principal
from apps.accounts.selectors import announce_revocation
from apps.events import services
from apps.events.models import Event, EventHead
from apps.realtime.hub import Hub, OncePerOutage, Presence
from apps.realtime.rules import HEARTBEAT, CloseCode, Frame, SocketRefused
from apps.realtime.threads import DatabaseThreads
from core import messages
from core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nobody_says_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.realtime.hub.GOODBYE_SECONDS", 0.01)  # these clients never answer a close


@dataclass(frozen=True, kw_only=True)
class Saluted(messages.Event):
    type: ClassVar[str] = "realtime.tests.saluted"

    number: int


@dataclass(frozen=True, kw_only=True)
class Other(messages.Event):
    type: ClassVar[str] = "realtime.tests.other"


@dataclass(eq=False)
class Remembering:
    """A socket without a wire."""

    event_types: frozenset[str] = frozenset({Saluted.type})
    standing_types: frozenset[str] = frozenset()
    breaks: bool = False
    heard: list[Frame] = field(default_factory=list)
    beats: list[Frame] = field(default_factory=list)
    reviewed: Callable[[], None] = lambda: None
    ended: list[tuple[CloseCode, str]] = field(default_factory=list)
    principal: Principal = field(
        default_factory=lambda: Principal(
            user_id=1,
            username="omar",
            role="cadet",
            session_id=str(uuid.uuid4()),
            version=1,
            generation=1,
            expires_at=now() + dt.timedelta(minutes=15),
        )
    )

    def hears(self, event_type: str) -> bool:
        return event_type in self.event_types

    def depends_on(self, event_type: str) -> bool:
        return event_type in self.standing_types

    async def deliver(self, frame: Frame) -> None:
        if self.breaks:
            raise ConnectionError
        self.heard.append(frame)

    async def beat(self, frame: Frame) -> None:
        self.beats.append(frame)

    async def review(self) -> None:
        self.reviewed()

    async def close(self, code: CloseCode, reason: str) -> None:
        self.ended.append((code, reason))


def publish(event: messages.Event, *recipients: str) -> None:
    with transaction.atomic():
        services.publish(event=event, recipients=recipients)


def salute(*numbers: int, to: str = "user:1") -> None:
    for number in numbers:
        publish(Saluted(number=number), to)


def close_connection() -> None:
    connection.close()  # looked up here, so that it is the calling thread's


Write = Callable[..., Awaitable[object]]


def with_hub(scene: Callable[[Hub, Write], Awaitable[None]]) -> None:
    """Play `scene` with a hub that is told when to read; `write` calls a function on the hub's thread."""
    TokenGeneration.objects.get_or_create(pk=1)

    async def play() -> None:
        threads = DatabaseThreads(name="hub", size=1, renew=False)
        hub = Hub(threads)
        try:
            await hub.tick()
            await scene(hub, threads.run)
        finally:
            await hub.stop()
            await threads.run(close_connection)

    asyncio.run(play())


def test_an_event_goes_to_the_sockets_of_its_recipients_once() -> None:
    own, twice = Remembering(), Remembering()
    other = Remembering(principal=dataclasses.replace(own.principal, user_id=2))

    async def scene(hub: Hub, write: Write) -> None:
        for member in (own, twice, other):
            await hub.join(member)
        hub.regroup(twice, ["company:Alpha"])
        await write(publish, Saluted(number=1), "user:1", "company:Alpha")
        await hub.tick()
        await hub.tick()

    with_hub(scene)
    assert len(own.heard) == len(twice.heard) == 1
    assert own.heard[0] is twice.heard[0], "encoded once"
    assert other.heard == []


def test_a_socket_hears_only_the_types_it_asked_for() -> None:
    member = Remembering()

    async def scene(hub: Hub, write: Write) -> None:
        await hub.join(member)
        await write(publish, Other(), "user:1")
        await hub.tick()

    with_hub(scene)
    assert member.heard == []


def test_who_joins_hears_what_comes_after_its_place_and_who_has_left_nothing() -> None:
    early, late = Remembering(), Remembering()
    places: list[int] = []

    async def scene(hub: Hub, write: Write) -> None:
        places.append((await hub.join(early)).position)
        await write(salute, 1, 2)
        await hub.tick()
        places.append((await hub.join(late)).position)
        hub.leave(early)
        await write(salute, 3)
        await hub.tick()

    with_hub(scene)
    assert (len(early.heard), len(late.heard)) == (2, 1)
    assert places[1] == places[0] + 2


def test_what_lies_in_the_log_from_before_the_start_is_not_handed_out() -> None:
    salute(1)
    member = Remembering()

    async def scene(hub: Hub, write: Write) -> None:
        await hub.join(member)
        await hub.tick()

    with_hub(scene)
    assert member.heard == []


def test_more_events_than_are_read_at_once_all_come_in_order() -> None:
    member = Remembering()

    async def scene(hub: Hub, write: Write) -> None:
        await hub.join(member)
        await write(
            Event.objects.bulk_create,
            [Event(type=Saluted.type, recipients=["user:1"], data={"number": number}) for number in range(1200)],
        )
        while await hub.tick():
            pass

    with_hub(scene)
    assert [frame.data["number"] for frame in member.heard] == list(range(1200))


def test_a_socket_that_fails_is_closed_and_the_others_are_served() -> None:
    broken, sound = Remembering(breaks=True), Remembering()

    async def scene(hub: Hub, write: Write) -> None:
        await hub.join(broken)
        await hub.join(sound)
        await write(salute, 1)
        await hub.tick()

    with_hub(scene)
    assert broken.ended == [(CloseCode.TRY_AGAIN_LATER, "unavailable"), (CloseCode.SERVICE_RESTART, "service_restart")]
    assert len(sound.heard) == 1


def test_a_revoked_session_is_closed_before_it_hears_anything_more() -> None:
    ended, other = Remembering(), Remembering()

    def revoke() -> None:
        Revocation.objects.create(session_id=ended.principal.session_id)
        announce_revocation()
        salute(1)

    async def scene(hub: Hub, write: Write) -> None:
        await hub.join(ended)
        await hub.join(other)
        await asyncio.sleep(0.6)  # the list is asked twice a second at most
        await write(revoke)
        await hub.tick()

    with_hub(scene)
    assert ended.ended[0] == (CloseCode.TOKEN_REFUSED, "token_revoked")
    assert other.ended == [(CloseCode.SERVICE_RESTART, "service_restart")]
    assert len(other.heard) == 1


@pytest.mark.parametrize("kept", [0, 1])
def test_events_that_were_removed_before_this_process_read_them_end_all_sockets(kept: int) -> None:
    before, after = Remembering(), Remembering()

    def remove() -> None:
        salute(1, 2, 3)
        services.sequence()
        rows = Event.objects.order_by("position")
        Event.objects.filter(pk__in=[row.pk for row in rows[: 3 - kept]]).delete()

    async def scene(hub: Hub, write: Write) -> None:
        await hub.join(before)
        await write(remove)
        await hub.tick()
        place = await hub.join(after)
        assert place.position == 3, "who comes now stands at the end"
        await write(salute, 4)
        await hub.tick()

    with_hub(scene)
    assert [frame.data["number"] for frame in before.heard] == [4], "this one stays although it was told to go"
    assert before.ended[0] == (CloseCode.SERVICE_RESTART, "service_restart")
    assert [frame.data["number"] for frame in after.heard] == [4]


@pytest.mark.parametrize("how", ["epoch", "position"])
def test_another_log_in_its_place_ends_all_sockets_and_is_followed_from_its_end(how: str) -> None:
    before, after = Remembering(), Remembering()
    salute(1, 2, 3)

    def replace() -> None:
        services.sequence()
        Event.objects.all().delete()
        change = {"epoch": uuid.uuid4()} if how == "epoch" else {"position": 0}
        EventHead.objects.update(**change)

    async def scene(hub: Hub, write: Write) -> None:
        await hub.join(before)
        await write(replace)
        await hub.tick()
        await hub.join(after)
        await write(salute, 4)
        await hub.tick()

    with_hub(scene)
    assert before.ended[0] == (CloseCode.SERVICE_RESTART, "service_restart")
    assert len(after.heard) == 1


def test_who_stands_for_another_company_now_hears_nothing_more_of_the_old_one() -> None:
    member = Remembering()

    async def scene(hub: Hub, write: Write) -> None:
        await hub.join(member)
        hub.regroup(member, ["company:Alpha"])
        await write(publish, Saluted(number=1), "company:Alpha")
        await hub.tick()
        hub.regroup(member, ["company:Bravo"])
        await write(publish, Saluted(number=2), "company:Alpha")
        await write(publish, Saluted(number=3), "company:Bravo")
        await write(publish, Saluted(number=4), "user:1")
        await hub.tick()

    with_hub(scene)
    assert [frame.data["number"] for frame in member.heard] == [1, 3, 4]


def test_a_lost_right_ends_the_hearing_before_the_next_event_of_the_same_reading() -> None:
    member, other = Remembering(standing_types=frozenset({Other.type})), Remembering()

    async def scene(hub: Hub, write: Write) -> None:
        member.reviewed = lambda: hub.leave(member)
        await hub.join(member)
        await hub.join(other)
        for event in (Saluted(number=1), Other(), Saluted(number=2)):
            await write(publish, event, "user:1")
        await hub.tick()

    with_hub(scene)
    assert [frame.data["number"] for frame in member.heard] == [1]
    assert [frame.data["number"] for frame in other.heard] == [1, 2]


def test_a_sign_of_life_tells_how_far_all_have_heard() -> None:
    member = Remembering()

    async def scene(hub: Hub, write: Write) -> None:
        await hub.join(member)
        await write(salute, 1)
        hub._beaten_at = float("-inf")
        await hub.tick()
        await hub.tick()

    with_hub(scene)
    (beat,) = member.beats
    assert (beat.type, beat.id, beat.position) == (HEARTBEAT, member.heard[0].id, member.heard[0].position)


def test_an_account_has_so_many_places_and_no_more(settings: Any) -> None:
    settings.SOCKETS_OF_AN_ACCOUNT = 2
    first, second, third = Remembering(), Remembering(), Remembering()
    other = Remembering(principal=dataclasses.replace(first.principal, user_id=2))

    async def scene(hub: Hub, write: Write) -> None:
        await hub.join(first)
        await hub.join(second)
        with pytest.raises(SocketRefused) as refusal:
            await hub.join(third)
        assert (refusal.value.code, refusal.value.reason) == (CloseCode.TOO_MANY, "too_many_sockets")
        await hub.join(other)
        hub.leave(first)
        await hub.join(third)

    with_hub(scene)


def test_nobody_joins_a_hub_that_stops() -> None:
    async def scene(hub: Hub, write: Write) -> None:
        await hub.stop()
        with pytest.raises(SocketRefused) as refusal:
            await hub.join(Remembering())
        assert refusal.value.code == CloseCode.SERVICE_RESTART

    with_hub(scene)


# --- What is told to the operators --------------------------------------------------------------------------


def test_an_outage_is_told_at_its_beginning_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    presence = Presence("The database")
    with caplog.at_level(logging.INFO):
        presence.back()
        for _ in range(3):
            presence.gone(DatabaseError())
        for _ in range(3):
            presence.back()
    assert caplog.messages == ["The database is away: DatabaseError", "The database is back"]


def test_the_channel_layers_tracebacks_become_one_line_an_outage() -> None:
    times = iter([0.0, 1.0, 2.0, 60.0])
    once = OncePerOutage(clock=lambda: next(times))
    records = [logging.LogRecord("x", logging.ERROR, "", 0, "boom", (), (None, None, None)) for _ in range(4)]
    assert [once.filter(record) for record in records] == [True, False, False, True]
    assert records[0].exc_info is None
