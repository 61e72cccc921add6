"""The event log on a real PostgreSQL: what is committed is delivered, once, in order, whoever writes
meanwhile."""

import datetime as dt
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import pytest
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, ProgrammingError, connection, transaction

from apps.events import selectors, services
from apps.events.models import Event, EventHead
from apps.events.rules import LARGEST_EVENT, EventRefused
from core import messages
from core.clock import now


@dataclass(frozen=True, kw_only=True)
class Marched(messages.Event):
    type: ClassVar[str] = "events.tests.marched"

    number: int
    text: str = ""


def publish(number: int = 1, *, to: str = "user:1", text: str = "") -> None:
    with transaction.atomic():
        services.publish(event=Marched(number=number, text=text), recipients=[to])


def sequence_all() -> None:
    while services.sequence():
        pass


def in_threads(*works: Callable[[], None]) -> None:
    """Run `works` at once, each on a connection of its own; the first error of any is raised."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]


# --- Writing ------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_an_event_outside_a_transaction_is_refused() -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        services.publish(event=Marched(number=1), recipients=["user:1"])
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_an_event_for_a_recipient_that_cannot_exist_is_refused() -> None:
    with pytest.raises(EventRefused):
        publish(to="everybody")
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_an_event_too_large_for_a_frame_is_refused() -> None:
    with pytest.raises(EventRefused):
        publish(text="x" * LARGEST_EVENT)


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError):
        Marched(number=1, nubmer=2)  # type: ignore[call-arg]


@pytest.mark.django_db
def test_an_event_carries_its_type_fields_and_time_but_no_position_yet() -> None:
    before = now()
    publish(7, to="company:Alpha")
    event = Event.objects.get()
    assert (event.type, event.recipients, event.data) == (
        "events.tests.marched",
        ["company:Alpha"],
        {"number": 7, "text": ""},
    )
    assert event.position is None
    assert abs(event.at - before) < dt.timedelta(seconds=5)


@pytest.mark.django_db(transaction=True)
def test_an_event_of_a_transaction_that_is_rolled_back_never_was() -> None:
    with transaction.atomic():
        services.publish(event=Marched(number=1), recipients=["user:1"])
        transaction.set_rollback(True)
    assert services.sequence() == 0
    assert selectors.head().position == 0


@pytest.mark.django_db
def test_a_writer_cannot_choose_an_id() -> None:
    with pytest.raises(ProgrammingError, match="GENERATED ALWAYS"), transaction.atomic():
        Event.objects.create(id=5, type="x", recipients=["user:1"], data={})


@pytest.mark.django_db
def test_there_is_one_head_and_no_second() -> None:
    for one in (True, False):
        with pytest.raises(IntegrityError), transaction.atomic():
            EventHead.objects.create(one=one)
    assert EventHead.objects.count() == 1


# --- Positions ----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_positions_follow_the_ids_of_what_is_committed() -> None:
    for number in range(3):
        publish(number)
    assert selectors.head().waiting
    assert services.sequence() == 3
    head = selectors.head()
    assert (head.position, head.waiting) == (3, False)
    assert [(event.position, event.data["number"]) for event in selectors.events_after(0, 10)] == [
        (1, 0),
        (2, 1),
        (3, 2),
    ]
    assert [event.position for event in selectors.events_after(1, 1)] == [2]
    assert services.sequence() == 0
    assert selectors.head() == head


@pytest.mark.django_db(transaction=True)
def test_an_event_that_took_its_id_early_and_commits_late_is_not_lost() -> None:
    has_id, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            services.publish(event=Marched(number=1), recipients=["user:1"])
            has_id.set()
            assert may_commit.wait(30)

    def fast() -> None:
        assert has_id.wait(30)
        publish(2)
        assert services.sequence() == 1
        assert [event.data["number"] for event in selectors.events_after(0, 10)] == [2]
        may_commit.set()

    in_threads(slow, fast)
    assert services.sequence() == 1
    assert [event.data["number"] for event in selectors.events_after(1, 10)] == [1]


@pytest.mark.django_db(transaction=True)
def test_more_than_one_round_of_events_is_given_positions_in_rounds() -> None:
    Event.objects.bulk_create(
        Event(type="x", recipients=["user:1"], data={}) for _ in range(services.SEQUENCED_AT_ONCE + 1)
    )
    assert services.sequence() == services.SEQUENCED_AT_ONCE
    assert selectors.head().waiting
    assert services.sequence() == 1


@dataclass
class Crowd:
    """Writers that commit in another order than they took their ids, and roll back now and then."""

    writers: int
    each: int
    committed: list[int] = field(default_factory=list)
    is_done: threading.Event = field(default_factory=threading.Event)

    def write_all(self) -> None:
        in_threads(*(partial(self._write, writer) for writer in range(self.writers)))
        self.is_done.set()

    def _write(self, writer: int) -> None:
        chance = random.Random(writer)
        for number in range(writer * 1000, writer * 1000 + self.each):
            is_kept = chance.random() > 0.1
            with transaction.atomic():
                services.publish(event=Marched(number=number), recipients=["user:1"])
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_sleep(%s)", [chance.random() * 0.003])
                transaction.set_rollback(not is_kept)
            if is_kept:
                self.committed.append(number)

    def follow(self, heard: list[tuple[int, int]]) -> None:
        """A hub: gives positions, reads on from its own, until all writers are done and nothing is left."""
        position = 0
        while True:
            is_last_round = self.is_done.is_set()
            services.sequence()
            while events := selectors.events_after(position, 100):
                for event in events:
                    assert event.position == position + 1  # dense, whenever it is read
                    position = event.position
                    heard.append((position, event.data["number"]))
            if is_last_round:
                return


@pytest.mark.django_db(transaction=True)
def test_writers_and_two_hubs_at_once_lose_nothing_and_leave_no_gap() -> None:
    crowd = Crowd(writers=8, each=40)
    first: list[tuple[int, int]] = []
    second: list[tuple[int, int]] = []
    in_threads(crowd.write_all, lambda: crowd.follow(first), lambda: crowd.follow(second))
    numbers = [number for _, number in first]
    assert first == second
    assert sorted(numbers) == sorted(crowd.committed)
    assert len(numbers) < crowd.writers * crowd.each  # some were rolled back
    for writer in range(crowd.writers):
        own = [number for number in numbers if number // 1000 == writer]
        assert own == sorted(own)  # each writer is heard in its own order


@pytest.mark.django_db(transaction=True)
def test_a_head_that_is_locked_elsewhere_is_not_waited_for_long() -> None:
    publish()
    locked, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            EventHead.objects.select_for_update().get()
            locked.set()
            release.wait(30)

    def try_to_sequence() -> None:
        assert locked.wait(30)
        try:
            with pytest.raises(OperationalError, match="lock timeout"):
                services.sequence()
            publish(2)  # no writer ever waits for the head
        finally:
            release.set()

    in_threads(hold, try_to_sequence)
    assert services.sequence() == 2


@pytest.mark.django_db(transaction=True)
def test_positions_are_not_given_inside_another_transaction() -> None:
    publish()
    with pytest.raises(RuntimeError), transaction.atomic():
        services.sequence()


# --- Retention, and the head row ----------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_old_events_expire_and_later_positions_stay() -> None:
    for number in range(4):
        publish(number)
    sequence_all()
    week = now() - dt.timedelta(days=7)
    Event.objects.filter(position__lte=2).update(at=week - dt.timedelta(seconds=1))
    assert services.events_expire(before=week) == 2
    assert [event.position for event in selectors.events_after(0, 10)] == [3, 4]
    assert selectors.head().position == 4
    publish(5)
    sequence_all()
    assert [event.position for event in selectors.events_after(4, 10)] == [5]


@pytest.mark.django_db(transaction=True)
def test_an_old_event_behind_a_younger_one_stays_so_that_positions_have_no_hole() -> None:
    for number in range(3):
        publish(number)
    sequence_all()
    week = now() - dt.timedelta(days=7)
    Event.objects.filter(position__in=(1, 3)).update(at=week - dt.timedelta(seconds=1))
    assert services.events_expire(before=week) == 1
    assert [event.position for event in selectors.events_after(0, 10)] == [2, 3]


@pytest.mark.django_db(transaction=True)
def test_an_old_event_that_was_never_delivered_does_not_expire() -> None:
    publish()
    week = now() - dt.timedelta(days=7)
    Event.objects.update(at=week - dt.timedelta(seconds=1))
    assert services.events_expire(before=week) == 0
    assert Event.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_lost_head_row_comes_back_with_migrate_under_a_new_epoch() -> None:
    publish()
    sequence_all()
    epoch = selectors.head().epoch
    EventHead.objects.all().delete()
    with pytest.raises(RuntimeError, match="migrate"):
        selectors.head()
    call_command("migrate", verbosity=0)
    head = selectors.head()
    assert head.epoch != epoch
    assert head.position == 1
    publish(2)
    sequence_all()
    assert [event.position for event in selectors.events_after(1, 10)] == [2]


@pytest.mark.django_db
def test_asking_for_the_end_of_the_log_is_one_query(
    django_assert_num_queries: Callable[[int], object],
) -> None:
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        selectors.head()
