from django.contrib import admin

from apps.grading.models import Adjustment, ExamScore, GradeSheet, GradingPolicy, MeritDemerit
from core.admin import ReadOnlyAdmin


@admin.register(GradingPolicy)
class GradingPolicyAdmin(ReadOnlyAdmin):
    list_display = ("id", "term", "attendance_weight", "aptitude_weight", "subject_weight", "version", "updated_at")
    list_select_related = ("term",)


@admin.register(ExamScore)
class ExamScoreAdmin(ReadOnlyAdmin):
    list_display = ("id", "enrollment", "exam", "score", "recorded_by", "updated_at")
    list_select_related = ("enrollment", "recorded_by")
    list_filter = ("exam", "enrollment__term")
    search_fields = ("enrollment__cadet__student_id", "enrollment__cadet__last_name")


@admin.register(MeritDemerit)
class MeritDemeritAdmin(ReadOnlyAdmin):
    list_display = ("id", "enrollment", "kind", "points", "reason", "issued_by", "issued_at", "revoked_at")
    list_select_related = ("enrollment", "issued_by")
    list_filter = ("kind", ("revoked_at", admin.EmptyFieldListFilter), "enrollment__term")
    search_fields = ("enrollment__cadet__student_id", "enrollment__cadet__last_name", "reason")


@admin.register(Adjustment)
class AdjustmentAdmin(ReadOnlyAdmin):
    list_display = ("id", "enrollment", "component", "points", "reason", "issued_by", "issued_at", "revoked_at")
    list_select_related = ("enrollment", "issued_by")
    list_filter = ("component", ("revoked_at", admin.EmptyFieldListFilter), "enrollment__term")
    search_fields = ("enrollment__cadet__student_id", "enrollment__cadet__last_name", "reason")


@admin.register(GradeSheet)
class GradeSheetAdmin(ReadOnlyAdmin):
    list_display = ("id", "enrollment", "revision", "frozen_at", "frozen_by", "superseded_at")
    list_select_related = ("enrollment", "frozen_by")
    list_filter = (("superseded_at", admin.EmptyFieldListFilter), "enrollment__term")
    search_fields = ("enrollment__cadet__student_id", "enrollment__cadet__last_name")
