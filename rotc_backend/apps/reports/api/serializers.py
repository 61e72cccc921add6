from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.reports import rules
from apps.reports.models import Certificate, CertificateType, FileFormat, Kind, Report, State
from apps.reports.selectors import state_of_certificate
from core.paths import LARGEST_ID
from core.serializers import InstantField, QueryParameters, StrictSerializer


def _id(help_text: str) -> serializers.IntegerField:
    return serializers.IntegerField(required=False, min_value=1, max_value=LARGEST_ID, help_text=help_text)


class ReportsQuery(QueryParameters):
    kind = serializers.ChoiceField(choices=Kind.choices, required=False)
    state = serializers.ChoiceField(choices=State.choices, required=False)


class ReportInput(StrictSerializer):
    kind = serializers.ChoiceField(choices=Kind.choices)
    file_format = serializers.ChoiceField(
        choices=FileFormat.choices,
        default=FileFormat.PDF.value,
        help_text="`xlsx` and `csv` of grade sheets, attendance and master lists only.",
    )
    term_id = _id("Of a grade sheet, a term's attendance, a master list, the own slip; else the current term.")
    company_id = _id("Only this company; else the whole unit, each company on pages of its own.")
    training_day_id = _id("Of an attendance sheet, where it is needed.")
    enrollment_id = _id("Of a certificate, where it is needed, and of a grade slip; a cadet may leave it out.")
    day = serializers.DateField(required=False, help_text="Of a daily report, where it is needed: a day in Manila.")
    certificate_type = serializers.ChoiceField(
        choices=CertificateType.choices, required=False, help_text="Of a certificate; `completion` unless told."
    )
    client_id = serializers.RegexField(
        r"^[A-Za-z0-9._:-]{1,64}$",
        required=False,
        help_text="Your own number of this request: sent again, it gives the same report.",
    )


class ReportProblemOutput(serializers.Serializer[Any]):
    code = serializers.CharField(read_only=True)
    detail = serializers.CharField(read_only=True)


class ReportRequesterOutput(serializers.Serializer[Any]):
    id = serializers.IntegerField(read_only=True)
    username = serializers.CharField(read_only=True)


class ReportOutput(serializers.ModelSerializer[Report]):
    term_id = serializers.IntegerField(read_only=True, allow_null=True)
    company_id = serializers.IntegerField(read_only=True, allow_null=True)
    training_day_id = serializers.IntegerField(read_only=True, allow_null=True)
    enrollment_id = serializers.IntegerField(read_only=True, allow_null=True)
    certificate_code = serializers.SerializerMethodField(help_text="Of a certificate: what stands on it.")
    rows_total = serializers.IntegerField(read_only=True, allow_null=True, help_text="null until all rows are read.")
    pages = serializers.IntegerField(read_only=True, allow_null=True, help_text="Of a PDF that is ready.")
    file_bytes = serializers.IntegerField(read_only=True, allow_null=True)
    problem = serializers.SerializerMethodField(help_text="Why there is no file; else null.")
    requested_by = ReportRequesterOutput(read_only=True, allow_null=True, help_text="null: the daily schedule.")
    created_at = InstantField(read_only=True)
    started_at = InstantField(read_only=True, allow_null=True)
    finished_at = InstantField(read_only=True, allow_null=True)
    expires_at = InstantField(read_only=True, allow_null=True, help_text="Until when the file is kept.")

    class Meta:
        model = Report
        fields = (
            "id",
            "kind",
            "file_format",
            "state",
            "title",
            "term_id",
            "company_id",
            "training_day_id",
            "enrollment_id",
            "day",
            "certificate_code",
            "client_id",
            "phase",
            "rows_done",
            "rows_total",
            "pages",
            "file_name",
            "file_bytes",
            "problem",
            "requested_by",
            "created_at",
            "started_at",
            "finished_at",
            "expires_at",
        )
        read_only_fields = fields

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_certificate_code(self, report: Report) -> str | None:
        return None if report.certificate is None else rules.code_shown(report.certificate.code)

    @extend_schema_field(ReportProblemOutput(allow_null=True))
    def get_problem(self, report: Report) -> dict[str, str] | None:
        return {"code": report.problem_code, "detail": report.problem} if report.problem_code else None


class ReportLinkOutput(serializers.Serializer[Any]):
    url = serializers.CharField(read_only=True, help_text="Opens the file without a token. From the root of the host.")
    expires_at = InstantField(read_only=True)


class RevokeInput(StrictSerializer):
    reason = serializers.CharField(max_length=255, help_text="For the audit trail; whoever checks the code sees none.")


class CertificateOutput(serializers.Serializer[Certificate]):
    code = serializers.SerializerMethodField(help_text="As it is printed.")
    state = serializers.SerializerMethodField(
        help_text="`superseded`: a later certificate says it otherwise, or the grades of the term are decided anew."
    )
    type = serializers.ChoiceField(choices=CertificateType.choices, read_only=True)
    name = serializers.CharField(source="facts.name", read_only=True)
    school_year = serializers.CharField(source="facts.school_year", read_only=True)
    semester = serializers.CharField(source="facts.semester", read_only=True)
    level = serializers.CharField(source="facts.level", read_only=True, help_text="Military science level.")
    equivalent = serializers.CharField(source="facts.equivalent", read_only=True)
    remark = serializers.CharField(source="facts.remark", read_only=True)
    merits = serializers.SerializerMethodField(help_text="Of a certificate of merit.")
    decided_on = serializers.DateField(source="facts.decided_on", read_only=True, help_text="The day in Manila.")
    issued_at = InstantField(read_only=True)
    revoked_at = InstantField(read_only=True, allow_null=True)

    def get_code(self, certificate: Certificate) -> str:
        return rules.code_shown(certificate.code)

    @extend_schema_field(serializers.ChoiceField(choices=[rules.VALID, rules.SUPERSEDED, rules.REVOKED]))
    def get_state(self, certificate: Certificate) -> str:
        return state_of_certificate(certificate)

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_merits(self, certificate: Certificate) -> int | None:
        return certificate.facts.get("merits")
