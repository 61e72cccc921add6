from django.contrib import admin

from apps.training.models import AttendanceRecord, ExcuseLetter, StaffAttendanceRecord, TrainingDay
from core.admin import ReadOnlyAdmin


@admin.register(TrainingDay)
class TrainingDayAdmin(ReadOnlyAdmin):
    list_display = ("id", "date", "title", "term", "cancelled_at")
    list_select_related = ("term",)
    list_filter = ("term", ("cancelled_at", admin.EmptyFieldListFilter))
    search_fields = ("title", "location")
    date_hierarchy = "date"


@admin.register(AttendanceRecord)
class AttendanceRecordAdmin(ReadOnlyAdmin):
    list_display = ("id", "training_day", "cadet", "status", "source", "updated_at")
    list_select_related = ("training_day", "cadet")
    list_filter = ("status", "source", "training_day__term")
    search_fields = ("cadet__student_id", "cadet__last_name")


@admin.register(StaffAttendanceRecord)
class StaffAttendanceRecordAdmin(ReadOnlyAdmin):
    list_display = ("id", "training_day", "staff_profile", "status", "source", "updated_at")
    list_select_related = ("training_day", "staff_profile")
    list_filter = ("status", "source", "training_day__term")
    search_fields = ("staff_profile__last_name",)


@admin.register(ExcuseLetter)
class ExcuseLetterAdmin(ReadOnlyAdmin):
    list_display = ("id", "cadet", "date_absent", "state", "decided_by", "decided_at")
    list_select_related = ("cadet", "decided_by")
    list_filter = ("state", "term")
    search_fields = ("cadet__student_id", "cadet__last_name")
    date_hierarchy = "date_absent"
