"""One world for the tests of all routes: a term, two cadets of different companies, staff, and what belongs to whom.

No two people have the same in it: an answer made of somebody else's rows is another answer.
"""

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.core.cache import cache as django_cache
from django.db import models, transaction
from rest_framework.test import APIClient

from apps.accounts import selectors, services
from apps.accounts.models import AuditEntry, Role, Session, Status, User
from apps.accounts.tests import factories
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet, Company, Enrollment, Platoon, StaffFunction, StaffProfile, Term
from apps.grading.models import Adjustment, ExamScore, GradeSheet, GradingPolicy, MeritDemerit
from apps.grading.services.closing import term_close
from apps.imports.models import ImportFile, ImportRow, ImportRun
from apps.messaging.models import Announcement, AnnouncementPhoto, Message, Notification, ReadMark, Room
from apps.messaging.services.rooms import rooms_ensure
from apps.operations.models import DeadLetter, JournalEntry, Probe
from apps.reports.models import Certificate, Report
from apps.reports.rules import CODE_BYTES, code_made
from apps.reports.services.links import report_link
from apps.training.models import AttendanceRecord, ExcuseLetter, Scan, ScanEffect, StaffAttendanceRecord, TrainingDay
from core import cache
from core.clock import manila_date, now
from core.uploads import file_store

ANONYMOUS, PENDING, ARCHIVED = "anonymous", "pending", "archived"
CADET, OTHER_CADET = "cadet", "other cadet"
STAFF, PRIVILEGED_STAFF, ADMIN = "staff", "privileged staff", "admin"
PEOPLE = (ANONYMOUS, PENDING, ARCHIVED, CADET, OTHER_CADET, STAFF, PRIVILEGED_STAFF, ADMIN)

# Words that stand in one person's rows and nowhere else, so that an answer shows whom it speaks of. The last one is the
# name of the account, which stands in whatever the person wrote or issued as well.
MARKS: Mapping[str, tuple[str, ...]] = {
    CADET: ("2025-0001", "Macaraeg", "Liza"),
    OTHER_CADET: ("2025-0002", "Pangandaman", "Omar"),
    STAFF: ("Villanueva", "Ramon"),
    PRIVILEGED_STAFF: ("Lucman", "Corazon"),
    ADMIN: ("Dimaporo", "Amina"),
}
# How many unread notifications somebody has, each with the mark.
UNREAD: Mapping[str, int] = {CADET: 1, OTHER_CADET: 2, STAFF: 3, PRIVILEGED_STAFF: 4, ADMIN: 5}


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a cadet has in the current term: one exam, one merit, which is the only one of all terms, and one record of
    the two days that were held, of which the second is today.
    """

    attendance: str
    prelim: str
    merit: int
    place: int  # on the leaderboard


RECORDS: Mapping[str, Record] = {
    CADET: Record(attendance="absent", prelim="85.00", merit=10, place=2),
    OTHER_CADET: Record(attendance="late", prelim="62.50", merit=15, place=1),
}
STAFF_ATTENDANCE: Mapping[str, str] = {STAFF: "present", PRIVILEGED_STAFF: "late"}
# Where things that belong to one person are kept, and who that is. A merit is the business of whoever gave it.
BELONGINGS: tuple[tuple[type[models.Model], str], ...] = (
    (User, "pk"),
    (Session, "user"),
    (Cadet, "user"),
    (StaffProfile, "user"),
    (AttendanceRecord, "cadet__user"),
    (StaffAttendanceRecord, "staff_profile__user"),
    (ExcuseLetter, "cadet__user"),
    (ExamScore, "enrollment__cadet__user"),
    (MeritDemerit, "issued_by"),
    (Notification, "recipient"),
    (Message, "author"),
    (ReadMark, "user"),
    (ImportRun, "created_by"),
    (Report, "requested_by"),
)

DAY = dt.timedelta(days=1)
SCORES_FILE = b"Student ID,Final\r\n2025-0003,88.25\r\n"
POLICY = {
    "attendance_weight": "30.00",
    "aptitude_weight": "30.00",
    "subject_weight": "40.00",
    "attended_statuses": ["present", "late", "excused"],
    "bands": [["95.00", "1.00"], ["90.00", "1.50"], ["85.00", "2.00"], ["80.00", "2.50"], ["75.00", "3.00"]],
    "failing_equivalent": "5.00",
}


@dataclass(frozen=True, kw_only=True)
class World:
    """`ids` are of rows that belong to the first cadet where rows belong to somebody. `people` lacks the anonymous."""

    people: Mapping[str, Person]
    ids: Mapping[str, int | str] = field(repr=False)
    today: dt.date

    def client(self, name: str) -> APIClient:
        """A new client that sends the person's access token, also one that is refused by now."""
        return APIClient() if name == ANONYMOUS else self.people[name].client

    def others_belongings(self, name: str) -> dict[str, list[dict[str, Any]]]:
        """Every row that belongs to somebody else than this person, or to nobody."""
        own = self.people[name].user.pk
        return {
            model.__name__: list(model._default_manager.exclude(**{owner: own}).order_by("pk").values())
            for model, owner in BELONGINGS
        }


