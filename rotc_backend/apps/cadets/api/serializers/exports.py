from rest_framework import serializers

from apps.cadets.api.serializers.cadets import CadetsQuery
from core.spreadsheets.writing import CSV, FILE_FORMATS


class CadetsExportQuery(CadetsQuery):
    file_format = serializers.ChoiceField(choices=FILE_FORMATS, default=CSV, help_text="csv unless told.")
