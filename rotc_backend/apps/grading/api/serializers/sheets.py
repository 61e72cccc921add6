from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from apps.cadets.models import EnrollmentStatus
from apps.grading import rules
from apps.grading.api.serializers.grades import GradeOutput, OutcomeCount, SheetBrief, UnitQuery
from apps.grading.api.serializers.people import (
    CadetBrief,
    PersonBrief,
    PlaceOutput,
    TermBrief,
    cadet_brief,
    person_brief,
    place_brief,
    term_brief,
)
from apps.grading.models import GradeSheet
from apps.grading.selectors.grades import grade_of_sheet, status_of_sheet
from apps.grading.selectors.sheets import SheetFinding
from core.clock import iso
from core.serializers import InstantField

FINDINGS_SHOWN = 200


class SheetsQuery(UnitQuery):
    superseded = serializers.BooleanField(required=False, default=False, help_text="Those superseded instead.")


class SheetLineOutput(PlaceOutput, SheetBrief, GradeOutput):
    enrollment_id = serializers.IntegerField()
    cadet = CadetBrief()
    status = serializers.ChoiceField(choices=EnrollmentStatus.choices)
    superseded_at = InstantField(allow_null=True, help_text="null: in force.")


class SheetOutput(SheetLineOutput):
    term = TermBrief()
    frozen_by = PersonBrief()
    inputs = serializers.DictField(help_text="All that the result follows from, with the ids of its rows.")


def sheet_brief(sheet: GradeSheet) -> dict[str, Any]:
    return {
        "id": sheet.pk,
        "revision": sheet.revision,
        "frozen_at": iso(sheet.frozen_at),
        "digest": sheet.digest,
    }


def sheet_line(sheet: GradeSheet) -> dict[str, Any]:
    return {
        **sheet_brief(sheet),
        "enrollment_id": sheet.enrollment_id,
        "cadet": cadet_brief(sheet.enrollment.cadet),
        **place_brief(sheet.enrollment),
        "status": status_of_sheet(sheet),
        **rules.grade_body(grade_of_sheet(sheet)),
        "superseded_at": iso(sheet.superseded_at) if sheet.superseded_at else None,
    }


def sheet_body(sheet: GradeSheet) -> dict[str, Any]:
    return {
        **sheet_line(sheet),
        "term": term_brief(sheet.enrollment.term),
        "frozen_by": person_brief(sheet.frozen_by),
        "inputs": sheet.inputs,
    }


class SheetFindingOutput(serializers.Serializer[Any]):
    table = serializers.CharField()
    id = serializers.CharField(help_text="The row or the object inside the table.")
    detail = serializers.CharField()
    remedy = serializers.CharField()


class SheetVerificationOutput(serializers.Serializer[Any]):
    sound = serializers.BooleanField()
    checked_at = InstantField()
    count = serializers.IntegerField(help_text="All findings.")
    findings = SheetFindingOutput(many=True, help_text=f"The first {FINDINGS_SHOWN}.")


class TermVerificationOutput(SheetVerificationOutput):
    term = TermBrief()
    in_force = serializers.IntegerField(help_text="Sheets that stand.")
    superseded = serializers.IntegerField(help_text="Sheets of earlier closings.")


def verification_body(findings: list[SheetFinding], *, checked_at: str) -> dict[str, Any]:
    return {
        "sound": not findings,
        "checked_at": checked_at,
        "count": len(findings),
        "findings": [asdict(finding) for finding in findings[:FINDINGS_SHOWN]],
    }


class ClosingOutput(serializers.Serializer[Any]):
    term = TermBrief()
    closed_at = InstantField()
    sheets = serializers.IntegerField()
    outcomes = OutcomeCount(many=True)
    missing_exams = serializers.IntegerField(help_text="Sheets with an exam missing, which counts 0.")
    without_attendance = serializers.IntegerField(help_text="Sheets without a single held day.")


class ReopeningOutput(serializers.Serializer[Any]):
    term = TermBrief()