def world_create() -> World:
    """Build the world inside the caller's transaction, straight into the tables where no operation is the subject."""
    people = {
        PENDING: factories.signed_in(factories.user("Wahid")),
        ARCHIVED: factories.signed_in(factories.user("Salazar")),
        CADET: factories.signed_in(factories.user("Liza")),
        OTHER_CADET: factories.signed_in(factories.user("Omar")),
        STAFF: factories.signed_in(factories.user("Ramon", role=Role.TRAINING_STAFF)),
        PRIVILEGED_STAFF: factories.signed_in(factories.user("Corazon", role=Role.TRAINING_STAFF)),
        ADMIN: factories.signed_in(factories.user("Amina", role=Role.ADMIN)),
    }
    today = manila_date(now())
    ids = _unit(people, today)
    ids |= _records(people, ids, today)
    ids |= _messages(people, ids)
    ids |= _exchanged(people, ids)
    ids |= _reported(people, ids)
    _lose_access(people)
    return World(people=people, ids=ids, today=today)


def _unit(people: Mapping[str, Person], today: dt.date) -> dict[str, int | str]:
    term = Term.objects.create(
        school_year="2025-2026",
        semester="1st",
        starts_on=today - 90 * DAY,
        ends_on=today + 60 * DAY,
        is_current=True,
    )
    past_term = Term.objects.create(
        school_year="2024-2025", semester="2nd", starts_on=today - 300 * DAY, ends_on=today - 150 * DAY
    )
    closed_term = Term.objects.create(
        school_year="2024-2025", semester="1st", starts_on=today - 480 * DAY, ends_on=today - 330 * DAY
    )
    # They come with the migrations, but a test that commits is followed by a flush, which takes them.
    alpha, bravo = (Company.objects.get_or_create(name=name)[0] for name in ("Alpha", "Bravo"))
    platoon, _ = Platoon.objects.get_or_create(name="1st Platoon")
    liza = Cadet.objects.create(
        student_id="2025-0001",
        last_name="Macaraeg",
        first_name="Liza",
        photo=_picture("Macaraeg"),
        user=people[CADET].user,
    )
    omar = Cadet.objects.create(
        student_id="2025-0002", last_name="Pangandaman", first_name="Omar", user=people[OTHER_CADET].user
    )
    unlinked = Cadet.objects.create(student_id="2025-0003", last_name="Sarip", first_name="Norhaya")
    enrollments = {
        cadet.pk: Enrollment.objects.create(
            cadet=cadet, term=term, company=company, platoon=platoon, enrolled_on=term.starts_on
        )
        for cadet, company in ((liza, alpha), (omar, bravo))
    }
    for one in (past_term, closed_term):
        Enrollment.objects.create(cadet=liza, term=one, company=alpha, platoon=platoon, enrolled_on=one.starts_on)
    instructor = _profile("Villanueva", StaffFunction.INSTRUCTOR, people[STAFF])
    _profile("Lucman", StaffFunction.COMMANDANT, people[PRIVILEGED_STAFF])
    colleague = StaffProfile.objects.create(last_name="Usman", first_name="Datu", email="usman@rotc.example")
    GradingPolicy.objects.get_or_create(term=None, defaults=POLICY)
    GradingPolicy.objects.create(term=past_term, **POLICY)
    return {
        "user_id": people[CADET].user.pk,
        "spare_user_id": factories.user("Fatima").pk,
        "spare_staff_user_id": factories.user("Bautista", role=Role.TRAINING_STAFF).pk,
        "term_id": term.pk,
        "past_term_id": past_term.pk,
        "closed_term_id": closed_term.pk,
        "company_id": alpha.pk,
        "platoon_id": platoon.pk,
        "cadet_id": liza.pk,
        "other_cadet_id": omar.pk,
        "unlinked_cadet_id": unlinked.pk,
        "enrollment_id": enrollments[liza.pk].pk,
        "other_enrollment_id": enrollments[omar.pk].pk,
        "staff_id": instructor.pk,
        "unlinked_staff_id": colleague.pk,
    }


