from rest_framework import serializers

from apps.grading.api.serializers.grades import UnitQuery
from core.spreadsheets.writing import CSV, FILE_FORMATS


class ScoresExportQuery(UnitQuery):
    file_format = serializers.ChoiceField(choices=FILE_FORMATS, default=CSV, help_text="csv unless told.")
