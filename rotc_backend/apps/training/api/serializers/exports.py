from rest_framework import serializers

from apps.training.api.serializers.attendance import RosterQuery
from core.spreadsheets.writing import CSV, FILE_FORMATS


class AttendanceExportQuery(RosterQuery):
    file_format = serializers.ChoiceField(choices=FILE_FORMATS, default=CSV, help_text="csv unless told.")
