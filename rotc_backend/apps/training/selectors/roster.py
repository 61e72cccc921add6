"""Whose attendance a day asks for, and what is recorded."""

from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from apps.cadets.models import Enrollment, StaffProfile
from apps.training import rules
from apps.training.models import AttendanceRecord, StaffAttendanceRecord, TrainingDay


def cadets_of_day(
    *, training_day: TrainingDay, company: int | None = None, platoon: int | None = None, status: str | None = None
) -> QuerySet[Enrollment]:
    """The enrollments of the day's term, by name: every cadet who is not archived, and archived ones with a record.

    `status` is one of STATUSES or UNMARKED. The records themselves come from `records_of_cadets`.
    """
    records = AttendanceRecord.objects.filter(training_day=training_day, cadet=OuterRef("cadet"))
    rows = (
        Enrollment.objects.filter(term_id=training_day.term_id)
        .filter(Q(cadet__archived_at=None) | Exists(records))
        .select_related("cadet", "company", "platoon")
        .order_by("cadet__last_name", "cadet__first_name", "cadet_id")
    )
    if company is not None:
        rows = rows.filter(company_id=company)
    if platoon is not None:
        rows = rows.filter(platoon_id=platoon)
    return _of_status(rows, records, status)


def records_of_cadets(*, training_day_id: int, cadet_ids: list[int]) -> dict[int, AttendanceRecord]:
    rows = AttendanceRecord.objects.filter(training_day_id=training_day_id, cadet_id__in=cadet_ids)
    return {record.cadet_id: record for record in rows}


def staff_of_day(
    *, training_day: TrainingDay, function: str | None = None, status: str | None = None
) -> QuerySet[StaffProfile]:
    """The staff profiles by name: all that are not archived, and archived ones with a record."""
    records = StaffAttendanceRecord.objects.filter(training_day=training_day, staff_profile=OuterRef("pk"))
    rows = StaffProfile.objects.filter(Q(archived_at=None) | Exists(records)).order_by("last_name", "first_name", "id")
    if function is not None:
        rows = rows.filter(function=function)
    return _of_status(rows, records, status)


def records_of_staff(*, training_day_id: int, staff_ids: list[int]) -> dict[int, StaffAttendanceRecord]:
    rows = StaffAttendanceRecord.objects.filter(training_day_id=training_day_id, staff_profile_id__in=staff_ids)
    return {record.staff_profile_id: record for record in rows}


def counts_by_status(
    model: type[AttendanceRecord] | type[StaffAttendanceRecord], *, training_day_id: int
) -> dict[str, int]:
    """How many records of each status a day has. One query."""
    rows = model._default_manager.filter(training_day_id=training_day_id).values("status").annotate(rows=Count("pk"))
    return {**dict.fromkeys(rules.STATUSES, 0), **dict(rows.order_by("status").values_list("status", "rows"))}


def counts_of_day(*, training_day: TrainingDay) -> dict[str, int]:
    """`counts_by_status` of the cadets, and how many have no record. Two queries."""
    unmarked = cadets_of_day(training_day=training_day, status=rules.UNMARKED).order_by().count()
    return {**counts_by_status(AttendanceRecord, training_day_id=training_day.pk), rules.UNMARKED: unmarked}


def _of_status(rows: QuerySet[Any], records: QuerySet[Any], status: str | None) -> QuerySet[Any]:
    if status == rules.UNMARKED:
        return rows.filter(~Exists(records))
    return rows if status is None else rows.filter(Exists(records.filter(status=status)))