def _profile(last_name: str, function: StaffFunction, person: Person) -> StaffProfile:
    return StaffProfile.objects.create(
        last_name=last_name,
        first_name=person.user.username,
        email=f"{last_name.lower()}@rotc.example",
        function=function,
        user=person.user,
    )


def _records(people: Mapping[str, Person], ids: Mapping[str, int | str], today: dt.date) -> dict[str, int | str]:
    admin, instructor = people[ADMIN].user, people[STAFF].user
    held = TrainingDay.objects.create(term_id=ids["term_id"], date=today - 7 * DAY, title="Drill")
    cancelled = TrainingDay.objects.create(
        term_id=ids["term_id"], date=today - 14 * DAY, title="March", cancelled_at=now(), cancel_reason="Typhoon"
    )
    TrainingDay.objects.create(term_id=ids["term_id"], date=today + 7 * DAY, title="Map reading")
    scanned = TrainingDay.objects.create(term_id=ids["term_id"], date=today, title="Marksmanship")
    for person, status in STAFF_ATTENDANCE.items():
        StaffAttendanceRecord.objects.create(
            training_day=held,
            staff_profile=StaffProfile.objects.get(user=people[person].user),
            status=status,
            remarks=f"{MARKS[person][-2]} came by bus.",
            recorded_by=admin,
        )
    letters, merits = {}, {}
    for person, record in RECORDS.items():
        enrollment = Enrollment.objects.get(term_id=ids["term_id"], cadet__user=people[person].user)
        mark = enrollment.cadet.last_name
        AttendanceRecord.objects.create(
            training_day=held,
            cadet=enrollment.cadet,
            status=record.attendance,
            remarks=f"{mark} had a fever.",
            recorded_by=instructor,
        )
        letters[person] = ExcuseLetter.objects.create(
            cadet=enrollment.cadet,
            term_id=ids["term_id"],
            date_absent=held.date,
            training_day=held,
            reason=f"Fever, says the mother of {mark}.",
            file=_picture(mark),
            file_name="certificate.jpg",
            file_type="image/jpeg",
        )
        ExamScore.objects.create(enrollment=enrollment, exam="prelim", score=record.prelim, recorded_by=instructor)
        merits[person] = MeritDemerit.objects.create(
            enrollment=enrollment,
            kind="merit",
            points=record.merit,
            reason=f"{mark} helped at the flag",
            issued_by=instructor,
        )
    adjustment = Adjustment.objects.create(
        enrollment_id=ids["enrollment_id"], component="aptitude", points="1.00", reason="Band", issued_by=admin
    )
    term_close(actor=people[ADMIN].principal, term_id=int(ids["closed_term_id"]))
    AuditEntry.objects.create(actor=admin, action="term.create", target=f"term:{ids['term_id']}")
    return {
        "training_day_id": held.pk,
        "cancelled_day_id": cancelled.pk,
        "day_of_today_id": scanned.pk,
        "letter_id": letters[CADET].pk,
        "merit_id": merits[CADET].pk,
        "adjustment_id": adjustment.pk,
        "exam": "prelim",
        "sheet_id": GradeSheet.objects.get(enrollment__term_id=ids["closed_term_id"]).pk,
    }


