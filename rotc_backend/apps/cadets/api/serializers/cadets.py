import datetime as dt
from functools import cached_property
from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.cadets import rules
from apps.cadets.api.serializers.fields import ContactNumberField, LineField, StudentIdField, id_field
from apps.cadets.api.serializers.lists import TermOutput
from apps.cadets.models import (
    NAME_LENGTH,
    Cadet,
    CadetRank,
    Enrollment,
    EnrollmentStatus,
    Gender,
    MilitaryScienceLevel,
)
from apps.cadets.selectors import CADET_SORTS
from apps.pictures.rules import FILE_STATES, file_state
from core.clock import manila_date, now
from core.serializers import InstantField, QueryParameters, StrictSerializer

_SEARCH = "Words that must all occur in number or names, in any letter case, with or without marks."
_ARCHIVED = "true: only archived cadets; false: only the others."
_ID_FILTER = "Id."


class ListEntryNameOutput(serializers.Serializer[Any]):
    """A company or a platoon, where it stands beside something else."""

    id = serializers.IntegerField(read_only=True)
    name = serializers.CharField(read_only=True)


class PlaceOutput(serializers.ModelSerializer[Enrollment]):
    """An enrollment beside its cadet."""

    term_id = serializers.IntegerField(read_only=True)
    company = ListEntryNameOutput(read_only=True, allow_null=True)
    platoon = ListEntryNameOutput(read_only=True, allow_null=True)

    class Meta:
        model = Enrollment
        fields: tuple[str, ...] = (
            "id",
            "term_id",
            "company",
            "platoon",
            "battalion",
            "position",
            "rank",
            "level",
            "status",
            "enrolled_on",
            "version",
        )
        read_only_fields = fields


class CadetNameOutput(serializers.ModelSerializer[Cadet]):
    """A cadet beside something else."""

    full_name = serializers.CharField(read_only=True)

    class Meta:
        model = Cadet
        fields: tuple[str, ...] = ("id", "student_id", "last_name", "first_name", "middle_name", "suffix", "full_name")
        read_only_fields = fields


class EnrollmentOutput(PlaceOutput):
    cadet = CadetNameOutput(read_only=True)
    term = TermOutput(read_only=True)

    class Meta(PlaceOutput.Meta):
        fields = ("id", "cadet", "term", *PlaceOutput.Meta.fields[2:])
        read_only_fields = fields


class OwnEnrollmentOutput(PlaceOutput):
    term = TermOutput(read_only=True)

    class Meta(PlaceOutput.Meta):
        fields = ("id", "term", *PlaceOutput.Meta.fields[2:])
        read_only_fields = fields


class EnrollmentInput(StrictSerializer):
    company_id = id_field(required=False, allow_null=True)
    platoon_id = id_field(required=False, allow_null=True)
    battalion = LineField(max_length=NAME_LENGTH, required=False, allow_blank=True)
    position = LineField(max_length=NAME_LENGTH, required=False, allow_blank=True)
    rank = serializers.ChoiceField(choices=CadetRank.choices, required=False, help_text="CDT unless told.")
    level = serializers.ChoiceField(
        choices=MilitaryScienceLevel.choices, required=False, help_text="Military science level; MS1 unless told."
    )
    status = serializers.ChoiceField(choices=EnrollmentStatus.choices, required=False, help_text="ongoing unless told.")
    enrolled_on = serializers.DateField(
        required=False,
        help_text="A day of the term; training days before it do not count while the term is open. Today unless told.",
    )


class EnrollmentCreateInput(EnrollmentInput):
    term_id = id_field(required=False, help_text="The current term unless told.")


class EnrollmentsQuery(QueryParameters):
    term = id_field(required=False, help_text=_ID_FILTER)
    company = id_field(required=False, help_text=_ID_FILTER)
    platoon = id_field(required=False, help_text=_ID_FILTER)
    level = serializers.ChoiceField(choices=MilitaryScienceLevel.choices, required=False)
    status = serializers.ChoiceField(choices=EnrollmentStatus.choices, required=False)
    archived = serializers.BooleanField(default=False, help_text=_ARCHIVED)
    search = serializers.CharField(max_length=100, required=False, allow_blank=True, help_text=_SEARCH)


class CadetsQuery(EnrollmentsQuery):
    term = id_field(
        required=False,
        help_text="Only who is enrolled in it; unless told, everybody, with the enrollment in the current term.",
    )
    sort = serializers.ChoiceField(choices=CADET_SORTS, default="name", help_text="With `-` before it: falling.")


