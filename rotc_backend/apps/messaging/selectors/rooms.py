"""Rooms, as far as somebody is in them, and what was said there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db import models
from django.db.models import Count, F, Func, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce

from apps.accounts.models import Role, Status, User
from apps.accounts.rules import Principal
from apps.cadets.models import Company, Enrollment
from apps.messaging import rules
from apps.messaging.models import Message, ReadMark, Room, RoomKind
from core.errors import NotFound, PermissionRefused

_NO_ROOM = "You are in no room with this id."
_NO_MESSAGE = "There is no message with this id in a room of yours."


@dataclass(frozen=True, kw_only=True)
class RoomSummary:
    """A room as one person sees it in the list. `unread` stops at `rules.UNREAD_COUNTED`."""

    room: Room
    name: str
    member_count: int
    unread: int
    last_read_id: int | None
    last_message: Message | None

    @property
    def people(self) -> list[User]:
        """The two of a direct room."""
        return [person for person in (self.room.first_person, self.room.second_person) if person is not None]


def company_id_of(*, user_id: int) -> int | None:
    """The company that somebody belongs to as a cadet in the current term; None without enrollment or company."""
    return _places_of(user_id).values_list("company_id", flat=True).first()


def company_of(*, user_id: int) -> Company | None:
    """The same with its name; None also when it is archived."""
    place = _places_of(user_id).filter(company__archived_at=None).select_related("company").first()
    return place.company if place is not None else None


def rooms_of(*, actor: Principal) -> QuerySet[Room]:
    """The rooms that `actor` is a member of, in no order. Rooms of archived companies are not among them."""
    if actor.is_staff_member:
        shared = Q(kind=RoomKind.STAFF) | Q(kind=RoomKind.COMPANY, company__archived_at=None)
    else:
        shared = Q(company=company_id_of(user_id=actor.user_id), company__archived_at=None, kind=RoomKind.COMPANY)
    return Room.objects.filter(_own_pair(actor) | shared)


def rooms_seen_by(*, actor: Principal, kind: str | None = None) -> QuerySet[Room]:
    """The rooms of `rooms_of` for `summaries`: those with the newest messages first, the silent ones by id."""
    rooms = rooms_of(actor=actor)
    if kind is not None:
        rooms = rooms.filter(kind=kind)
    return _as_seen_by(rooms, actor=actor).order_by(F("newest_id").desc(nulls_last=True), "pk")


def rooms_of_others(*, actor: Principal) -> QuerySet[Room]:
    """The direct rooms of other people, for `summaries` without words. Raises PermissionRefused for all but admins."""
    if not actor.is_admin:
        raise PermissionRefused("Only administrators see which direct rooms others have.")
    foreign = Room.objects.filter(kind=RoomKind.DIRECT).exclude(_own_pair(actor))
    return _as_seen_by(foreign, actor=actor).order_by(F("newest_id").desc(nulls_last=True), "pk")


def summaries(*, actor: Principal, rooms: Sequence[Any], with_words: bool = True) -> list[RoomSummary]:
    """What the list tells of rooms from `rooms_seen_by`: three queries, however many they are.

    Without words it says that a room is there and nothing of what is said in it: a look that leaves no trace.
    """
    newest = [room.newest_id for room in rooms if with_words and room.newest_id is not None]
    last_messages = Message.objects.select_related("author").in_bulk(newest)
    counts = _member_counts(rooms)
    return [
        RoomSummary(
            room=room,
            name=_name(room, reader_id=actor.user_id),
            member_count=counts[room.pk],
            unread=room.unread if with_words else 0,
            last_read_id=room.read_to or None,
            last_message=last_messages.get(room.newest_id),
        )
        for room in rooms
    ]


def room_summary(*, actor: Principal, room_id: int) -> RoomSummary:
    """What the list tells of one room, also of one that `actor` only looks into. The room exists."""
    return summaries(actor=actor, rooms=list(_as_seen_by(Room.objects.filter(pk=room_id), actor=actor)))[0]


def room_listened_to(*, actor: Principal, room_id: int) -> Room:
    """The room, if `actor` may hear all that is said in it as it comes.

    Raises NotFound (`room_unknown`), for a direct room of others too: whether there is one is nobody's business; and
    PermissionRefused for a room that is known to all (`not_a_member`; `archived`, when its company is), and for an
    administrator in a direct room of others, who can look into it but does not sit in it.
    """
    room = Room.objects.select_related("company").filter(pk=room_id).first()
    member = room is not None and is_member(actor=actor, room=room)
    if room is None or (room.kind == RoomKind.DIRECT and not rules.may_look(actor=actor, is_member=member)):
        raise NotFound(_NO_ROOM, code="room_unknown")
    if not member:
        raise PermissionRefused("You are not in this room.", code="not_a_member")
    if room.company is not None and room.company.archived_at is not None:
        raise PermissionRefused("The company of this room is archived.", code="archived")
    return room


def room_looked_at(*, actor: Principal, room_id: int) -> Room:
    """The room, if `actor` may read it. Raises NotFound: whether another's room exists is nobody's business."""
    room = Room.objects.select_related("company").filter(pk=room_id).first()
    if room is None or not rules.may_look(actor=actor, is_member=is_member(actor=actor, room=room)):
        raise NotFound(_NO_ROOM)
    return room


def room_written_in(*, actor: Principal, room_id: int) -> Room:
    """The room, if `actor` is a member. Raises NotFound, and PermissionRefused (`not_a_member`) for who only looks."""
    room = room_looked_at(actor=actor, room_id=room_id)
    if not is_member(actor=actor, room=room):
        raise PermissionRefused(
            "This is a direct room of two other people: you may read it and remove messages, not write in it.",
            code="not_a_member",
        )
    return room


def is_member(*, actor: Principal, room: Room) -> bool:
    """Whether `actor` is in `room` now; asked again at every write, since companies and terms change."""
    return rules.is_member(
        actor=actor,
        kind=room.kind,
        is_own_pair=actor.user_id in room.person_ids,
        is_own_company=room.company_id is not None
        and not actor.is_staff_member
        and room.company_id == company_id_of(user_id=actor.user_id),
    )


def members_of(*, room: Room) -> list[User]:
    """Who can sign in and write in the room, by name: those whom `summaries` counts. One query, or none."""
    if room.kind == RoomKind.DIRECT:
        return [person for person in (room.first_person, room.second_person) if person is not None]
    people = Q(role__in=(Role.ADMIN, Role.TRAINING_STAFF))
    if room.kind == RoomKind.COMPANY:
        own = _taking_part().filter(company=room.company_id)
        people |= Q(role=Role.CADET, pk__in=own.values("cadet__user"))
    active = User.objects.filter(people, status=Status.APPROVED, archived_at=None)
    return list(active.order_by("last_name", "first_name", "username"))


def room_name(room: Room) -> str:
    """The company's name, "Staff", or both people of a direct room, as somebody sees it who is neither."""
    return _name(room, reader_id=0)


