"""What one cadet does in one term: attendance, letters, examinations, merits and demerits. Nothing is written here."""

import datetime as dt
import enum
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import NamedTuple

from apps.cadets.models import EnrollmentStatus
from apps.grading import rules as grading
from apps.grading.models import Exam, MeritKind
from apps.operations.services.demonstration import texts
from apps.operations.services.demonstration.careers import DEMO_CADET, Post, exact_case, is_leader
from apps.operations.services.demonstration.chance import Weighted, stream
from apps.operations.services.demonstration.terms import TermPlan, at
from apps.training.models import AttendanceSource, AttendanceStatus, LetterState

PRESENT, LATE = AttendanceStatus.PRESENT, AttendanceStatus.LATE
EXCUSED, ABSENT = AttendanceStatus.EXCUSED, AttendanceStatus.ABSENT
_FORMATION = 7 * 60  # minutes after midnight
_DISMISSAL = 11 * 60 + 30
_EXAM_PLACES = {Exam.PRELIM: 0.2, Exam.MIDTERM: 0.52, Exam.FINAL: 1.0}  # when in the term, as a share of its days
_IMPORTED_DAY = 4  # of the closed term: the power was out, and the paper lists were imported
_MARKED_MIDTERMS = {"Alpha", "Bravo", "HQSCOY"}


class Author(enum.Enum):
    """Who wrote a row; the filling knows the accounts."""

    INSTRUCTOR = "instructor"
    DECIDER = "decider"
    ADMIN = "admin"
    SYSTEM = "system"


class Day(NamedTuple):
    """A training day; `place` is its place in the plan of its term."""

    place: int
    date: dt.date


@dataclass(frozen=True, kw_only=True)
class Course:
    """What a term looks like to its cadets. `latest` is the instant after which nothing has happened yet."""

    name: str
    starts_on: dt.date
    held: tuple[Day, ...]
    to_come: tuple[Day, ...]
    is_closed: bool
    latest: dt.datetime
    policy: grading.Policy