def _messages(people: Mapping[str, Person], ids: Mapping[str, int | str]) -> dict[str, int | str]:
    liza, ramon = people[CADET].user, people[STAFF].user
    rooms_ensure()
    company_room = Room.objects.get(kind="company", company_id=ids["company_id"])
    staff_room = Room.objects.get(kind="staff")
    # A direct room names its two people in ascending id.
    direct_room = Room.objects.create(kind="direct", first_person=liza, second_person=ramon)
    messages = [
        Message.objects.create(room=room, author=liza, body="Macaraeg here.", client_id="client-1", created_at=now())
        for room in (company_room, direct_room)
    ]
    Message.objects.create(
        room=Room.objects.get(kind="company", company__name="Bravo"),
        author=people[OTHER_CADET].user,
        body="Pangandaman here.",
        client_id="client-1",
        created_at=now(),
    )
    announcements = [
        Announcement.objects.create(
            kind="announcement", title="Muster", text="At seven.", date=now(), created_by=ramon, archived_at=archived_at
        )
        for archived_at in (None, now())
    ]
    photo = AnnouncementPhoto.objects.create(announcement=announcements[0], file=_picture(), created_by=ramon)
    notifications = {
        person: [
            Notification.objects.create(
                recipient=people[person].user, title=f"For {MARKS[person][-2]}", body=f"Formation {number + 1}."
            )
            for number in range(count)
        ]
        for person, count in UNREAD.items()
    }
    probe = Probe.objects.create(requested_by=people[ADMIN].user)
    dead_letter = DeadLetter.objects.create(
        task="operations.probe_record", arguments={"probe_id": str(probe.pk)}, attempts=8, error="BrokerAway"
    )
    journal_entry = JournalEntry.objects.create(
        kind=JournalEntry.Kind.BACKUP,
        purpose=JournalEntry.Purpose.WEEKLY,
        started_at=now(),
        finished_at=now(),
        outcome=JournalEntry.Outcomes.SUCCEEDED,
    )
    return {
        "notification_id": notifications[CADET][0].pk,
        "probe_id": str(probe.pk),
        "dead_letter_id": dead_letter.pk,
        "journal_id": journal_entry.pk,
        "room_id": company_room.pk,
        "staff_room_id": staff_room.pk,
        "direct_room_id": direct_room.pk,
        "message_id": messages[0].pk,
        "direct_message_id": messages[1].pk,
        "announcement_id": announcements[0].pk,
        "archived_announcement_id": announcements[1].pk,
        "photo_id": photo.pk,
    }


