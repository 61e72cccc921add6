"""Fields of names and numbers, as people type and paste them."""

from typing import Any

from rest_framework import serializers

from apps.cadets import rules

LARGEST_ID = 2**63 - 1


class LineField(serializers.CharField):
    """One line of text. Marks are composed (NFC) and runs of spaces become one, so that equal names are equal."""

    default_error_messages = {"control_character": rules.INVISIBLE_WORDS}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if rules.INVISIBLE.search(text):
            self.fail("control_character")
        return rules.composed(text)


class StudentIdField(serializers.RegexField):
    def __init__(self, **options: Any) -> None:
        super().__init__(
            rf"^{rules.STUDENT_ID}\Z",
            max_length=32,
            error_messages={"invalid": rules.STUDENT_ID_WORDS},
            **options,
        )


class ContactNumberField(serializers.RegexField):
    def __init__(self, **options: Any) -> None:
        super().__init__(
            rf"^{rules.CONTACT_NUMBER}\Z",
            max_length=32,
            error_messages={"invalid": rules.CONTACT_NUMBER_WORDS},
            **options,
        )


def id_field(**options: Any) -> serializers.IntegerField:
    """The id of another row; whether it exists is for the service to say."""
    return serializers.IntegerField(min_value=1, max_value=LARGEST_ID, **options)