class CadetListOutput(CadetNameOutput):
    """A row of the list. `enrollment` comes in the context, by cadet id: the whole page takes one query for them."""

    enrollment = serializers.SerializerMethodField(help_text="In the asked or the current term; null: not enrolled.")
    photo_url = serializers.SerializerMethodField(help_text="Path of the photo; null: there is none.")
    archived_at = InstantField(read_only=True, allow_null=True)

    class Meta(CadetNameOutput.Meta):
        fields = (
            *CadetNameOutput.Meta.fields,
            "course",
            "year_level",
            "photo_url",
            "user_id",
            "archived_at",
            "version",
            "enrollment",
        )
        read_only_fields = fields

    user_id = serializers.IntegerField(read_only=True, allow_null=True, help_text="The account; null: none.")

    @cached_property
    def _place(self) -> PlaceOutput:
        return PlaceOutput()  # once: to build a serializer costs more than to write a row with it

    @extend_schema_field(PlaceOutput(allow_null=True))
    def get_enrollment(self, cadet: Cadet) -> Any:
        enrollment = self.context["enrollments"].get(cadet.pk)
        return None if enrollment is None else self._place.to_representation(enrollment)

    def get_photo_url(self, cadet: Cadet) -> str | None:
        return reverse("cadet-photo", args=[cadet.pk]) if cadet.photo else None


_DETAILS = (
    "email",
    "contact_number",
    "address",
    "gender",
    "birthdate",
    "religion",
    "course",
    "year_level",
    "photo_url",
    "photo_state",
)


class _CadetDetailsOutput(CadetNameOutput):
    # Declared, since they may be empty, which the fields that models give do not say.
    email = serializers.CharField(read_only=True)
    gender = serializers.ChoiceField(choices=Gender.choices, allow_blank=True, read_only=True)
    photo_state = serializers.SerializerMethodField(
        help_text=(
            "Of the photo sent last. processing: it is being prepared, and photo_url gives the one before; "
            "`cadet.changed` tells when that is over. ready: photo_url gives it. refused: it could not be used, its "
            "sender was notified why, and photo_url gives the one before. null: none was sent."
        )
    )

    @extend_schema_field(serializers.ChoiceField(choices=FILE_STATES, allow_null=True))
    def get_photo_state(self, cadet: Cadet) -> str | None:
        return file_state(name=cadet.photo, sent=cadet.photo_sent)


class CadetOutput(_CadetDetailsOutput):
    photo_url = serializers.SerializerMethodField(help_text="Path of the photo; null: there is none.")
    user_id = serializers.IntegerField(read_only=True, allow_null=True, help_text="The account; null: none.")
    archived_at = InstantField(read_only=True, allow_null=True)
    created_at = InstantField(read_only=True)
    updated_at = InstantField(read_only=True)

    class Meta(CadetNameOutput.Meta):
        fields = (
            *CadetNameOutput.Meta.fields,
            *_DETAILS,
            "user_id",
            "archived_at",
            "created_at",
            "updated_at",
            "version",
        )
        read_only_fields = fields

    def get_photo_url(self, cadet: Cadet) -> str | None:
        return reverse("cadet-photo", args=[cadet.pk]) if cadet.photo else None


class OwnCadetOutput(_CadetDetailsOutput):
    photo_url = serializers.SerializerMethodField(help_text="Path of the photo; null: there is none.")
    enrollments = serializers.SerializerMethodField(help_text="Of all terms, the latest first.")
    updated_at = InstantField(read_only=True)

    class Meta(CadetNameOutput.Meta):
        fields = (*CadetNameOutput.Meta.fields, *_DETAILS, "updated_at", "version", "enrollments")
        read_only_fields = fields

    def get_photo_url(self, cadet: Cadet) -> str | None:
        return reverse("cadet-own-photo") if cadet.photo else None

    @extend_schema_field(OwnEnrollmentOutput(many=True))
    def get_enrollments(self, cadet: Cadet) -> Any:
        return OwnEnrollmentOutput(self.context["enrollments"], many=True).data


class OwnCadetInput(StrictSerializer):
    """What cadets change themselves: how they can be reached."""

    email = serializers.EmailField(max_length=254, required=False, allow_blank=True)
    contact_number = ContactNumberField(required=False, allow_blank=True)
    address = LineField(max_length=255, required=False, allow_blank=True)


class CadetInput(OwnCadetInput):
    student_id = StudentIdField(help_text="Unique in any letter case, also among archived cadets.")
    last_name = LineField(max_length=NAME_LENGTH)
    first_name = LineField(max_length=NAME_LENGTH)
    middle_name = LineField(max_length=NAME_LENGTH, required=False, allow_blank=True)
    suffix = LineField(max_length=16, required=False, allow_blank=True)
    gender = serializers.ChoiceField(choices=Gender.choices, required=False, allow_blank=True)
    birthdate = serializers.DateField(required=False, allow_null=True)
    religion = LineField(max_length=NAME_LENGTH, required=False, allow_blank=True)
    course = LineField(max_length=128, required=False, allow_blank=True, help_text="Academic programme.")
    year_level = serializers.IntegerField(min_value=1, max_value=5, required=False, allow_null=True)

    def validate_birthdate(self, value: dt.date | None) -> dt.date | None:
        if value is not None and not rules.birthdate_is_possible(value, today=manila_date(now())):
            raise serializers.ValidationError(rules.BIRTHDATE_WORDS, code="out_of_range")
        return value


class CadetPhotoInput(serializers.Serializer[Any]):
    file = serializers.FileField(help_text="JPEG, PNG or WebP, 10 MB at most; metadata is removed.", max_length=255)


class LinkedAccountInput(StrictSerializer):
    user_id = id_field()