def read_marks_of(*, room: Room) -> QuerySet[ReadMark]:
    """How far each person has read, in order of their ids."""
    return ReadMark.objects.filter(room=room).order_by("user_id")


def history(*, room: Room, before: int | None, limit: int) -> tuple[list[Message], int | None]:
    """At most `limit` messages, newest first, and the `before` that gives the ones older than these, if there are any.

    Without `before` they are the newest of all.
    """
    messages = _said_in(room.pk)
    if before is not None:
        messages = messages.filter(_place("<", Value(room.pk), Value(before)))
    found = list(messages.select_related("author")[: limit + 1])
    page = found[:limit]
    return page, page[-1].pk if len(found) > limit else None


def message_looked_at(*, actor: Principal, message_id: int) -> Message:
    """The message with its room and author, if `actor` may read the room. Raises NotFound."""
    message = Message.objects.select_related("room__company", "author").filter(pk=message_id).first()
    if message is None or not rules.may_look(actor=actor, is_member=is_member(actor=actor, room=message.room)):
        raise NotFound(_NO_MESSAGE)
    return message


def companies_without_room() -> list[tuple[int, str]]:
    """(id, name) of each."""
    return list(Company.objects.filter(room=None).order_by("pk").values_list("pk", "name"))


def _own_pair(actor: Principal) -> Q:
    return Q(kind=RoomKind.DIRECT) & (Q(first_person=actor.user_id) | Q(second_person=actor.user_id))


