import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.accounts.rules import Principal
from apps.accounts.selectors import principal_of_user
from apps.cadets.models import Enrollment, Semester, Term
from apps.cadets.services import terms
from apps.grading import rules
from apps.grading.models import Adjustment, ExamScore, GradeSheet, GradingPolicy, MeritDemerit
from apps.grading.services import closing, merits, policies, scores
from apps.training.models import AttendanceStatus
from apps.training.rules import STATUSES
from core.admin import (
    Confirmation,
    ReadOnlyAdmin,
    ReasonForm,
    ServiceAdmin,
    ServiceForm,
    TimeSetFilter,
    keys_of_related,
)
from core.errors import FieldError, ValidationFailed

_CADET_SEARCH = (
    "enrollment__cadet__search_text",
    "enrollment__cadet__last_name",
    "enrollment__cadet__first_name",
)
_CADET_SEARCH_HELP = "Student number or name"
_OF_ENROLLMENT = ("enrollment__cadet", "enrollment__term")


# --- Terms ------------------------------------------------------------------------------------------------------------


class ClosedFilter(TimeSetFilter):
    title = "open"
    parameter_name = "closed"
    column = "closed_at"
    words = ("Open", "Closed")


@admin.register(Term)
class TermAdmin(ServiceAdmin):
    """Here and not beside the cadets, since closing a term is a matter of grades."""

    list_display = ("school_year", "semester", "starts_on", "ends_on", "is_current", "closed_at", "closed_by")
    list_filter = (ClosedFilter, "semester")
    list_select_related = ("closed_by",)
    list_per_page = 50
    date_hierarchy = "starts_on"
    ordering = ("-starts_on", "-id")
    search_fields = ("school_year", "semester")
    search_help_text = "School year (2025-2026) or semester (1st, 2nd, summer)"
    fields = ("school_year", "semester", "starts_on", "ends_on")
    actions = ("make_current", "close", "reopen")

    def get_fields(self, request: HttpRequest, obj: Term | None = None) -> Any:
        shown = list(super().get_fields(request, obj))
        return shown if obj is None else [*shown, "is_current", "closed_at", "closed_by"]

    def get_readonly_fields(self, request: HttpRequest, obj: Term | None = None) -> Any:
        return ("is_current", "closed_at", "closed_by")

    def is_frozen(self, row: Term) -> bool:
        return row.closed_at is not None

    def row_actions(self, row: Term) -> Mapping[str, str]:
        if row.closed_at is not None:
            return {"reopen": "Reopen"}
        return {"close": "Close"} if row.is_current else {"make_current": "Make current", "close": "Close"}

    def create_row(self, request: HttpRequest, fields: dict[str, Any]) -> Term:
        return terms.term_create(actor=_actor(request), **{**fields, "semester": Semester(fields["semester"])})

    def change_row(self, request: HttpRequest, row: Term, changes: dict[str, Any], expected_version: int) -> Term:
        return terms.term_change(
            actor=_actor(request), term_id=row.pk, expected_version=expected_version, changes=changes
        )

    @admin.action(description="Make the chosen term the current one")
    def make_current(self, request: HttpRequest, queryset: QuerySet[Term]) -> None:
        if queryset.count() != 1:
            self.message_user(request, "Choose one term: only one can be the current one.", messages.ERROR)
            return

        def act(term: Term) -> object:
            return terms.term_make_current(actor=_actor(request), term_id=term.pk)

        self.carry_out(request, queryset, act=act, done="made the current one")

    @admin.action(description="Close the chosen terms")
    def close(self, request: HttpRequest, queryset: QuerySet[Term]) -> HttpResponse | None:
        def act(term: Term, _given: Mapping[str, Any]) -> None:
            done = closing.term_close(actor=_actor(request), term_id=term.pk)
            self.message_user(
                request,
                f"{term}: {done.sheets} grades are frozen; {done.missing_exams} lack an exam, "
                f"{done.without_attendance} have no held day.",
            )

        return self.ask_and_carry_out(
            request,
            queryset,
            action="close",
            title="Close, which freezes every grade of the term",
            form=Confirmation,
            act=act,
            done="closed",
        )

    @admin.action(description="Reopen the chosen terms")
    def reopen(self, request: HttpRequest, queryset: QuerySet[Term]) -> HttpResponse | None:
        def act(term: Term, given: Mapping[str, Any]) -> object:
            return closing.term_reopen(actor=_actor(request), term_id=term.pk, reason=given["reason"])

        return self.ask_and_carry_out(
            request,
            queryset,
            action="reopen",
            title="Reopen, which supersedes the grade sheets of the term",
            form=ReasonForm,
            act=act,
            done="reopened",
        )


