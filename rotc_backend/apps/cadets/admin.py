from django.contrib import admin

from apps.cadets.models import Cadet, Company, Enrollment, Platoon, StaffProfile, Term
from core.admin import ReadOnlyAdmin

# Looked at here, changed through the API: there every change is checked, audited and told.


@admin.register(Term)
class TermAdmin(ReadOnlyAdmin):
    list_display = ("id", "school_year", "semester", "starts_on", "ends_on", "is_current", "closed_at")


@admin.register(Company, Platoon)
class ListEntryAdmin(ReadOnlyAdmin):
    list_display = ("id", "name", "position", "archived_at")


@admin.register(Cadet)
class CadetAdmin(ReadOnlyAdmin):
    list_display = ("id", "student_id", "last_name", "first_name", "user", "archived_at")
    list_select_related = ("user",)
    list_filter = (("archived_at", admin.EmptyFieldListFilter), "year_level")
    search_fields = ("student_id", "last_name", "first_name", "search_text")


@admin.register(Enrollment)
class EnrollmentAdmin(ReadOnlyAdmin):
    list_display = ("id", "cadet", "term", "company", "platoon", "level", "status")
    list_select_related = ("cadet", "term", "company", "platoon")
    list_filter = ("term", "company", "level", "status")
    search_fields = ("cadet__student_id", "cadet__last_name", "cadet__first_name")


@admin.register(StaffProfile)
class StaffProfileAdmin(ReadOnlyAdmin):
    list_display = ("id", "rank", "last_name", "first_name", "function", "user", "archived_at")
    list_select_related = ("user",)
    list_filter = ("function", ("archived_at", admin.EmptyFieldListFilter))
    search_fields = ("last_name", "first_name", "email", "afpsn")
