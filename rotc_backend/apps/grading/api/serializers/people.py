"""Whom a row speaks of, in a few words."""

from typing import Any

from rest_framework import serializers

from apps.accounts.models import User
from apps.cadets.models import Cadet, Enrollment, MilitaryScienceLevel, Semester, Term


class CadetBrief(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    student_id = serializers.CharField()
    full_name = serializers.CharField()


class TermBrief(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    school_year = serializers.CharField()
    semester = serializers.ChoiceField(choices=Semester.choices)
    closed = serializers.BooleanField()


class PersonBrief(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()


def cadet_brief(cadet: Cadet) -> dict[str, Any]:
    return {"id": cadet.pk, "student_id": cadet.student_id, "full_name": cadet.full_name}


def term_brief(term: Term) -> dict[str, Any]:
    return {
        "id": term.pk,
        "school_year": term.school_year,
        "semester": term.semester,
        "closed": term.closed_at is not None,
    }


def person_brief(user: User | None) -> dict[str, Any] | None:
    return None if user is None else {"id": user.pk, "name": user.get_full_name()}


class PlaceOutput(serializers.Serializer[Any]):
    """Where a cadet stands in the unit."""

    company = serializers.CharField(allow_null=True)
    platoon = serializers.CharField(allow_null=True)
    level = serializers.ChoiceField(choices=MilitaryScienceLevel.choices)


def place_brief(enrollment: Enrollment) -> dict[str, Any]:
    return {
        "company": enrollment.company.name if enrollment.company else None,
        "platoon": enrollment.platoon.name if enrollment.platoon else None,
        "level": enrollment.level,
    }
