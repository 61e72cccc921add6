from typing import Any

from rest_framework import serializers

from apps.cadets.models import Enrollment, EnrollmentStatus
from apps.grading import rules
from apps.grading.api.serializers.fields import id_field
from apps.grading.api.serializers.people import (
    CadetBrief,
    PlaceOutput,
    TermBrief,
    cadet_brief,
    place_brief,
    term_brief,
)
from apps.grading.models import Exam
from core.serializers import InstantField, PointsField, QueryParameters


class TermQuery(QueryParameters):
    term = id_field(required=False, help_text="The current term unless told.")


class UnitQuery(QueryParameters):
    company = id_field(required=False)
    platoon = id_field(required=False)


class AdjustmentBrief(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    points = PointsField()
    reason = serializers.CharField()
    issued_at = InstantField()


class PartOutput(serializers.Serializer[Any]):
    computed = PointsField(allow_null=True, help_text="What the inputs give; null: not graded yet.")
    adjustment = PointsField(help_text="The sum of the adjustments.")
    adjustments = AdjustmentBrief(many=True)
    points = PointsField(allow_null=True, help_text="Both together, kept between 0 and the maximum.")
    maximum = PointsField(help_text="The weight of this part in the policy.")


class DayCounts(serializers.Serializer[Any]):
    present = serializers.IntegerField()
    late = serializers.IntegerField()
    excused = serializers.IntegerField()
    absent = serializers.IntegerField()
    unmarked = serializers.IntegerField(help_text="Without a record.")


class AttendanceOutput(PartOutput):
    attended = serializers.IntegerField(help_text="P: days with a status that the policy counts.")
    held = serializers.IntegerField(help_text="D: days that count for this cadet.")
    by_status = DayCounts()


class AptitudeOutput(PartOutput):
    merits = serializers.IntegerField()
    demerits = serializers.IntegerField()
    base = serializers.IntegerField(help_text="100 and merits less demerits, kept between 0 and 100.")
    merits_unused = serializers.IntegerField(help_text="Merits beyond a full base.")


class ExamsOutput(serializers.Serializer[Any]):
    prelim = PointsField(allow_null=True)
    midterm = PointsField(allow_null=True)
    final = PointsField(allow_null=True)


class SubjectOutput(PartOutput):
    exams = ExamsOutput(help_text="null: missing, which counts 0.")
    missing = serializers.ListField(child=serializers.ChoiceField(choices=Exam.choices))


class OutcomeOutput(serializers.Serializer[Any]):
    total = PointsField(help_text="Cut to two decimals; the equivalent follows the exact total.")
    equivalent = serializers.CharField(allow_null=True, help_text="null: see the remark.")
    remark = serializers.ChoiceField(choices=rules.REMARKS)
    provisional = serializers.BooleanField(help_text="true while the term is open.")


class GradeOutput(OutcomeOutput):
    attendance = AttendanceOutput()
    aptitude = AptitudeOutput()
    subject = SubjectOutput()


class SheetBrief(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    revision = serializers.IntegerField()
    frozen_at = InstantField()
    digest = serializers.CharField()


class StandingOutput(PlaceOutput, GradeOutput):
    enrollment_id = serializers.IntegerField()
    cadet = CadetBrief()
    term = TermBrief()
    status = serializers.ChoiceField(choices=EnrollmentStatus.choices)
    as_of = serializers.DateField(help_text="The day in Manila that this was asked on.")
    lifetime_merits = serializers.IntegerField(help_text="Over all terms, without those revoked.")
    badges = serializers.ListField(child=serializers.IntegerField())
    next_badge = serializers.IntegerField(allow_null=True)
    sheet = SheetBrief(allow_null=True, help_text="The frozen sheet that this is read from; null while none is.")


class GradeLineOutput(PlaceOutput, OutcomeOutput):
    enrollment_id = serializers.IntegerField()
    cadet = CadetBrief()
    archived = serializers.BooleanField(help_text="Whether the cadet's record is archived.")
    status = serializers.ChoiceField(choices=EnrollmentStatus.choices)
    attended = serializers.IntegerField()
    held = serializers.IntegerField()
    attendance = PointsField(allow_null=True)
    aptitude = PointsField()
    subject = PointsField()


def standing_body(enrollment: Enrollment, *, changing: dict[str, Any], as_of: str) -> dict[str, Any]:
    """`changing` is what may come from the cache: grade, sheet and lifetime_merits."""
    lifetime = changing["lifetime_merits"]
    return {
        "enrollment_id": enrollment.pk,
        "cadet": cadet_brief(enrollment.cadet),
        "term": term_brief(enrollment.term),
        **place_brief(enrollment),
        "status": enrollment.status,
        **changing["grade"],
        "as_of": as_of,
        "lifetime_merits": lifetime,
        "badges": rules.badges_of(lifetime),
        "next_badge": rules.next_badge(lifetime),
        "sheet": changing["sheet"],
    }


def grade_line(enrollment: Enrollment, grade: rules.Grade) -> dict[str, Any]:
    body = rules.grade_body(grade)
    return {
        "enrollment_id": enrollment.pk,
        "cadet": cadet_brief(enrollment.cadet),
        "archived": enrollment.cadet.archived_at is not None,
        **place_brief(enrollment),
        "status": enrollment.status,
        "attended": grade.attendance.attended,
        "held": grade.attendance.held,
        **{component: body[component]["points"] for component in rules.COMPONENTS},
        **{name: body[name] for name in ("total", "equivalent", "remark", "provisional")},
    }


# --- Leaderboard and dashboard ----------------------------------------------------------------------------------------


class LeaderboardOutput(serializers.Serializer[Any]):
    place = serializers.IntegerField(help_text="The same merits share a place, and none is left out.")
    cadet = CadetBrief()
    company = serializers.CharField(allow_null=True, help_text="In the current term.")
    lifetime_merits = serializers.IntegerField()
    badges = serializers.ListField(child=serializers.IntegerField())


class OwnPlaceOutput(serializers.Serializer[Any]):
    place = serializers.IntegerField(allow_null=True, help_text="null without merits.")
    of = serializers.IntegerField(help_text="Cadets on the leaderboard.")
    lifetime_merits = serializers.IntegerField()
    badges = serializers.ListField(child=serializers.IntegerField())
    next_badge = serializers.IntegerField(allow_null=True)


class StatusCounts(serializers.Serializer[Any]):
    ongoing = serializers.IntegerField()
    completed = serializers.IntegerField()
    incomplete = serializers.IntegerField()
    failed = serializers.IntegerField()
    dropped = serializers.IntegerField()
    deferred = serializers.IntegerField()


class CompanyBrief(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()


class CompanyCounts(serializers.Serializer[Any]):
    company = CompanyBrief(allow_null=True, help_text="null: enrollments without a company.")
    statuses = StatusCounts()


class OutcomeCount(serializers.Serializer[Any]):
    remark = serializers.ChoiceField(choices=rules.REMARKS)
    equivalent = serializers.CharField(allow_null=True)
    count = serializers.IntegerField()


class LastDay(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    date = serializers.DateField()
    title = serializers.CharField()
    expected = serializers.IntegerField(help_text="Cadets who were enrolled by that day.")
    by_status = DayCounts()


class DashboardOutput(serializers.Serializer[Any]):
    term = TermBrief()
    as_of = serializers.DateField()
    enrolled = serializers.IntegerField(
        help_text="Enrollments of cadets who are not archived; all counts are of these."
    )
    statuses = StatusCounts()
    companies = CompanyCounts(many=True)
    grades = OutcomeCount(many=True)
    last_day = LastDay(allow_null=True, help_text="The latest day held and not cancelled; null before the first.")
    pending_letters = serializers.IntegerField()
    pending_accounts = serializers.IntegerField()
