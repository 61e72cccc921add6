"""Announcements and chat as rows of the database."""

import datetime as dt
from collections.abc import Mapping, Sequence

from apps.accounts.models import User
from apps.cadets.models import Enrollment, EnrollmentStatus, Term
from apps.messaging.models import Announcement, Message, ReadMark, Room, RoomKind
from apps.messaging.services.rooms import rooms_ensure
from apps.operations.services.demonstration import texts
from apps.operations.services.demonstration.cadet_rows import insert
from apps.operations.services.demonstration.chance import stream
from apps.operations.services.demonstration.terms import at

_CADETS_WHO_WRITE = 4  # of each company


def announcements_write(*, today: dt.date, author: int) -> int:
    rows = []
    for one in texts.ANNOUNCEMENTS:
        written_at = at(today - dt.timedelta(days=one.days_since), 16 * 60)
        archived_at = at(today - dt.timedelta(days=30), 9 * 60) if one.is_archived else None
        rows.append(
            Announcement(
                kind=one.kind,
                title=one.title,
                text=one.text,
                date=today + dt.timedelta(days=one.days_ahead),
                created_by_id=author,
                archived_at=archived_at,
                version=2 if archived_at else 1,
                created_at=written_at,
                updated_at=archived_at or written_at,
            )
        )
    return insert(Announcement, rows)


def talk_write(
    *, seed: int, today: dt.date, term: Term, staff: Sequence[User], officer_of: Mapping[str, int], cadet: User | None
) -> int:
    """What was said in the rooms: of the staff, of each company, and between the Commandant and the demo cadet.

    `staff` begins with the Commandant. Lines of people who are not there are left out.
    """
    rooms_ensure()
    messages: list[Message] = []
    readers = [user.pk for user in (*staff[:1], cadet) if user is not None]
    members = _members(term)
    for room in Room.objects.exclude(kind=RoomKind.DIRECT).select_related("company").order_by("pk"):
        if room.company is None:
            messages += _lines(room, texts.STAFF_TALK, [user.pk for user in staff], today)
        elif room.company.name in officer_of:
            people = [officer_of[room.company.name], *members.get(room.company_id, [])]
            messages += _lines(room, _company_talk(seed, room.company.name), people, today)
    if cadet is not None and staff:
        first, second = sorted((staff[0].pk, cadet.pk))
        room, _ = Room.objects.get_or_create(
            first_person_id=first, second_person_id=second, defaults={"kind": RoomKind.DIRECT}
        )
        messages += _lines(room, texts.DIRECT_TALK, [staff[0].pk, cadet.pk], today)
    messages.sort(key=lambda message: message.created_at)
    written = Message.objects.bulk_create(messages)
    _read(written, readers)
    return len(written)


def _company_talk(seed: int, company: str) -> list[tuple[float, int, str]]:
    """Some of the threads, one every two days or so, as lines with hours before today's midnight."""
    chance = stream(seed, "talk", company)
    lines: list[tuple[float, int, str]] = []
    for turn, thread in enumerate(chance.sample(texts.COMPANY_THREADS, k=4)):
        hours = 48 * (3 - turn) + chance.uniform(6, 14)
        lines += [(hours - (minutes + chance.random()) / 60, who, body) for minutes, who, body in thread]
    return lines


def _members(term: Term) -> dict[int | None, list[int]]:
    """The accounts of some cadets of each company, by the company's id."""
    members: dict[int | None, list[int]] = {}
    rows = Enrollment.objects.filter(term=term, status=EnrollmentStatus.ONGOING, cadet__user__isnull=False)
    for company_id, user_id in rows.order_by("pk").values_list("company_id", "cadet__user_id"):
        some = members.setdefault(company_id, [])
        if user_id is not None and len(some) < _CADETS_WHO_WRITE:
            some.append(user_id)
    return members


def _lines(room: Room, lines: Sequence[tuple[float, int, str]], people: Sequence[int], today: dt.date) -> list[Message]:
    return [
        Message(
            room=room,
            author_id=people[who],
            body=body,
            client_id=f"line-{place}",
            created_at=at(today, -60 * hours),
        )
        for place, (hours, who, body) in enumerate(lines)
        if who < len(people)
    ]


def _read(messages: Sequence[Message], readers: Sequence[int]) -> None:
    """Each reader has read up to the own last line, and what follows is new."""
    marks: dict[tuple[int, int], Message] = {}
    for message in messages:
        if message.author_id in readers:
            marks[message.room_id, message.author_id] = message
    insert(
        ReadMark,
        (
            ReadMark(room_id=room_id, user_id=user_id, last_message=message, read_at=message.created_at)
            for (room_id, user_id), message in marks.items()
        ),
    )