def _places_of(user_id: int) -> QuerySet[Enrollment]:
    return _taking_part().filter(cadet__user_id=user_id, company__isnull=False)


def _taking_part() -> QuerySet[Enrollment]:
    return Enrollment.objects.filter(
        term__is_current=True, cadet__archived_at=None, cadet__user__archived_at=None
    ).exclude(status__in=rules.STATUSES_OUTSIDE)


def _as_seen_by(rooms: QuerySet[Room], *, actor: Principal) -> QuerySet[Room]:
    read_to = ReadMark.objects.filter(room=OuterRef("pk"), user=actor.user_id).values("last_message_id")
    messages = _said_in(OuterRef("pk")).values("pk")
    # Cut off before it is counted: somebody new would count the whole history of each room, at every look at the list.
    unread = messages.filter(_place(">", OuterRef("pk"), OuterRef("read_to")), deleted_at=None).exclude(
        author=actor.user_id
    )
    return rooms.select_related("company", "first_person", "second_person").annotate(
        newest_id=Subquery(messages[:1]),
        read_to=Coalesce(Subquery(read_to[:1]), 0, output_field=models.BigIntegerField()),
        unread=Func(
            ArraySubquery(unread[: rules.UNREAD_COUNTED]), function="cardinality", output_field=models.IntegerField()
        ),
    )


def _said_in(room: Any) -> QuerySet[Message]:
    """The messages of a room, newest first, asked for so that only the index over room and id can answer.

    `room = …` lets PostgreSQL walk all messages from the newest until it has met enough of this room, which looks cheap
    when rooms are thought alike: for a silent room it reads everything that was ever said elsewhere.
    """
    return Message.objects.filter(room__gte=room, room__lte=room).order_by("-room_id", "-pk")


def _place(comparison: str, room: Any, message: Any) -> CombinedExpression:
    """Where a message stands in that index, compared with a place in it: one range, however long the room."""
    own, other = (
        Func(*parts, function="ROW", output_field=models.BigIntegerField())
        for parts in ((F("room_id"), F("pk")), (room, message))
    )
    return CombinedExpression(own, comparison, other, output_field=models.BooleanField())


def _member_counts(rooms: Sequence[Room]) -> dict[int, int]:
    """How many people can sign in and write in each room, by its id."""
    staff = User.objects.filter(
        role__in=(Role.ADMIN, Role.TRAINING_STAFF), status=Status.APPROVED, archived_at=None
    ).count()
    cadets = dict(
        _taking_part()
        .filter(
            company__in=[room.company_id for room in rooms if room.company_id is not None],
            cadet__user__status=Status.APPROVED,
            cadet__user__role=Role.CADET,
        )
        .values_list("company")
        .annotate(people=Count("pk"))
    )
    return {room.pk: 2 if room.kind == RoomKind.DIRECT else staff + cadets.get(room.company_id, 0) for room in rooms}


def _name(room: Room, *, reader_id: int) -> str:
    """The company's name, "Staff", or who else is in a direct room (both, for a reader who is neither)."""
    if room.company is not None:
        return room.company.name
    if room.kind == RoomKind.STAFF:
        return "Staff"
    people = [person for person in (room.first_person, room.second_person) if person is not None]
    return ", ".join(person.get_full_name() for person in people if person.pk != reader_id)
