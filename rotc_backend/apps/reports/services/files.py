"""What the files of reports are, for whoever hands them out; those who write them are loaded by the worker only."""

from apps.reports import rules
from core.spreadsheets.writing import MEDIA_TYPES

CONTENT_TYPES = {
    rules.PDF: "application/pdf",
    rules.XLSX: MEDIA_TYPES[rules.XLSX],
    rules.CSV: MEDIA_TYPES[rules.CSV],
}