def _exchanged(people: Mapping[str, Person], ids: Mapping[str, int | str]) -> dict[str, int | str]:
    """An import of scores that the instructor has had checked, one of cadets of the administrator's; a scan."""
    runs = {}
    for person, kind in ((STAFF, "scores"), (ADMIN, "cadets")):
        run = runs[person] = ImportRun.objects.create(
            kind=kind,
            term_id=ids["term_id"],
            state="ready",
            file_name=f"{kind}.csv",
            file_bytes=len(SCORES_FILE),
            rows_done=1,
            rows_total=1,
            counts={"create": 1, "change": 0, "unchanged": 0, "skip": 0, "refuse": 0},
            created_by=people[person].user,
            asked_by=people[person].user,
            started_at=now(),
            finished_at=now(),
        )
        ImportFile.objects.create(run=run, content=SCORES_FILE)
        ImportRow.objects.create(run=run, number=1, row=2, fate="create", label=f"From the file of {MARKS[person][-2]}")
    Scan.objects.create(
        nonce=uuid.uuid4(),
        scan_id=uuid.uuid4(),
        training_day_id=ids["training_day_id"],
        cadet_id=ids["cadet_id"],
        scanned_at=now() - 7 * DAY,
        scanned_by=people[STAFF].user,
        effect=ScanEffect.TIME_IN,
    )
    return {"kind": "scores", "import_id": runs[STAFF].pk, "cadets_import_id": runs[ADMIN].pk}


def _reported(people: Mapping[str, Person], ids: Mapping[str, int | str]) -> dict[str, int | str]:
    """A grade slip that the cadet has had made, a list of the administrator's, and a certificate of the cadet's."""
    reports = {}
    for person, kind in ((CADET, "grade_slip"), (ADMIN, "master_list")):
        reports[person] = Report.objects.create(
            kind=kind,
            term_id=ids["term_id"],
            enrollment_id=ids["enrollment_id"] if kind == "grade_slip" else None,
            title=f"For {MARKS[person][-2]}",
            state="ready",
            file=file_store(folder="reports", extension="pdf", content=b"%PDF-1.4 " + person.encode()),
            file_name=f"{kind}.pdf",
            file_bytes=12,
            pages=1,
            requested_by=people[person].user,
            finished_at=now(),
            expires_at=now() + 30 * DAY,
        )
    certificate = Certificate.objects.create(
        code=code_made(b"certificate"[:CODE_BYTES]),
        type="completion",
        enrollment=GradeSheet.objects.get(pk=ids["sheet_id"]).enrollment,
        sheet_id=ids["sheet_id"],
        facts={
            "name": "Liza Macaraeg",
            "school_year": "2024-2025",
            "semester": "First semester",
            "level": "MS1",
            "equivalent": "1.50",
            "remark": "Passed",
            "decided_on": "2025-01-10",
        },
        issued_by=people[ADMIN].user,
    )
    report = reports[CADET]
    return {
        "report_id": report.pk,
        "list_report_id": reports[ADMIN].pk,
        "token": report_link(actor=people[CADET].principal, report_id=report.pk).token,
        "code": certificate.code,
    }


def _picture(mark: str = "") -> str:
    return file_store(folder="tests", extension="jpg", content=b"\xff\xd8\xff\xd9" + mark.encode())


def _lose_access(people: Mapping[str, Person]) -> None:
    """Two had access once; their tokens are unexpired. Approval is taken back where it can be: in the admin site."""
    services.user_archive(actor=people[ADMIN].principal, user_id=people[ARCHIVED].user.pk)
    pending = people[PENDING].user
    pending.status = Status.PENDING
    pending.save(update_fields=["status"])
    services.user_changed_by_admin(actor_id=people[ADMIN].user.pk, user=pending, created=False, fields=["status"])


@contextmanager
def world_standing() -> Iterator[World]:
    """The world for as long as the block lasts; nothing of it is committed."""
    with transaction.atomic():
        # Ids begin anew with every test database, and so do the keys made of them.
        django_cache.clear()
        cache.forget_failures()
        world = world_create()
        selectors.announce_revocation()
        yield world
        transaction.set_rollback(True)
    selectors.announce_revocation()


@contextmanager
def undone() -> Iterator[None]:
    """Whatever is written inside the block is taken back after it."""
    try:
        with transaction.atomic():
            yield
            transaction.set_rollback(True)
    finally:
        # The process may have read the revocations while a session was ended that stands again now.
        selectors.announce_revocation()
