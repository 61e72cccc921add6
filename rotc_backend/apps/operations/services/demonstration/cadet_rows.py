"""The plans of cadets as rows of the database."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, TypeVar

from django.contrib.auth.hashers import make_password
from django.db.models import Model

from apps.accounts.models import Role, Status, User
from apps.cadets.models import Cadet, Enrollment, Term
from apps.grading.models import Adjustment, ExamScore, MeritDemerit
from apps.messaging.models import Notification
from apps.operations.services.demonstration import texts
from apps.operations.services.demonstration.careers import DEMO_CADET
from apps.operations.services.demonstration.chance import stream
from apps.operations.services.demonstration.people import Person
from apps.operations.services.demonstration.plans import CadetPlan, Chapter
from apps.operations.services.demonstration.records import Adjusted, Author, Award, Letter, Mark
from apps.operations.services.demonstration.staff import CADET_USERNAME
from apps.operations.services.demonstration.terms import at
from apps.training.models import AttendanceRecord, AttendanceSource, ExcuseLetter, LetterState

_ROWS_AT_ONCE = 1000
_M = TypeVar("_M", bound=Model)
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Rows that the cadets' rows refer to, by what the plans call them; values are ids.

    `terms` lacks a term that takes no more rows; `days` lacks a day that is not there or was cancelled.
    """

    seed: int
    today: dt.date
    companies: Mapping[str, int]
    platoons: Mapping[str, int]
    terms: Mapping[str, Term]
    days: Mapping[tuple[str, int], int]
    instructors: Sequence[int]
    instructor_of: Mapping[str, int]
    deciders: Sequence[int]
    admin: int
    certificate: str

    def author(self, author: Author, *, company: str, turn: int) -> int | None:
        if author is Author.SYSTEM:
            return None
        if author is Author.ADMIN:
            return self.admin
        if author is Author.DECIDER:
            # The Commandant decides most letters.
            return self.deciders[0 if turn % 4 else turn // 4 % len(self.deciders)]
        return self.instructor_of.get(company, self.instructors[0])


@dataclass(kw_only=True)
class Later:
    """Rows that wait until all cadets are there, so that their ids rise with time, as lists of the newest expect."""

    letters: list[tuple[dt.datetime, ExcuseLetter]] = field(default_factory=list)
    awards: list[tuple[dt.datetime, MeritDemerit]] = field(default_factory=list)
    adjustments: list[tuple[dt.datetime, Adjustment]] = field(default_factory=list)

    def write(self) -> dict[str, int]:
        return {
            "excuse_letters": insert(ExcuseLetter, _in_order(self.letters)),
            "merits_and_demerits": insert(MeritDemerit, _in_order(self.awards)),
            "adjustments": insert(Adjustment, _in_order(self.adjustments)),
        }


def insert(model: type[_M], rows: Iterable[_M]) -> int:
    """Write rows whose ids nobody needs; return how many."""
    count = 0
    for some in _by(_ROWS_AT_ONCE, rows):
        model._default_manager.bulk_create(some)
        count += len(some)
    return count


def cadets_write(
    plans: Sequence[CadetPlan], *, ground: Ground, accounts: Mapping[str, User | None], later: Later
) -> dict[str, int]:
    """Write cadets with their accounts and records; return how many rows of what.

    `accounts` holds, by lowered name, the accounts that exist already; None is one that belongs to somebody else, so
    that the cadet gets none.
    """
    users: list[User | None] = [
        accounts[name] if (name := username_of(plan.person).lower()) in accounts else _user(plan, ground)
        for plan in plans
    ]
    owners = [user for user in users if user is not None]
    fresh = User.objects.bulk_create([user for user in owners if user._state.adding])
    cadets = Cadet.objects.bulk_create([_cadet(plan, user, ground) for plan, user in zip(plans, users, strict=True)])
    enrolled = [
        (cadet, chapter)
        for cadet, plan in zip(cadets, plans, strict=True)
        for chapter in plan.chapters
        if chapter.course.name in ground.terms
    ]
    enrollments = Enrollment.objects.bulk_create([_enrollment(cadet, chapter, ground) for cadet, chapter in enrolled])
    counts = {
        "accounts": len(fresh),
        "cadets": len(cadets),
        "enrollments": len(enrollments),
        "attendance_records": insert(
            AttendanceRecord,
            (row for cadet, chapter in enrolled for row in _marks(cadet, chapter, ground)),
        ),
        "exam_scores": insert(
            ExamScore,
            (
                row
                for enrollment, (_, chapter) in zip(enrollments, enrolled, strict=True)
                for row in _scores(enrollment, chapter, ground)
            ),
        ),
        "notifications": insert(
            Notification,
            (
                row
                for plan, user in zip(plans, users, strict=True)
                if user is not None
                for row in _notices(plan, user, ground)
            ),
        ),
    }
    for enrollment, (cadet, chapter) in zip(enrollments, enrolled, strict=True):
        record = chapter.record
        later.letters += [(one.submitted_at, _letter(one, cadet, chapter, ground)) for one in record.letters]
        later.awards += [(one.issued_at, _award(one, enrollment, ground)) for one in record.awards]
        later.adjustments += [(one.issued_at, _adjustment(one, enrollment, ground)) for one in record.adjustments]
    return counts


def username_of(person: Person) -> str:
    return CADET_USERNAME if person.number == DEMO_CADET else person.student_id


def _user(plan: CadetPlan, ground: Ground) -> User:
    person = plan.person
    return User(
        username=username_of(person),
        password=make_password(None),
        first_name=person.first_name,
        last_name=person.last_name,
        email=person.email,
        role=Role.CADET,
        status=Status.APPROVED,
        archived_at=_archived_at(plan, ground),
        **_since(_joined_at(plan)),
    )


def _cadet(plan: CadetPlan, user: User | None, ground: Ground) -> Cadet:
    person = plan.person
    return Cadet(
        student_id=person.student_id,
        last_name=person.last_name,
        first_name=person.first_name,
        middle_name=person.middle_name,
        suffix=person.suffix,
        email=person.email,
        contact_number=person.contact_number,
        address=person.address,
        gender=person.gender,
        birthdate=person.birthdate,
        religion=person.religion,
        course=person.course,
        year_level=person.year_level,
        archived_at=_archived_at(plan, ground),
        user=user,
        **_since(_joined_at(plan)),
    )


def _enrollment(cadet: Cadet, chapter: Chapter, ground: Ground) -> Enrollment:
    post = chapter.post
    return Enrollment(
        cadet=cadet,
        term=ground.terms[chapter.course.name],
        company_id=ground.companies.get(post.company),
        platoon_id=ground.platoons.get(post.platoon),
        battalion=post.battalion,
        position=post.position,
        rank=post.rank,
        level=post.level,
        status=post.status,
        enrolled_on=post.enrolled_on,
        **_since(at(post.enrolled_on, 9 * 60)),
    )


def _marks(cadet: Cadet, chapter: Chapter, ground: Ground) -> Iterator[AttendanceRecord]:
    name, company = chapter.course.name, chapter.post.company
    for mark in chapter.record.marks:
        day_id = ground.days.get((name, mark.day.place))
        if day_id is not None:
            yield AttendanceRecord(
                training_day_id=day_id,
                cadet=cadet,
                status=mark.status,
                time_in=mark.time_in,
                time_out=mark.time_out,
                remarks=mark.remarks,
                source=mark.source,
                recorded_by_id=ground.author(mark.author, company=company, turn=mark.day.place),
                version=_scans(mark),
                created_at=mark.recorded_at,
                updated_at=mark.changed_at,
            )


def _scans(mark: Mark) -> int:
    return 2 if mark.source == AttendanceSource.SCAN and mark.time_out is not None else 1


def _letter(letter: Letter, cadet: Cadet, chapter: Chapter, ground: Ground) -> ExcuseLetter:
    name = chapter.course.name
    decided_by = None
    if letter.decided_at is not None:
        decided_by = ground.author(Author.DECIDER, company=chapter.post.company, turn=letter.day.place)
    is_settled = letter.state != LetterState.PENDING
    file = ground.certificate if letter.has_file else ""
    return ExcuseLetter(
        cadet=cadet,
        term=ground.terms[name],
        date_absent=letter.day.date,
        training_day_id=ground.days.get((name, letter.day.place)),
        reason=letter.reason,
        file=file,
        file_name="medical-certificate.pdf" if file else "",
        file_type="application/pdf" if file else "",
        state=letter.state,
        decided_by_id=decided_by,
        decided_at=letter.decided_at,
        decision_note=letter.note,
        version=2 if is_settled else 1,
        created_at=letter.submitted_at,
        updated_at=letter.decided_at or letter.submitted_at,
    )


def _scores(enrollment: Enrollment, chapter: Chapter, ground: Ground) -> Iterator[ExamScore]:
    recorded_by = ground.author(Author.INSTRUCTOR, company=chapter.post.company, turn=0)
    for one in chapter.record.scores:
        yield ExamScore(
            enrollment=enrollment,
            exam=one.exam,
            score=one.score,
            recorded_by_id=recorded_by,
            **_since(one.recorded_at),
        )


def _award(award: Award, enrollment: Enrollment, ground: Ground) -> MeritDemerit:
    issued_by = ground.instructors[award.issuer % len(ground.instructors)]
    return MeritDemerit(
        enrollment=enrollment,
        kind=award.kind,
        points=award.points,
        reason=award.reason,
        issued_by_id=issued_by,
        issued_at=award.issued_at,
        revoked_by_id=issued_by if award.revoked_at else None,
        revoked_at=award.revoked_at,
        revoke_reason=award.revoke_reason,
    )


def _adjustment(one: Adjusted, enrollment: Enrollment, ground: Ground) -> Adjustment:
    return Adjustment(
        enrollment=enrollment,
        component=one.component,
        points=one.points,
        reason=one.reason,
        issued_by_id=ground.admin,
        issued_at=one.issued_at,
        revoked_by_id=ground.admin if one.revoked_at else None,
        revoked_at=one.revoked_at,
        revoke_reason=one.revoke_reason,
    )


def _notices(plan: CadetPlan, user: User, ground: Ground) -> Iterator[Notification]:
    """One a week, the oldest first; the newest is unread."""
    chance = stream(ground.seed, "notices", plan.person.number)
    midnight = at(ground.today, 0)
    notices = [(week, chance.randrange(600), *notice) for week, notice in enumerate(texts.NOTICES, start=1)]
    for week, minutes, title, body in reversed(notices):
        created_at = midnight - dt.timedelta(days=7 * week, minutes=minutes)
        yield Notification(
            recipient=user,
            title=title,
            body=body,
            created_at=created_at,
            read_at=None if week < 2 else midnight - dt.timedelta(days=7 * week - 1),
        )


def _joined_at(plan: CadetPlan) -> dt.datetime:
    return at(plan.chapters[0].post.enrolled_on, 8 * 60)


def _archived_at(plan: CadetPlan, ground: Ground) -> dt.datetime | None:
    return at(ground.today - dt.timedelta(days=45), 10 * 60) if plan.is_archived else None


def _since(instant: dt.datetime) -> dict[str, Any]:
    return {"created_at": instant, "updated_at": instant}


def _in_order(rows: list[tuple[dt.datetime, _T]]) -> list[_T]:
    return [row for _, row in sorted(rows, key=itemgetter(0))]


def _by(size: int, rows: Iterable[_T]) -> Iterator[list[_T]]:
    some: list[_T] = []
    for row in rows:
        some.append(row)
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some
