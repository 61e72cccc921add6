from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

LARGEST_ID = 2**63 - 1


def id_field(**options: Any) -> serializers.IntegerField:
    """A row's id in a body or a query; one that no row can have is refused before it reaches the database."""
    return serializers.IntegerField(min_value=1, max_value=LARGEST_ID, **options)


class BoundedListField(serializers.ListField):
    """A list that is counted before its entries are looked at: otherwise a huge one would be, entry by entry."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if self.max_length is not None and isinstance(data, list) and len(data) > self.max_length:
            detail = f"Send at most {self.max_length}."
            raise serializers.ValidationError([ErrorDetail(detail, code="max_length")])
        entries: list[Any] = super().to_internal_value(data)
        return entries
