"""Many rows of everything around the world of `tests.cast`, in as few statements as possible."""

import datetime as dt
import io
import uuid

from django.db.models import Max
from PIL import Image

from apps.accounts.models import (
    Attempts,
    AuditEntry,
    Invitation,
    Mail,
    MailPreferences,
    PasswordReset,
    Revocation,
    Role,
    Session,
    Status,
    User,
)
from apps.cadets.models import Cadet, Company, Enrollment, Platoon, StaffProfile, Term
from apps.events.models import Event, OutboxJob
from apps.grading.models import Adjustment, ExamScore, GradeSheet, GradingPolicy, MeritDemerit
from apps.grading.rules import UNIT_POLICY
from apps.imports.models import ImportFile, ImportRow, ImportRun
from apps.messaging.models import Announcement, AnnouncementPhoto, Message, Notification, ReadMark, Room
from apps.operations.models import DeadLetter, JournalEntry, Probe, ScheduledRun
from apps.pictures.models import Picture, PicturePart
from apps.reports.models import Certificate, Report
from apps.reports.rules import CODE_BYTES, code_made
from apps.training.models import AttendanceRecord, ExcuseLetter, Scan, ScanEffect, StaffAttendanceRecord, TrainingDay
from core.clock import now
from core.uploads import file_store
from tests.cast import ADMIN, CADET, DAY, STAFF, World


def crowd_add(world: World, *, first: int, count: int) -> None:
    """Add `count` rows of each kind, numbered from `first`: everything that a list can hold grows by so many."""
    numbers = range(first, first + count)
    admin, instructor = world.people[ADMIN].user, world.people[STAFF].user
    users = User.objects.bulk_create(
        User(
            username=f"crowd-{number}",
            password="!",
            email=f"crowd-{number}@rotc.example",
            role=Role.CADET,
            status=Status.APPROVED if number % 2 else Status.PENDING,
        )
        for number in numbers
    )
    terms = Term.objects.bulk_create(
        Term(
            school_year=f"{1000 + number}-{1001 + number}",
            semester="1st",
            starts_on=dt.date(1000 + number, 8, 1),
            ends_on=dt.date(1000 + number, 12, 20),
        )
        for number in numbers
    )
    GradingPolicy.objects.bulk_create(GradingPolicy(term=term, **UNIT_POLICY) for term in terms)
    companies = Company.objects.bulk_create(Company(name=f"Company {number}") for number in numbers)
    Room.objects.bulk_create(Room(kind="company", company=company) for company in companies)
    Platoon.objects.bulk_create(Platoon(name=f"Platoon {number}") for number in numbers)
    AuditEntry.objects.bulk_create(
        AuditEntry(actor=user, action="user.create", target=f"user:{user.pk}") for user in users
    )
    days = TrainingDay.objects.bulk_create(
        TrainingDay(term_id=world.ids["term_id"], date=world.today - (1 + number % 80) * DAY, title=f"Drill {number}")
        for number in numbers
    )
    enrollments = _cadets(world, users)
    _grades(world, enrollments)
    _attendance(world, enrollments, days)
    profiles = StaffProfile.objects.bulk_create(
        StaffProfile(last_name=f"Sarip {number}", first_name="Datu", email=f"staff-{number}@rotc.example")
        for number in numbers
    )
    StaffAttendanceRecord.objects.bulk_create(
        [
            StaffAttendanceRecord(training_day=day, staff_profile_id=world.ids["staff_id"], status="present")
            for day in days
        ]
        + [
            StaffAttendanceRecord(
                training_day_id=world.ids["training_day_id"], staff_profile=profile, status="late", recorded_by=admin
            )
            for profile in profiles
        ]
    )
    _chat(world, users)
    _traces(world, users, enrollments)
    Notification.objects.bulk_create(
        Notification(recipient=world.people[CADET].user, title=f"Note {number}", body="…") for number in numbers
    )
    for recorded in (world.ids["enrollment_id"], *[enrollment.pk for enrollment in enrollments]):
        MeritDemerit.objects.bulk_create(
            MeritDemerit(enrollment_id=recorded, kind="merit", points=2, reason="Drill", issued_by=instructor)
            for _ in numbers[: count if recorded == world.ids["enrollment_id"] else 1]
        )


def _traces(world: World, users: list[User], enrollments: list[Enrollment]) -> None:
    """What the running of the system leaves, and files that people exchange."""
    admin = world.people[ADMIN].user
    traces_add(users, creator=admin, run_id=int(world.ids["import_id"]), term_id=int(world.ids["term_id"]))
    Scan.objects.bulk_create(
        Scan(
            nonce=uuid.uuid4(),
            scan_id=uuid.uuid4(),
            training_day_id=world.ids["training_day_id"],
            cadet_id=enrollment.cadet_id,
            scanned_at=now() - 7 * DAY,
            scanned_by=admin,
            effect=ScanEffect.TIME_IN,
        )
        for enrollment in enrollments
    )
    sheets = GradeSheet.objects.bulk_create(
        GradeSheet(  # as a term that was reopened leaves them
            enrollment=enrollment,
            revision=1,
            inputs={},
            result={},
            digest="0" * 64,
            frozen_by=admin,
            frozen_at=now() - DAY,
            superseded_at=now(),
        )
        for enrollment in enrollments
    )
    certificates_add(sheets, issuer=admin)