# --- Policies ---------------------------------------------------------------------------------------------------------


class BandsField(forms.CharField):
    """Bands of a policy, one a line: a lower bound and its equivalent."""

    _LINE = re.compile(r"(\d{1,3}(?:\.\d{1,2})?)\s+(\S{1,10})")

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": 8, "cols": 20}), **options)

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else _lines(value)

    def clean(self, value: Any) -> Any:
        return [self._band(number, line) for number, line in enumerate(super().clean(value).splitlines(), start=1)]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(_words(_lines(initial)) != _words(data))

    def _band(self, number: int, line: str) -> list[str]:
        found = self._LINE.fullmatch(line.strip())
        if found is None:
            raise forms.ValidationError(
                f"Line {number}: write a lower bound and its equivalent, for example 95.00 1.00.", code="invalid"
            )
        return [found[1], found[2]]


def _lines(bands: Sequence[Sequence[str]] | None) -> str:
    return "\n".join(f"{bound} {equivalent}" for bound, equivalent in bands or ())


def _words(text: str | None) -> list[list[str]]:
    return [line.split() for line in (text or "").strip().splitlines()]


class PolicyForm(ServiceForm):
    attended_statuses = forms.MultipleChoiceField(
        choices=AttendanceStatus.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text="Whoever has one of these counts as having attended.",
    )
    bands = BandsField(help_text="A line for each equivalent, the best first: the least total that earns it.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "term" in self.fields:
            self.fields["term"].required = True  # the unit's default is there already


@admin.register(GradingPolicy)
class GradingPolicyAdmin(ServiceAdmin):
    """The unit's default, and policies of terms that have their own."""

    form = PolicyForm
    list_display = ("holds_for", "attendance_weight", "aptitude_weight", "subject_weight", "attended", "updated_at")
    list_per_page = 50
    ordering = ("-term__starts_on", "-id")
    search_fields = ("term__school_year", "term__semester")
    search_help_text = "School year or semester"
    fields = (
        "term",
        "attendance_weight",
        "aptitude_weight",
        "subject_weight",
        "attended_statuses",
        "bands",
        "failing_equivalent",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[GradingPolicy]:
        return super().get_queryset(request).select_related("term")

    def get_fields(self, request: HttpRequest, obj: GradingPolicy | None = None) -> Any:
        shown = list(super().get_fields(request, obj))
        return shown if obj is None else ["holds_for", *shown[1:], "updated_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: GradingPolicy | None = None) -> Any:
        return ("holds_for", "updated_at")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        default = GradingPolicy.objects.filter(term=None).values(*self.fields[1:]).first() or {}
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        return {**default, **given}

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "term":
            without = Term.objects.filter(closed_at=None, grading_policy=None)
            kwargs["queryset"] = without.order_by("-starts_on", "-id")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def is_frozen(self, row: GradingPolicy) -> bool:
        return row.term is not None and row.term.closed_at is not None

    @admin.display(description="holds for", ordering="term__starts_on")
    def holds_for(self, policy: GradingPolicy) -> str:
        return str(policy.term) if policy.term is not None else "Every term without a policy of its own"

    @admin.display(description="counts as attended")
    def attended(self, policy: GradingPolicy) -> str:
        return ", ".join(policy.attended_statuses)

    def name_of(self, row: GradingPolicy) -> str:
        return self.holds_for(row)

    def create_row(self, request: HttpRequest, fields: dict[str, Any]) -> GradingPolicy:
        term: Term = fields.pop("term")
        with _lines_named():
            row, _ = policies.policy_create_for_term(actor=_actor(request), term_id=term.pk, policy=fields)
        return row

    def change_row(
        self, request: HttpRequest, row: GradingPolicy, changes: dict[str, Any], expected_version: int
    ) -> GradingPolicy:
        given: dict[str, Any] = {
            "actor": _actor(request),
            "expected_version": expected_version,
            "changes": changes,
        }
        with _lines_named():
            if row.term_id is None:
                return policies.policy_change_default(**given)
            return policies.policy_change_for_term(term_id=row.term_id, **given)


@contextmanager
def _lines_named() -> Iterator[None]:
    """Problems of single bands stand beside the field of all of them, with their lines."""
    try:
        yield
    except ValidationFailed as refusal:
        errors = []
        for error in refusal.errors:
            field, _, place = error.field.partition(".")
            line = f"Line {int(place.partition('.')[0]) + 1}: " if place else ""
            errors.append(FieldError(field=field, code=error.code, detail=f"{line}{error.detail}"))
        raise ValidationFailed(refusal.detail, code=refusal.code, errors=errors) from refusal


# --- What hangs on an enrollment --------------------------------------------------------------------------------------


class OfEnrollmentAdmin(ServiceAdmin):
    """Rows that belong to a cadet's enrollment, shown with the cadet and the term."""

    list_per_page = 50
    ordering = ("-id",)
    autocomplete_fields = ("enrollment",)
    search_fields: ClassVar[tuple[str, ...]] = _CADET_SEARCH
    search_help_text = _CADET_SEARCH_HELP

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "enrollment":
            kwargs["queryset"] = Enrollment.objects.select_related("cadet", "term")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def is_frozen(self, row: Any) -> bool:
        return row.enrollment.term.closed_at is not None

    def name_of(self, row: Any) -> str:
        return f"{row.enrollment.cadet}, {row.enrollment.term}"

    @admin.display(description="cadet", ordering="enrollment__cadet__last_name")
    def cadet(self, row: Any) -> str:
        return str(row.enrollment.cadet)

    @admin.display(description="term", ordering="enrollment__term__starts_on")
    def term(self, row: Any) -> str:
        return str(row.enrollment.term)


@admin.register(ExamScore)
class ExamScoreAdmin(OfEnrollmentAdmin):
    list_display = ("cadet", "term", "exam", "score", "recorded_by", "updated_at")
    list_filter = ("exam", "enrollment__term", "enrollment__company")
    fields = ("enrollment", "exam", "score")
    actions = ("remove",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExamScore]:
        return super().get_queryset(request).select_related(*_OF_ENROLLMENT, "recorded_by")

    def get_fields(self, request: HttpRequest, obj: ExamScore | None = None) -> Any:
        return self.fields if obj is None else ("cadet", "term", "exam", "score", "recorded_by", "updated_at")

    def get_readonly_fields(self, request: HttpRequest, obj: ExamScore | None = None) -> Any:
        return () if obj is None else ("cadet", "term", "exam", "recorded_by", "updated_at")

    def row_actions(self, row: ExamScore) -> Mapping[str, str]:
        return {} if self.is_frozen(row) else {"remove": "Remove"}

    def name_of(self, row: ExamScore) -> str:
        return f"{super().name_of(row)}, {row.get_exam_display()}: {row.score}"

    def create_row(self, request: HttpRequest, fields: dict[str, Any]) -> ExamScore:
        row, _ = scores.score_put(actor=_actor(request), **keys_of_related(ExamScore, fields), expected=scores.NO_SCORE)
        return row

    def change_row(
        self, request: HttpRequest, row: ExamScore, changes: dict[str, Any], expected_version: int
    ) -> ExamScore:
        changed, _ = scores.score_put(
            actor=_actor(request),
            enrollment_id=row.enrollment_id,
            exam=row.exam,
            score=changes["score"],
            expected=scores.ScoreRead(row_id=row.pk, version=expected_version),
        )
        return changed

    @admin.action(description="Remove the chosen scores")
    def remove(self, request: HttpRequest, queryset: QuerySet[ExamScore]) -> HttpResponse | None:
        def act(row: ExamScore, _given: Mapping[str, Any]) -> None:
            scores.score_delete(actor=_actor(request), enrollment_id=row.enrollment_id, exam=row.exam)

        return self.ask_and_carry_out(
            request,
            queryset,
            action="remove",
            title="Remove, so that these exams are missing",
            form=Confirmation,
            act=act,
            done="removed",
        )


class RevokedFilter(TimeSetFilter):
    title = "standing"
    parameter_name = "revoked"
    column = "revoked_at"
    words = ("Stands", "Revoked")


class RevocableAdmin(OfEnrollmentAdmin):
    """Issued here, never edited; revoked with a reason."""

    date_hierarchy = "issued_at"
    search_fields: ClassVar[tuple[str, ...]] = (*_CADET_SEARCH, "reason")
    search_help_text = f"{_CADET_SEARCH_HELP}, or words of the reason"
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related(*_OF_ENROLLMENT, "issued_by", "revoked_by")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = list(super().get_fields(request, obj))
        if obj is None:
            return shown
        history = ("issued_by", "issued_at", "revoked_by", "revoked_at", "revoke_reason")
        return ["cadet", "term", *shown[1:], *history]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("cadet", "term", "issued_at")

    def row_actions(self, row: Any) -> Mapping[str, str]:
        return {"revoke": "Revoke"} if row.revoked_at is None and not self.is_frozen(row) else {}

    @admin.display(description="stands", boolean=True, ordering="revoked_at")
    def stands(self, row: Any) -> bool:
        return row.revoked_at is None

    def take_back(self, request: HttpRequest, row: Any, *, reason: str) -> object:
        raise NotImplementedError

    @admin.action(description="Revoke what is chosen")
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        def act(row: Any, given: Mapping[str, Any]) -> object:
            return self.take_back(request, row, reason=given["reason"])

        return self.ask_and_carry_out(
            request, queryset, action="revoke", title="Revoke", form=ReasonForm, act=act, done="revoked"
        )


@admin.register(MeritDemerit)
class MeritDemeritAdmin(RevocableAdmin):
    list_display = ("cadet", "term", "kind", "points", "reason", "issued_by", "issued_at", "stands")
    list_filter = ("kind", RevokedFilter, "enrollment__term", "enrollment__company")
    fields = ("enrollment", "kind", "points", "reason")

    def name_of(self, row: MeritDemerit) -> str:
        return f"{super().name_of(row)}: {row.points} {row.kind} points, {row.reason}"

    def create_row(self, request: HttpRequest, fields: dict[str, Any]) -> MeritDemerit:
        return merits.merit_issue(actor=_actor(request), **keys_of_related(MeritDemerit, fields))

    def take_back(self, request: HttpRequest, row: MeritDemerit, *, reason: str) -> object:
        return merits.merit_revoke(actor=_actor(request), merit_id=row.pk, reason=reason)


@admin.register(Adjustment)
class AdjustmentAdmin(RevocableAdmin):
    list_display = ("cadet", "term", "component", "points", "reason", "issued_by", "issued_at", "stands")
    list_filter = ("component", RevokedFilter, "enrollment__term", "enrollment__company")
    fields = ("enrollment", "component", "points", "reason")

    def name_of(self, row: Adjustment) -> str:
        return f"{super().name_of(row)}: {row.points} points of {row.component}, {row.reason}"

    def create_row(self, request: HttpRequest, fields: dict[str, Any]) -> Adjustment:
        return merits.adjustment_issue(actor=_actor(request), **keys_of_related(Adjustment, fields))

    def take_back(self, request: HttpRequest, row: Adjustment, *, reason: str) -> object:
        return merits.adjustment_revoke(actor=_actor(request), adjustment_id=row.pk, reason=reason)


# --- Grade sheets -----------------------------------------------------------------------------------------------------

_UNREADABLE = "This cannot be read. Verify the sheets of the term: somebody has written over it."
_Lines = Sequence[tuple[str, str]]


class SupersededFilter(TimeSetFilter):
    title = "in force"
    parameter_name = "superseded"
    column = "superseded_at"
    words = ("In force", "Superseded")


@admin.register(GradeSheet)
class GradeSheetAdmin(ReadOnlyAdmin):
    list_display = ("cadet", "term", "revision", "total", "equivalent", "remark", "frozen_at", "in_force")
    list_filter = (SupersededFilter, "enrollment__term", "enrollment__company")
    list_per_page = 50
    date_hierarchy = "frozen_at"
    ordering = ("-id",)
    search_fields = _CADET_SEARCH
    search_help_text = _CADET_SEARCH_HELP
    fields = (
        "cadet",
        "term",
        "revision",
        "in_force",
        "result_shown",
        "inputs_shown",
        "frozen_at",
        "frozen_by",
        "superseded_at",
        "digest",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[GradeSheet]:
        return super().get_queryset(request).select_related(*_OF_ENROLLMENT, "frozen_by")

    @admin.display(description="cadet", ordering="enrollment__cadet__last_name")
    def cadet(self, sheet: GradeSheet) -> str:
        return str(sheet.enrollment.cadet)

    @admin.display(description="term", ordering="enrollment__term__starts_on")
    def term(self, sheet: GradeSheet) -> str:
        return str(sheet.enrollment.term)

    def name_of(self, row: GradeSheet) -> str:
        return f"{row.enrollment.cadet}, {row.enrollment.term}, revision {row.revision}"

    @admin.display(description="in force", boolean=True, ordering="superseded_at")
    def in_force(self, sheet: GradeSheet) -> bool:
        return sheet.superseded_at is None

    @admin.display(description="total")
    def total(self, sheet: GradeSheet) -> str | None:
        grade = _grade(sheet)
        return rules.points_text(grade.total) if grade is not None else None

    @admin.display(description="equivalent")
    def equivalent(self, sheet: GradeSheet) -> str | None:
        grade = _grade(sheet)
        return grade.equivalent if grade is not None else None

    @admin.display(description="remark")
    def remark(self, sheet: GradeSheet) -> str | None:
        grade = _grade(sheet)
        return grade.remark if grade is not None else None

    @admin.display(description="result")
    def result_shown(self, sheet: GradeSheet) -> str:
        grade = _grade(sheet)
        return _table(_result_lines(grade)) if grade is not None else _UNREADABLE

    @admin.display(description="made of")
    def inputs_shown(self, sheet: GradeSheet) -> str:
        try:
            return _table(_inputs_lines(rules.inputs_of_record(sheet.inputs)))
        except rules.UNREADABLE:
            return _UNREADABLE


def _grade(sheet: GradeSheet) -> rules.Grade | None:
    try:
        return rules.grade_of_record(sheet.result)
    except rules.UNREADABLE:
        return None


def _result_lines(grade: rules.Grade) -> _Lines:
    attendance, aptitude, subject = grade.attendance, grade.aptitude, grade.subject
    return [
        ("Attendance", f"{_points(attendance)}: {attendance.attended} of {attendance.held} days attended"),
        ("Aptitude", f"{_points(aptitude)}: {aptitude.merits} merits, {aptitude.demerits} demerits"),
        ("Merits unused", str(aptitude.merits_unused)),
        ("Subject", f"{_points(subject)}: missing {', '.join(subject.missing) or 'nothing'}"),
        ("Total", rules.points_text(grade.total)),
        ("Equivalent", grade.equivalent or "None"),
        ("Remark", grade.remark),
    ]


def _points(part: rules.Part) -> str:
    reached = "not graded" if part.points is None else rules.points_text(part.points)
    by_hand = f", {rules.points_text(part.adjustment)} of them by hand" if part.adjustments else ""
    return f"{reached} of {rules.points_text(part.maximum)}{by_hand}"


def _inputs_lines(inputs: rules.Inputs) -> _Lines:
    policy = inputs.policy
    weights = ", ".join(
        f"{component} {rules.points_text(getattr(policy, f'{component}_weight'))}" for component in rules.COMPONENTS
    )
    return [
        ("Status of the enrollment", inputs.status),
        ("Days held", str(inputs.held)),
        *((f"Days {status}", str(inputs.by_status.get(status, 0))) for status in STATUSES),
        *((f"Exam: {exam}", str(inputs.exams.get(exam, "missing"))) for exam in rules.EXAMS),
        *((f"{award.kind.capitalize()} {award.id}", f"{award.points} points") for award in inputs.awards),
        *(
            (f"Adjustment {one.id}", f"{one.points} points of {one.component}: {one.reason}")
            for one in inputs.adjustments
        ),
        ("Weights", weights),
        ("Counts as attended", ", ".join(policy.attended_statuses)),
        ("Equivalents", ", ".join(f"{band.equivalent} from {band.lower_bound}" for band in policy.bands)),
        ("Failing", policy.failing_equivalent),
    ]


def _table(lines: _Lines) -> SafeString:
    return format_html("<table>{}</table>", format_html_join("", '<tr><th scope="row">{}</th><td>{}</td></tr>', lines))


def _actor(request: HttpRequest) -> Principal:
    return principal_of_user(request.user)  # type: ignore[arg-type]  # the site has let in an account of ours