def course_of(plan: TermPlan, *, name: str, today: dt.date, is_closed: bool, policy: grading.Policy) -> Course:
    days = [Day(place, day.date) for place, day in enumerate(plan.days) if not day.cancel_reason]
    return Course(
        name=name,
        starts_on=plan.starts_on,
        held=tuple(day for day in days if day.date < today),
        to_come=tuple(day for day in days if day.date >= today),
        is_closed=is_closed,
        latest=at(min(today, plan.ends_on), 0),
        policy=policy,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    day: Day
    status: AttendanceStatus
    source: AttendanceSource
    author: Author
    time_in: dt.datetime | None = None
    time_out: dt.datetime | None = None
    remarks: str = ""
    recorded_at: dt.datetime
    changed_at: dt.datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    day: Day
    reason: str
    state: LetterState
    submitted_at: dt.datetime
    decided_at: dt.datetime | None = None
    note: str = ""
    has_file: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    exam: Exam
    score: Decimal
    recorded_at: dt.datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Award:
    kind: MeritKind
    points: int
    reason: str
    issuer: int  # which of the instructors
    issued_at: dt.datetime
    revoked_at: dt.datetime | None = None
    revoke_reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Adjusted:
    component: str
    points: Decimal
    reason: str
    issued_at: dt.datetime
    revoked_at: dt.datetime | None = None
    revoke_reason: str = ""


@dataclass(kw_only=True, slots=True)
class Record:
    """One cadet's term."""

    marks: list[Mark] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    awards: list[Award] = field(default_factory=list)
    adjustments: list[Adjusted] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class _Habits:
    """What somebody of this kind usually does; `mean` and `spread` are of the examinations."""

    statuses: Weighted[AttendanceStatus]
    mean: float
    spread: float
    merits: Weighted[int]
    demerits: Weighted[int]


_DILIGENT = _Habits(
    statuses=Weighted({PRESENT: 915, LATE: 45, EXCUSED: 18, ABSENT: 22}),
    mean=87,
    spread=6,
    merits=Weighted({0: 45, 1: 35, 2: 15, 3: 5}),
    demerits=Weighted({0: 85, 1: 13, 2: 2}),
)
_ORDINARY = _Habits(
    statuses=Weighted({PRESENT: 815, LATE: 85, EXCUSED: 28, ABSENT: 72}),
    mean=79,
    spread=7,
    merits=Weighted({0: 70, 1: 24, 2: 6}),
    demerits=Weighted({0: 62, 1: 27, 2: 8, 3: 3}),
)
_WEAK = _Habits(
    statuses=Weighted({PRESENT: 52, LATE: 13, EXCUSED: 4, ABSENT: 31}),
    mean=66,
    spread=9,
    merits=Weighted({0: 90, 1: 10}),
    demerits=Weighted({0: 28, 1: 34, 2: 23, 3: 15}),
)
_KINDS = Weighted({_DILIGENT: 57, _ORDINARY: 34, _WEAK: 9})


class _Case(NamedTuple):
    """A term whose grade lies on a bound, exactly, or just below one."""

    late: int
    excused: int
    absent: int
    merits: int
    demerits: int
    exams: tuple[str, str, str]


# With fifteen days held. Totals: 90, 95, 75, 85, 80, 74, 88.90.
_CASES = (
    _Case(0, 0, 3, 10, 2, ("85", "90", "95")),
    _Case(0, 0, 0, 0, 0, ("87.5", "87.5", "87.5")),
    _Case(0, 0, 5, 0, 30, ("85", "85", "85")),
    _Case(2, 1, 2, 0, 0, ("72.5", "72.5", "72.5")),
    _Case(1, 0, 2, 0, 0, ("60", "60", "60")),
    _Case(0, 0, 8, 0, 0, ("75", "75", "75")),
    _Case(1, 1, 1, 5, 10, ("78", "81", "84")),
)
_DEMO_ADJUSTMENT = texts.ADJUSTMENTS[3]
# The demo cadet's days so far in the present term; what the letters of it say stands in _demo_letters.
_DEMO_STATUSES = (PRESENT, LATE, PRESENT, EXCUSED, PRESENT, ABSENT, PRESENT, PRESENT, PRESENT)


class _Drawing(NamedTuple):
    """What a record is drawn from; `days` are those that somebody's attendance is taken of."""

    chance: random.Random
    number: int
    habits: _Habits
    case: _Case | None
    post: Post
    course: Course
    days: tuple[Day, ...]


def record_draw(*, seed: int, number: int, post: Post, course: Course) -> Record:
    """The cadet's whole record so far in the term of `course`, whose `held` days stand in their order."""
    chance = stream(seed, "record", course.name, number)
    is_exemplary = is_leader(number) or number == DEMO_CADET
    case = exact_case(number) if course.is_closed else None
    drawing = _Drawing(
        chance=chance,
        number=number,
        habits=_DILIGENT if is_exemplary else _KINDS.pick(stream(seed, "habits", number)),
        case=_CASES[case] if case is not None else None,
        post=post,
        course=course,
        days=_days_of(chance, post=post, course=course),
    )
    record = Record()
    for day, status in zip(drawing.days, _statuses(drawing), strict=True):
        letter = _letter_for(chance, day, status, course)
        record.marks.append(_mark(chance, day, status, letter, course))
        if letter is not None:
            record.letters.append(letter)
    if course.to_come and post.status == EnrollmentStatus.ONGOING and chance.random() < 0.012:
        record.letters.append(_letter(chance, course.to_come[0], LetterState.PENDING, course))
    if number == DEMO_CADET and not course.is_closed:
        record.letters = _demo_letters(chance, record.letters, drawing.days, course)
    record.scores = _scores(drawing)
    record.awards = _awards(drawing)
    is_adjusted = chance.random() < 0.008 or (number == DEMO_CADET and not course.is_closed)
    if is_adjusted and drawing.case is None and drawing.days:
        record.adjustments.append(_adjustment(drawing))
    return record


def passes(record: Record, *, status: EnrollmentStatus, course: Course) -> bool:
    """Whether the record earns a passing grade once its term is closed."""
    grade = grading.grade_of(
        grading.Inputs(
            policy=course.policy,
            status=status,
            closed=True,
            held=len(course.held) + len(course.to_come),
            by_status={status: sum(mark.status == status for mark in record.marks) for status in AttendanceStatus},
            awards=tuple(
                grading.Award(id=0, kind=award.kind, points=award.points)
                for award in record.awards
                if award.revoked_at is None
            ),
            exams={score.exam: score.score for score in record.scores},
            adjustments=tuple(
                grading.Adjustment(
                    id=0, component=one.component, points=one.points, reason="", issued_by=0, issued_at=""
                )
                for one in record.adjustments
                if one.revoked_at is None
            ),
        )
    )
    return grade.remark == grading.PASSED


def _days_of(chance: random.Random, *, post: Post, course: Course) -> tuple[Day, ...]:
    """The days that somebody is taken attendance of: since the enrollment, and until leaving."""
    share = chance.uniform(0.2, 0.7)
    if post.status == EnrollmentStatus.DEFERRED:
        share *= 0.4
    ends = len(course.held)
    if post.status in {EnrollmentStatus.DROPPED, EnrollmentStatus.DEFERRED}:
        ends = round(ends * share)
    return tuple(day for day in course.held[:ends] if day.date >= post.enrolled_on)


def _statuses(drawing: _Drawing) -> list[AttendanceStatus]:
    chance, case, days = drawing.chance, drawing.case, drawing.days
    if case is not None:
        others = [LATE] * case.late + [EXCUSED] * case.excused + [ABSENT] * case.absent
        statuses = others + [PRESENT] * (len(days) - len(others))
        chance.shuffle(statuses)
        return statuses
    if drawing.number == DEMO_CADET and len(days) == len(_DEMO_STATUSES):
        return list(_DEMO_STATUSES)
    return [drawing.habits.statuses.pick(chance) for _ in days]


def _mark(chance: random.Random, day: Day, status: AttendanceStatus, letter: Letter | None, course: Course) -> Mark:
    at_formation = at(day.date, _FORMATION + 15)
    if letter is not None and letter.state == LetterState.APPROVED and letter.decided_at is not None:
        # As approving it does.
        return Mark(
            day=day,
            status=status,
            source=AttendanceSource.SYNC,
            author=Author.DECIDER,
            recorded_at=letter.decided_at,
            changed_at=letter.decided_at,
        )
    if course.is_closed and course.held[_IMPORTED_DAY : _IMPORTED_DAY + 1] == (day,):
        taken = at(day.date, 17 * 60)
        return Mark(
            day=day,
            status=status,
            source=AttendanceSource.IMPORT,
            author=Author.INSTRUCTOR,
            recorded_at=taken,
            changed_at=taken,
        )
    if status == ABSENT:
        by_system = chance.random() < 0.8
        taken = min(at(day.date, 24 * 60 + 15), course.latest) if by_system else at_formation
        return Mark(
            day=day,
            status=status,
            source=AttendanceSource.SYNC if by_system else AttendanceSource.MANUAL,
            author=Author.SYSTEM if by_system else Author.INSTRUCTOR,
            recorded_at=taken,
            changed_at=taken,
        )
    minutes = _FORMATION + (chance.triangular(11, 100, 18) if status == LATE else -chance.triangular(1, 50, 12))
    remarks = chance.choice(texts.LATE_REMARKS) if status == LATE else ""
    if chance.random() < 0.74:
        # To the second: a scan is.
        time_in = at(day.date, round(minutes * 60) / 60)
        leaves = _DISMISSAL + round(chance.triangular(0, 40, 6) * 60) / 60
        time_out = at(day.date, leaves) if chance.random() < 0.9 else None
        return Mark(
            day=day,
            status=status,
            source=AttendanceSource.SCAN,
            author=Author.INSTRUCTOR,
            time_in=time_in,
            time_out=time_out,
            remarks=remarks,
            recorded_at=time_in,
            changed_at=time_out or time_in,
        )
    return Mark(
        day=day,
        status=status,
        source=AttendanceSource.MANUAL,
        author=Author.INSTRUCTOR,
        time_in=at(day.date, 5 * round(minutes / 5)) if status == LATE else None,
        remarks=remarks,
        recorded_at=at_formation,
        changed_at=at_formation,
    )


def _letter_for(chance: random.Random, day: Day, status: AttendanceStatus, course: Course) -> Letter | None:
    """What somebody wrote who was not there: each excused day has its approved letter."""
    if status == EXCUSED:
        return _letter(chance, day, LetterState.APPROVED, course)
    if status != ABSENT:
        return None
    draw = chance.random()
    if not course.is_closed and day == course.held[-1]:
        return _letter(chance, day, LetterState.PENDING, course) if draw < 0.4 else None
    if draw < 0.2:
        return _letter(chance, day, LetterState.REJECTED, course)
    return _letter(chance, day, LetterState.WITHDRAWN, course) if draw < 0.26 else None


def _letter(chance: random.Random, day: Day, state: LetterState, course: Course, *, reason: str = "") -> Letter:
    decided_at = at(day.date, chance.uniform(1, 4) * 24 * 60)
    if decided_at > course.latest:
        decided_at = course.latest - dt.timedelta(hours=chance.uniform(0.5, 16))
    # Some write before the day, and of a day to come everybody does.
    ahead = min(at(day.date, chance.uniform(-1, 1) * 24 * 60), decided_at)
    submitted_at = ahead - dt.timedelta(hours=chance.uniform(0.8, 12))
    is_decided = state in {LetterState.APPROVED, LetterState.REJECTED}
    written = chance.choice(texts.WEAK_REASONS if state == LetterState.REJECTED else texts.EXCUSE_REASONS)
    notes = texts.REJECTION_NOTES if state == LetterState.REJECTED else texts.APPROVAL_NOTES
    return Letter(
        day=day,
        reason=reason or written,
        state=state,
        submitted_at=submitted_at.replace(microsecond=0),
        decided_at=decided_at.replace(microsecond=0) if is_decided else None,
        note=chance.choice(notes) if is_decided else "",
    )


def _demo_letters(chance: random.Random, drawn: Sequence[Letter], days: Sequence[Day], course: Course) -> list[Letter]:
    """A letter in every state; those `drawn` for an excused day stay, with a file."""
    letters = [
        replace(letter, reason=texts.EXCUSE_REASONS[0], note="Certificate seen.", has_file=True)
        for letter in drawn
        if letter.state == LetterState.APPROVED
    ]
    letters += [
        _letter(chance, day, LetterState.REJECTED, course, reason=texts.WEAK_REASONS[3])
        for day, status in zip(days, _DEMO_STATUSES, strict=False)
        if status == ABSENT
    ]
    if days:
        letters.append(_letter(chance, days[-1], LetterState.WITHDRAWN, course, reason=texts.EXCUSE_REASONS[9]))
    if course.to_come:
        letters.append(_letter(chance, course.to_come[0], LetterState.PENDING, course, reason=texts.EXCUSE_REASONS[2]))
    return letters


def _scores(drawing: _Drawing) -> list[Score]:
    chance, habits, case, course = drawing.chance, drawing.habits, drawing.case, drawing.course
    all_days = course.held + course.to_come
    if not drawing.days:
        return []
    scores = []
    for place, (exam, share) in enumerate(_EXAM_PLACES.items()):
        drawn, was_away, days_after = chance.gauss(habits.mean, habits.spread), chance.random(), chance.uniform(2, 6)
        day = all_days[round(share * (len(all_days) - 1))]
        if not _was_marked(exam, drawing.post, was_there=day.date <= drawing.days[-1].date, course=course):
            continue
        if was_away < 0.006 and case is None:
            continue  # and has not made up for it
        points = Decimal(case.exams[place]) if case else Decimal(round(min(max(drawn, 20), 100) * 4)) / 4
        recorded_at = min(at(day.date, days_after * 24 * 60), course.latest).replace(second=0, microsecond=0)
        scores.append(Score(exam=exam, score=points.quantize(Decimal("0.01")), recorded_at=recorded_at))
    return scores


def _was_marked(exam: Exam, post: Post, *, was_there: bool, course: Course) -> bool:
    """Whether a score is there by now: not of who had left, and of the midterm only where its papers are corrected."""
    if not was_there or (exam == Exam.FINAL and post.status == EnrollmentStatus.INCOMPLETE):
        return False
    if course.is_closed or exam == Exam.PRELIM:
        return True
    return exam == Exam.MIDTERM and post.company in _MARKED_MIDTERMS


def _awards(drawing: _Drawing) -> list[Award]:
    chance, number, habits, course = drawing.chance, drawing.number, drawing.habits, drawing.course
    case, days = drawing.case, drawing.days
    if not days:
        return []
    if case is not None:
        totals = ((MeritKind.MERIT, case.merits), (MeritKind.DEMERIT, case.demerits))
        return [_award(chance, kind, days, course, points=points) for kind, points in totals if points]
    merits, demerits = habits.merits.pick(chance), habits.demerits.pick(chance)
    awards = [_award(chance, MeritKind.MERIT, days, course) for _ in range(merits)]
    awards += [_award(chance, MeritKind.DEMERIT, days, course) for _ in range(demerits)]
    if is_leader(number):
        awards += [_award(chance, MeritKind.MERIT, days, course, is_leader=True) for _ in range(chance.randint(1, 6))]
    if number == DEMO_CADET:
        awards += [
            _award(chance, MeritKind.MERIT, days, course),
            _award(chance, MeritKind.MERIT, days, course),
            _award(chance, MeritKind.DEMERIT, days, course),
            _award(chance, MeritKind.DEMERIT, days, course, is_revoked=True),
        ]
    return sorted(awards, key=lambda award: award.issued_at)


def _award(
    chance: random.Random,
    kind: MeritKind,
    days: Sequence[Day],
    course: Course,
    *,
    points: int | None = None,
    is_leader: bool = False,
    is_revoked: bool = False,
) -> Award:
    reasons = texts.MERIT_REASONS if kind == MeritKind.MERIT else texts.DEMERIT_REASONS
    reason, usual = chance.choice(texts.LEADER_MERIT_REASONS if is_leader else reasons)
    if points is not None:
        reason, usual = max(reasons, key=lambda one: max(one[1]))  # something that may bring many points
    issued_at = at(chance.choice(days).date, chance.randint(12 * 60, 17 * 60))
    revoked = is_revoked or (chance.random() < 0.03 and points is None)
    revoked_at = min(issued_at + dt.timedelta(hours=chance.randint(3, 90)), course.latest) if revoked else None
    return Award(
        kind=kind,
        points=points or chance.choice(usual),
        reason=reason,
        issuer=chance.randrange(100),
        issued_at=issued_at,
        revoked_at=revoked_at,
        revoke_reason=chance.choice(texts.REVOKE_REASONS) if revoked else "",
    )


def _adjustment(drawing: _Drawing) -> Adjusted:
    chance, course = drawing.chance, drawing.course
    component, points, reason = chance.choice(texts.ADJUSTMENTS)
    if drawing.number == DEMO_CADET:
        component, points, reason = _DEMO_ADJUSTMENT
    issued_at = min(at(drawing.days[-1].date, chance.randint(13, 16) * 60), course.latest)
    is_revoked = chance.random() < 0.2 and drawing.number != DEMO_CADET
    return Adjusted(
        component=component,
        points=Decimal(points),
        reason=reason,
        issued_at=issued_at,
        revoked_at=min(issued_at + dt.timedelta(days=2), course.latest) if is_revoked else None,
        revoke_reason=texts.REVOKE_REASONS[0] if is_revoked else "",
    )
