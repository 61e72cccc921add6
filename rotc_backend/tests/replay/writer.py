"""A process that writes at random, as many of them at once do: python -m tests.replay.writer SEED EVENTS

Ends when the log holds EVENTS, whoever wrote them. Some transactions are slow, so that they commit long after younger
ones; some are taken back with all that they told.
"""

import contextlib
import datetime as dt
import os
import random
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.testing")
django.setup()

from django.db import transaction

from apps.accounts.models import User
from apps.accounts.rules import Principal
from apps.cadets.models import Enrollment
from apps.events.models import Event
from apps.messaging.models import Announcement, Message, Notification, Room, RoomKind
from apps.messaging.services import announcements, messages, notifications, rooms
from core.clock import now
from core.errors import DomainError

SLOW, TAKEN_BACK = 0.1, 0.1  # shares of all transactions
SLOWEST_SECONDS = 0.15


class TakenBack(Exception):
    """The transaction was not meant to stay."""


class Writer:
    def __init__(self, *, seed: int) -> None:
        self.random = random.Random(seed)
        self.people = [self._principal(user) for user in User.objects.order_by("pk")]
        self.staff = [person for person in self.people if person.is_staff_member]
        of_company: dict[int, list[Principal]] = {}
        for user_id, company_id in Enrollment.objects.values_list("cadet__user_id", "company_id"):
            of_company.setdefault(company_id, []).extend(one for one in self.people if one.user_id == user_id)
        self.rooms = {
            room.pk: [*self.staff, *of_company.get(room.company_id or 0, ())]
            for room in Room.objects.exclude(kind=RoomKind.DIRECT)
        }
        self.serial = seed * 1_000_000

    @staticmethod
    def _principal(user: User) -> Principal:
        return Principal(
            user_id=user.pk,
            username=user.username,
            role=user.role,
            session_id="",
            version=user.token_version,
            generation=1,
            expires_at=now() + dt.timedelta(hours=1),
        )

    def write_once(self) -> None:
        act = self.random.choice(
            [
                *[self.notify] * 4,
                *[self.read] * 2,
                self.remove,
                *[self.say] * 4,
                self.edit,
                self.delete,
                self.mark,
                self.announce,
                self.reword,
                self.archive,
            ]
        )
        # What a service refuses: an author who is too fast, a row that is gone already.
        with contextlib.suppress(DomainError, TakenBack), transaction.atomic():
            act()
            if self.random.random() < SLOW:
                time.sleep(self.random.uniform(0, SLOWEST_SECONDS))
            if self.random.random() < TAKEN_BACK:
                raise TakenBack

    def notify(self) -> None:
        self.serial += 1
        recipient = self.random.choice(self.people)
        notifications.notification_create(
            actor_id=None, recipient_id=recipient.user_id, title=f"n{self.serial}", body="06:30"
        )

    def read(self) -> None:
        if (found := Notification.objects.filter(read_at=None).order_by("?").first()) is not None:
            notifications.notification_read(actor=self._of(found.recipient_id), notification_id=found.pk)

    def remove(self) -> None:
        if (found := Notification.objects.order_by("?").first()) is not None:
            notifications.notification_delete(actor=self._of(found.recipient_id), notification_id=found.pk)

    def say(self) -> None:
        self.serial += 1
        room_id, members = self.random.choice(list(self.rooms.items()))
        author = self.random.choice(members)
        messages.message_send(actor=author, room_id=room_id, body=f"m{self.serial}", client_id=f"c{self.serial}")

    def edit(self) -> None:
        if (found := Message.objects.filter(deleted_at=None).order_by("?").first()) is not None:
            messages.message_edit(actor=self._of(found.author_id), message_id=found.pk, body=f"e{self.random.random()}")

    def delete(self) -> None:
        if (found := Message.objects.filter(deleted_at=None).order_by("?").first()) is not None:
            messages.message_delete(actor=self._of(found.author_id), message_id=found.pk)

    def mark(self) -> None:
        if (found := Message.objects.order_by("?").first()) is not None:
            reader = self.random.choice(self.rooms[found.room_id])
            rooms.room_read(actor=reader, room_id=found.room_id, message_id=found.pk)

    def announce(self) -> None:
        self.serial += 1
        announcements.announcement_create(
            actor=self.random.choice(self.staff),
            kind="announcement",
            title=f"a{self.serial}",
            text="",
            date=dt.date(2026, 9, 1),
        )

    def reword(self) -> None:
        if (found := Announcement.objects.filter(archived_at=None).order_by("?").first()) is not None:
            announcements.announcement_change(
                actor=self.random.choice(self.staff),
                announcement_id=found.pk,
                expected_version=found.version,
                changes={"title": f"b{self.random.random()}"},
            )

    def archive(self) -> None:
        if (found := Announcement.objects.order_by("?").first()) is not None:
            call = self.random.choice([announcements.announcement_archive, announcements.announcement_restore])
            call(actor=self.random.choice(self.staff), announcement_id=found.pk)

    def _of(self, user_id: int) -> Principal:
        return next(person for person in self.people if person.user_id == user_id)


def main(seed: int, events: int) -> None:
    writer = Writer(seed=seed)
    while Event.objects.count() < events:
        for _ in range(10):
            writer.write_once()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