def traces_add(users: list[User], *, creator: User, run_id: int, term_id: int) -> None:
    """One row for each user of everything that sign-ins, links, the queue, the schedule and imports leave.

    Rows of imports are those of `run_id`, after the ones that it has.
    """
    present = now()
    day_after = present + DAY
    Session.objects.bulk_create(
        Session(user=user, created_at=present, expires_at=day_after, refresh_id="1" * 32) for user in users
    )
    Revocation.objects.bulk_create(Revocation(session_id=uuid.uuid4()) for _ in users)
    Attempts.objects.bulk_create(
        Attempts(kind=Attempts.Kind.ACCOUNT, key=f"{user.pk}", at=[present], last_at=present) for user in users
    )
    Invitation.objects.bulk_create(
        Invitation(
            user=user, purpose="first_password", token_digest=f"{user.pk:064}", created_by=creator, expires_at=day_after
        )
        for user in users
    )
    PasswordReset.objects.bulk_create(
        PasswordReset(user=user, page="https://rotc.example/", state="sent") for user in users
    )
    Probe.objects.bulk_create(Probe(requested_by=creator) for _ in users)
    Report.objects.bulk_create(
        Report(
            kind="master_list",
            term_id=term_id,
            title=f"For {user.username}",
            file_name="master-list.pdf",
            state="failed",
            problem_code="unexpected",
            requested_by=user,
        )
        for user in users
    )
    JournalEntry.objects.bulk_create(
        JournalEntry(
            kind=JournalEntry.Kind.BACKUP,
            purpose=JournalEntry.Purpose.WEEKLY,
            started_at=present,
            finished_at=present,
            outcome=JournalEntry.Outcomes.SUCCEEDED,
        )
        for _ in users
    )
    ScheduledRun.objects.bulk_create(
        ScheduledRun(
            job="sync-attendance",
            slot=dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + user.pk * dt.timedelta(minutes=15),
            trigger=ScheduledRun.Trigger.SCHEDULE,
            owner=uuid.uuid4(),
            lease_until=present,
            finished_at=present,
            outcome=ScheduledRun.Outcomes.SUCCEEDED,
        )
        for user in users
    )
    OutboxJob.objects.bulk_create(OutboxJob(task="accounts.mails_send", arguments={}, due_at=day_after) for _ in users)
    DeadLetter.objects.bulk_create(
        DeadLetter(task="operations.probe_record", arguments={}, attempts=8, error="BrokerAway") for _ in users
    )
    Mail.objects.bulk_create(
        Mail(event=f"crowd:{user.pk}", kind="grade_released", recipient_id=user.pk, context={}, state="sent")
        for user in users
    )
    MailPreferences.objects.bulk_create(MailPreferences(user=user, grades=False) for user in users)
    Event.objects.bulk_create(Event(type="user.changed", recipients=[f"user:{user.pk}"], data={}) for user in users)
    runs = ImportRun.objects.bulk_create(
        ImportRun(
            kind="cadets",
            term_id=term_id,
            state="refused",
            file_name=f"{user.username}.xlsx",
            file_bytes=7,
            counts={"create": 0, "change": 0, "unchanged": 0, "skip": 0, "refuse": 1},
            created_by=user,
            asked_by=user,
            finished_at=present,
        )
        for user in users
    )
    ImportFile.objects.bulk_create(ImportFile(run=run, content=b"") for run in runs)
    pictures = Picture.objects.bulk_create(
        Picture(purpose="cadet_photo", record_id=user.pk, file_bytes=4, sent_by=user, sent_at=present) for user in users
    )
    PicturePart.objects.bulk_create(PicturePart(picture=picture, number=0, content=b"\xff\xd8") for picture in pictures)
    last = ImportRow.objects.filter(run_id=run_id).aggregate(last=Max("number"))["last"] or 0
    ImportRow.objects.bulk_create(
        ImportRow(
            run_id=run_id,
            number=number,
            row=number + 1,
            fate="change",
            label=user.username,
            changes={"course": {"before": "", "after": "BS Forestry"}},
        )
        for number, user in enumerate(users, start=last + 1)
    )


def certificates_add(sheets: list[GradeSheet], *, issuer: User) -> None:
    """A certificate of each sheet."""
    Certificate.objects.bulk_create(
        Certificate(
            code=code_made(sheet.pk.to_bytes(CODE_BYTES)),
            type="completion",
            enrollment_id=sheet.enrollment_id,
            sheet=sheet,
            facts={"name": f"Bea Reyes {sheet.pk}"},
            issued_by=issuer,
        )
        for sheet in sheets
    )


