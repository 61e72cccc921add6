"""A unit of any size, copied straight into the tables."""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from django.db import connection, models

from apps.accounts.models import Role, Status, User
from apps.cadets.models import Cadet, Company, Enrollment, Platoon, Term
from apps.grading.models import ExamScore, GradingPolicy, MeritDemerit
from apps.training.models import AttendanceRecord, TrainingDay
from core.clock import manila_date, now

EXAMS = ("prelim", "midterm", "final")
FIRST_ID = 1000  # rows that services make have lower ones
_STATUSES = ("present",) * 8 + ("late", "absent")
_SURNAMES = ("Abdullah", "Bautista", "Cabrera", "Dimakuta", "Flores", "Lucman", "Macaraeg", "Reyes", "Sarip", "Torres")
# In the order in which they can be emptied; what the migrations put into the others stays.
_TABLES = (AttendanceRecord, TrainingDay, ExamScore, MeritDemerit, Enrollment, Cadet, Term)


@dataclass(frozen=True, kw_only=True)
class Unit:
    term_id: int
    company_id: int
    cadet_user: User


def unit_load(*, cadets: int, days: int, cadet_user: User, issuer: User) -> Unit:
    """Replace the unit by one of so many cadets with so many training days, all attended, graded and with merits.

    The first cadet belongs to `cadet_user`; `issuer` has written everything down.
    """
    policies = list(GradingPolicy.objects.all())
    _empty()
    GradingPolicy.objects.bulk_create(policies)  # the default one; terms took it along
    today = manila_date(now())
    term = Term.objects.create(
        school_year=f"{today.year}-{today.year + 1}",
        semester="1st",
        starts_on=today - dt.timedelta(days=7 * days + 7),
        ends_on=today + dt.timedelta(days=30),
        is_current=True,
    )
    companies = list(Company.objects.order_by("position").values_list("id", flat=True))
    platoons = list(Platoon.objects.order_by("position").values_list("id", flat=True))
    ids = range(FIRST_ID, FIRST_ID + cadets)
    _copy(User, _accounts(ids[1:]))
    _copy(
        Cadet,
        (
            Cadet(
                pk=number,
                student_id=f"{today.year}-{number:06}",
                last_name=_SURNAMES[number % 10],
                first_name=f"Cadet {number}",
                user_id=cadet_user.pk if number == FIRST_ID else number,
            )
            for number in ids
        ),
    )
    _copy(
        Enrollment,
        (
            Enrollment(
                pk=number,
                cadet_id=number,
                term=term,
                company_id=companies[number % len(companies)],
                platoon_id=platoons[number % len(platoons)],
                enrolled_on=term.starts_on,
            )
            for number in ids
        ),
    )
    held = [
        TrainingDay(pk=day, term=term, date=today - dt.timedelta(days=7 * day), title=f"Drill {day}")
        for day in range(1, days + 1)
    ]
    _copy(TrainingDay, held)
    _copy(AttendanceRecord, _attendance(ids, days, issuer))
    _copy(ExamScore, _scores(ids, issuer))
    _copy(MeritDemerit, _merits(ids, issuer))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return Unit(term_id=term.pk, company_id=companies[FIRST_ID % len(companies)], cadet_user=cadet_user)


def _empty() -> None:
    tables = ", ".join(connection.ops.quote_name(model._meta.db_table) for model in _TABLES)
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
    User.objects.filter(pk__gte=FIRST_ID).delete()


def _accounts(ids: Iterable[int]) -> Iterator[User]:
    for number in ids:
        yield User(pk=number, username=f"cadet-{number}", role=Role.CADET, status=Status.APPROVED)


def _attendance(ids: Iterable[int], days: int, issuer: User) -> Iterator[AttendanceRecord]:
    for number in ids:
        for day in range(1, days + 1):
            status = _STATUSES[(number * 7 + day * 3) % len(_STATUSES)]
            yield AttendanceRecord(training_day_id=day, cadet_id=number, status=status, recorded_by=issuer)


def _scores(ids: Iterable[int], issuer: User) -> Iterator[ExamScore]:
    for number in ids:
        for place, exam in enumerate(EXAMS):
            score = f"{60 + (number * 13 + place * 7) % 40}.50"
            yield ExamScore(enrollment_id=number, exam=exam, score=score, recorded_by=issuer)


def _merits(ids: Iterable[int], issuer: User) -> Iterator[MeritDemerit]:
    for number in ids:
        for place in range(number % 4):
            kind = "demerit" if place == 2 else "merit"
            points = 1 + (number + place) % 20
            yield MeritDemerit(enrollment_id=number, kind=kind, points=points, reason="Drill", issued_by=issuer)


def _copy(model: type[models.Model], rows: Iterable[models.Model]) -> None:
    """COPY rows into the model's table; what the database fills in by itself is left to it."""
    rows = iter(rows)
    first = list(islice(rows, 1))
    fields = [
        field
        for field in model._meta.concrete_fields
        if not field.generated
        and not field.has_db_default()
        and not (field.primary_key and first and first[0].pk is None)
    ]
    columns = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    table = connection.ops.quote_name(model._meta.db_table)
    names = [field.attname for field in fields]
    with connection.cursor() as cursor, cursor.cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        for row in chain(first, rows):
            copy.write_row([getattr(row, name) for name in names])
