"""Fields and bases that every app's serializers share."""

import datetime as dt
import decimal
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from core.clock import iso

_HUNDREDTH = decimal.Decimal("0.01")


class InstantField(serializers.DateTimeField):
    """Written as events write it, so that what a client was told equals what it fetches."""

    def to_representation(self, value: dt.datetime) -> str:
        return iso(value)


class PointsField(serializers.DecimalField):
    """Grades, scores and points: a decimal string with two decimals, cut and never rounded ("94.98")."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_digits": 8, "decimal_places": 2, **options})

    def to_representation(self, value: Any) -> str:
        with decimal.localcontext() as context:
            context.prec = 50
            return str(decimal.Decimal(value).quantize(_HUNDREDTH, rounding=decimal.ROUND_DOWN))


class StrictSerializer(serializers.Serializer[Any]):
    """Input that refuses fields which it does not know: a misspelt optional one would be ignored in silence."""

    default_error_messages = {"unknown_field": "There is no such field. Known are: {known}."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        writable = [name for name, field in self.fields.items() if not field.read_only]
        unknown = [name for name in data if name not in writable] if isinstance(data, dict) else []
        if unknown:
            known = ", ".join(writable)
            raise serializers.ValidationError(
                {
                    str(name): [
                        ErrorDetail(self.error_messages["unknown_field"].format(known=known), code="unknown_field")
                    ]
                    for name in unknown
                }
            )
        fields: dict[str, Any] = super().to_internal_value(data)
        return fields


class QueryParameters(StrictSerializer):
    """The filters of a list. `core.http.Pages` reads `page` and `page_size` itself; here they are only known.

    Views read it by `query_of(request, CadetsQuery)` and document it by `parameters=[CadetsQuery]`.
    """

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        return super().to_internal_value(
            {name: data[name] for name in data if name not in {"page", "page_size"}}  # of repeated ones the last counts
        )


def query_of(request: Any, parameters: type[QueryParameters]) -> dict[str, Any]:
    """The validated filters of a request's query. Raises REST framework's ValidationError naming the parameter."""
    given = parameters(data=request.query_params)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)