def traces_leave(user: User) -> None:
    """Imports, scans, links, jobs: what the demonstration does not tell of."""
    term = Term.objects.get(is_current=True)
    run = ImportRun.objects.create(
        kind="cadets",
        term=term,
        state="ready",
        file_name="Alpha company.xlsx",
        file_bytes=7,
        rows_total=120,
        counts={"create": 0, "change": 120, "unchanged": 0, "skip": 0, "refuse": 0},
        created_by=user,
        asked_by=user,
    )
    drawn = io.BytesIO()
    Image.new("RGB", (120, 160), "olive").save(drawn, "JPEG")
    picture = file_store(folder="tests", extension="jpg", content=drawn.getvalue())
    Cadet.objects.filter(pk=Cadet.objects.latest("pk").pk).update(photo=picture)
    announcement = Announcement.objects.earliest("pk")
    AnnouncementPhoto.objects.create(announcement=announcement, file=picture, created_by=user)
    certificates_add(list(GradeSheet.objects.filter(superseded_at=None).order_by("pk")[:120]), issuer=user)
    everybody = list(User.objects.filter(role=Role.CADET).order_by("pk")[:120])
    traces_add(everybody, creator=user, run_id=run.pk, term_id=term.pk)
    Scan.objects.bulk_create(
        Scan(
            nonce=f"00000000-0000-4000-8000-{record.pk:012}",
            scan_id=f"00000000-0000-4000-9000-{record.pk:012}",
            training_day_id=record.training_day_id,
            cadet_id=record.cadet_id,
            scanned_at=record.created_at,
            scanned_by=user,
            effect=ScanEffect.TIME_IN,
        )
        for record in AttendanceRecord.objects.order_by("pk")[:120]
    )


def _chat(world: World, users: list[User]) -> None:
    """Messages of everybody in the company's room and in direct rooms with the first cadet; announcements."""
    liza, instructor = world.people[CADET].user, world.people[STAFF].user
    direct = Room.objects.bulk_create(Room(kind="direct", first_person=liza, second_person=user) for user in users)
    told = [
        (user, room) for user, own in zip(users, direct, strict=True) for room in (int(world.ids["room_id"]), own.pk)
    ]
    messages = Message.objects.bulk_create(
        Message(room_id=room_id, author=user, body="Present.", client_id="client-1", created_at=now())
        for user, room_id in told
    )
    ReadMark.objects.bulk_create(
        ReadMark(room_id=message.room_id, user_id=message.author_id, last_message=message, read_at=now())
        for message in messages
    )
    announcements = Announcement.objects.bulk_create(
        Announcement(kind="activity", title=user.username, text="…", date=world.today, created_by=instructor)
        for user in users
    )
    AnnouncementPhoto.objects.bulk_create(
        AnnouncementPhoto(announcement=announcement, file="none.jpg", created_by=instructor)
        for announcement in announcements
        for _ in range(2)
    )


def _cadets(world: World, users: list[User]) -> list[Enrollment]:
    """Cadets of the company and platoon of the world's first cadet, also in the term before."""
    cadets = Cadet.objects.bulk_create(
        Cadet(student_id=user.username, last_name=f"Reyes {user.pk}", first_name="Bea", user=user) for user in users
    )
    enrolled = [
        Enrollment(
            cadet=cadet,
            term_id=world.ids[term],
            company_id=world.ids["company_id"],
            platoon_id=world.ids["platoon_id"],
            enrolled_on=world.today - 400 * DAY,
        )
        for term in ("term_id", "past_term_id")
        for cadet in cadets
    ]
    Enrollment.objects.bulk_create(enrolled)
    return enrolled[: len(cadets)]


def _grades(world: World, enrollments: list[Enrollment]) -> None:
    admin, instructor = world.people[ADMIN].user, world.people[STAFF].user
    ExamScore.objects.bulk_create(
        ExamScore(enrollment=enrollment, exam=exam, score="80.00", recorded_by=instructor)
        for enrollment in enrollments
        for exam in ("prelim", "midterm", "final")
    )
    Adjustment.objects.bulk_create(
        Adjustment(enrollment_id=enrollment_id, component="aptitude", points="1.00", reason="Band", issued_by=admin)
        for enrollment in enrollments
        for enrollment_id in (enrollment.pk, world.ids["enrollment_id"])
    )


def _attendance(world: World, enrollments: list[Enrollment], days: list[TrainingDay]) -> None:
    instructor = world.people[STAFF].user
    cadet_ids = [world.ids["cadet_id"], *[enrollment.cadet_id for enrollment in enrollments]]
    everybody = [(day.pk, cadet_id) for day in days for cadet_id in cadet_ids]
    everybody += [(int(world.ids["training_day_id"]), cadet_id) for cadet_id in cadet_ids[1:]]
    AttendanceRecord.objects.bulk_create(
        (
            AttendanceRecord(training_day_id=day_id, cadet_id=cadet_id, status="present", recorded_by=instructor)
            for day_id, cadet_id in everybody
        ),
        batch_size=2000,
    )
    ExcuseLetter.objects.bulk_create(
        ExcuseLetter(
            cadet_id=cadet_id,
            term_id=world.ids["term_id"],
            date_absent=day.date,
            training_day=day,
            reason="Fever",
            state=state,
        )
        for enrollment, day in zip(enrollments, days, strict=True)
        for cadet_id, state in ((enrollment.cadet_id, "pending"), (world.ids["cadet_id"], "withdrawn"))
    )
