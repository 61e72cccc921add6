"""What views of files need beyond others: forms that bring one, and answers that are one."""

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import NotAcceptable, ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import MultiPartParser

from core.errors import FieldError, ValidationFailed
from core.uploads import LARGEST_DOCUMENT, LARGEST_IMAGE, too_large

_ENVELOPE = 65_536  # bytes that a form may have around its file: boundaries, headers, short fields


class UploadParser(MultiPartParser):
    """A form with one file. One whose length is beyond `largest_bytes` is refused before anything of it is read.

    Raises ContentTooLarge, and ValidationFailed (`form_malformed`) for a form that cannot be taken apart.
    """

    largest_bytes = LARGEST_DOCUMENT

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        meta = parser_context["request"].META if parser_context else {}
        length = str(meta.get("CONTENT_LENGTH") or "0")
        if length.isascii() and length.isdigit() and int(length[:18]) > self.largest_bytes + _ENVELOPE:
            raise too_large(self.largest_bytes)
        try:
            return super().parse(stream, media_type=media_type, parser_context=parser_context)
        except ParseError as error:
            raise ValidationFailed(
                "The form cannot be taken apart. Send multipart/form-data as browsers write it, with its boundary.",
                code="form_malformed",
                errors=[FieldError(field="body", code="form_malformed", detail=str(error.detail))],
            ) from error


class ImageUploadParser(UploadParser):
    largest_bytes = LARGEST_IMAGE


class FileNegotiation(DefaultContentNegotiation):
    """For views that answer a file whatever media type is asked for (RFC 9110, 12.5.1); problems stay JSON.

    REST framework knows only its renderers, and would refuse `Accept: image/jpeg` where an image is the answer.
    """

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> Any:
        try:
            return super().select_renderer(request, renderers, format_suffix)
        except NotAcceptable:
            return renderers[0], renderers[0].media_type
