"""Fields of names and numbers, as people type and paste them."""

import re
import unicodedata
from typing import Any

from rest_framework import serializers

LARGEST_ID = 2**63 - 1
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


class LineField(serializers.CharField):
    """One line of text. Marks are composed (NFC) and runs of spaces become one, so that equal names are equal."""

    default_error_messages = {"control_character": "Write it in one line, without invisible characters."}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if _CONTROL.search(text):
            self.fail("control_character")
        return " ".join(unicodedata.normalize("NFC", text).split())


class StudentIdField(serializers.RegexField):
    def __init__(self, **options: Any) -> None:
        super().__init__(
            r"^[A-Za-z0-9][A-Za-z0-9._/-]*\Z",
            max_length=32,
            error_messages={"invalid": "Write letters, digits, and . _ / - between."},
            **options,
        )


class ContactNumberField(serializers.RegexField):
    def __init__(self, **options: Any) -> None:
        super().__init__(
            r"^[0-9+() ./-]+\Z",
            max_length=32,
            error_messages={"invalid": "Write digits, and + ( ) . / - or spaces between."},
            **options,
        )


def id_field(**options: Any) -> serializers.IntegerField:
    """The id of another row; whether it exists is for the service to say."""
    return serializers.IntegerField(min_value=1, max_value=LARGEST_ID, **options)
