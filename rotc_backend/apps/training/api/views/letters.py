from collections.abc import Sequence

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.accounts.authentication import CadetOnly, SignedIn, StaffOnly, caller_of
from apps.pictures.rules import FILE_PROCESSING, FILE_REFUSED, being_prepared
from apps.training.api.serializers import letters as serializers
from apps.training.models import ExcuseLetter
from apps.training.selectors import letters as selectors
from apps.training.services import letters as services
from core.errors import DomainError, NotFound
from core.file_views import FileNegotiation, UploadParser
from core.http import Pages, entity_tag
from core.parsers import BoundedJsonParser
from core.serializers import query_of
from core.uploads import file_answer

_TAGS = ["excuse letters"]
_LETTER = {
    "id": 57,
    "cadet_id": 118,
    "student_id": "2025-0118",
    "cadet_name": "Macaraeg, Liza Santos",
    "company": {"id": 1, "name": "Alpha"},
    "term_id": 4,
    "date_absent": "2026-08-22",
    "training_day_id": None,
    "reason": "Fever since Thursday; the clinic's certificate is attached.",
    "has_file": True,
    "file_state": "ready",
    "file_name": "certificate.pdf",
    "file_type": "application/pdf",
    "state": "pending",
    "decided_by_name": None,
    "decided_at": None,
    "decision_note": "",
    "version": 1,
    "created_at": "2026-08-21T10:02:11.019Z",
    "updated_at": "2026-08-21T10:02:11.019Z",
}
_PLAIN = {**_LETTER, "has_file": False, "file_state": None, "file_name": "", "file_type": ""}
_PICTURED = {
    **_LETTER,
    "has_file": False,
    "file_state": "processing",
    "file_name": "certificate.jpg",
    "file_type": "image/jpeg",
}
_DECIDED = {
    **_LETTER,
    "state": "approved",
    "decided_by_name": "Corazon Dimaporo",
    "decided_at": "2026-08-22T00:40:00.000Z",
    "decision_note": "Get well soon.",
    "version": 2,
    "updated_at": "2026-08-22T00:40:00.000Z",
}
_REJECTED = {**_DECIDED, "state": "rejected", "decision_note": "The certificate is of another date."}
_WITHDRAWN = {**_LETTER, "state": "withdrawn", "version": 2, "updated_at": "2026-08-21T11:00:00.000Z"}
_WHO = "Staff see every letter, a cadet the own ones; another's is not found. "
_DECIDE = (
    "For administrators and for staff who are Commandant, Assistant Commandant, NSTP Director, ROTC Coordinator or "
    "Admin NCO (others: 403 `permission_denied`); never for the own letter (403 `own_letter`). "
)
_SETTLED = "`letter_decided`: somebody has decided it already. `letter_withdrawn`: the cadet has withdrawn it."


def _lacking(letter: ExcuseLetter) -> DomainError:
    """Why there is no file to open."""
    if letter.file_sent == FILE_PROCESSING:
        return being_prepared()
    if letter.file_sent == FILE_REFUSED:
        return NotFound("The picture that was sent could not be used; the cadet was told why.", code="file_refused")
    return NotFound("This letter came without a file.", code="letter_without_file")


def _answer(letter: ExcuseLetter, request: Request, *, status: int = 200) -> Response:
    # Read again as the caller sees it: with the names that the list shows as well.
    seen = selectors.letter_visible_to(principal=caller_of(request), letter_id=letter.pk)
    headers = {"ETag": entity_tag(seen.version)}
    if status == 201:
        headers["Location"] = reverse("excuse-letter", args=[seen.pk])
    return Response(serializers.LetterOutput(seen).data, status=status, headers=headers)


class ExcuseLettersView(APIView):
    pagination_class = Pages
    parser_classes: Sequence[type[BaseParser]] = (BoundedJsonParser, UploadParser)

    @property
    def permission_classes(self) -> tuple[type[BasePermission], ...]:  # type: ignore[override]  # two operations, one path
        return (CadetOnly,) if self.request is not None and self.request.method == "POST" else (SignedIn,)

    @extend_schema(
        operation_id="excuse_letters_list",
        tags=_TAGS,
        summary="Excuse letters, newest first",
        description=f"{_WHO}Problems: 404 with `no_cadet_record` for a cadet's account without a cadet.",
        parameters=[serializers.LettersQuery],
        responses={
            200: serializers.LetterOutput(many=True),
            404: OpenApiResponse(description="`no_cadet_record`: the account is not linked to a cadet."),
        },
        examples=[OpenApiExample("a page", response_only=True, status_codes=["200"], value=_LETTER)],
    )
    def get(self, request: Request) -> Response:
        query = query_of(request, serializers.LettersQuery)
        letters = selectors.letters_visible_to(
            principal=caller_of(request),
            state=query.get("state"),
            term_id=query.get("term"),
            company_id=query.get("company"),
            cadet_id=query.get("cadet"),
        )
        pages = Pages()
        rows = pages.paginate_queryset(letters, request, self)
        return pages.get_paginated_response(serializers.LetterOutput(rows, many=True).data)

    @extend_schema(
        operation_id="excuse_letters_submit",
        tags=_TAGS,
        summary="Hand in an excuse letter",
        description=(
            "For cadets, for a date of the current term that they are enrolled in. As JSON, or as a form with a file: "
            "PDF, picture (JPEG, PNG, WebP) or DOCX without macros, told by its content, at most 20 MB. A document can "
            "be opened at once. A picture is written anew in the background, upright and without metadata: "
            "`file_state` is `processing` until `letter.file_changed` says `ready`, some seconds later, or `refused`; "
            "then the cadet is notified why. Sockets of the staff hear `letter.submitted`. Problems: 400 with "
            "`outside_term` or `other_date` at `date_absent`, `unknown_training_day` or `day_cancelled` at "
            "`training_day_id`, `file_type`, `file_malformed` or `image_too_large` at `file` (animations are refused; "
            "at most 80 megapixels as baseline JPEG, 12 as PNG or progressive JPEG, 4 as WebP); 404 with "
            "`no_cadet_record`, `no_current_term` or `not_enrolled`; 503 with "
            "`storage_unavailable` for a document."
        ),
        request={"application/json": serializers.LetterInput, "multipart/form-data": serializers.LetterUpload},
        responses={
            201: OpenApiResponse(serializers.LetterOutput, description="Created; Location gives its address."),
            404: OpenApiResponse(description="`no_cadet_record`, `no_current_term` or `not_enrolled`."),
            409: OpenApiResponse(
                description="`letter_pending`: a letter for this date waits already. `term_closed`: too late. "
                "`term_not_current`: another term became the current one meanwhile."
            ),
        },
        examples=[
            OpenApiExample(
                "without a file",
                request_only=True,
                media_type="application/json",
                value={"date_absent": _LETTER["date_absent"], "reason": _LETTER["reason"]},
            ),
            OpenApiExample("handed in", response_only=True, status_codes=["201"], value=_PLAIN),
            OpenApiExample(
                "with a photographed certificate", response_only=True, status_codes=["201"], value=_PICTURED
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        is_form = (request.content_type or "").startswith("multipart/")
        given = (serializers.LetterUpload if is_form else serializers.LetterInput)(data=request.data)
        given.is_valid(raise_exception=True)
        fields = dict(given.validated_data)
        upload = fields.pop("file", None)
        letter = services.letter_submit(actor=caller_of(request), upload=upload, **fields)
        return _answer(letter, request, status=201)


class ExcuseLetterView(APIView):
    permission_classes = (SignedIn,)

    @extend_schema(
        operation_id="excuse_letters_retrieve",
        tags=_TAGS,
        summary="One excuse letter",
        description=_WHO,
        responses={200: serializers.LetterOutput},
        examples=[OpenApiExample("pending", response_only=True, status_codes=["200"], value=_LETTER)],
    )
    def get(self, request: Request, letter_id: int) -> Response:
        letter = selectors.letter_visible_to(principal=caller_of(request), letter_id=letter_id)
        return Response(serializers.LetterOutput(letter).data, headers={"ETag": entity_tag(letter.version)})


class ExcuseLetterFileView(APIView):
    permission_classes = (SignedIn,)
    content_negotiation_class = FileNegotiation

    @extend_schema(
        operation_id="excuse_letters_file",
        tags=_TAGS,
        summary="The file of an excuse letter",
        description=(
            f"{_WHO}A picture was written anew; a PDF or a DOCX is as it was sent, its kind checked, and nobody has "
            "looked for viruses. Problems: 404 with `letter_without_file`, `file_refused` if the picture that was sent "
            "could not be used, or `file_missing` if the storage has lost it."
        ),
        responses={
            (200, "application/pdf"): OpenApiTypes.BINARY,
            (200, "image/jpeg"): OpenApiTypes.BINARY,
            (200, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"): OpenApiTypes.BINARY,
            302: OpenApiResponse(description="To a signed link that works for some minutes."),
            409: OpenApiResponse(description="`file_processing`: the picture is being prepared. Ask again in seconds."),
        },
    )
    def get(self, request: Request, letter_id: int) -> HttpResponseBase:
        letter = selectors.letter_visible_to(principal=caller_of(request), letter_id=letter_id)
        if not letter.file:
            raise _lacking(letter)
        return file_answer(name=letter.file, content_type=letter.file_type, download_name=letter.file_name)


class ExcuseLetterApproveView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="excuse_letters_approve",
        tags=_TAGS,
        summary="Approve an excuse letter",
        description=(
            f"{_DECIDE}Marks the day of the letter, or every training day of its date, `excused` in the same write; a "
            "record that exists keeps its times. A day that is added, moved there or reinstated later is marked then. "
            "The cadet is notified; sockets hear `letter.decided` and `attendance.marked`."
        ),
        request=serializers.ApproveInput,
        responses={
            200: serializers.LetterOutput,
            409: OpenApiResponse(description=f"{_SETTLED} `term_closed`: its grades are frozen."),
        },
        examples=[
            OpenApiExample("with a word", request_only=True, value={"note": _DECIDED["decision_note"]}),
            OpenApiExample("approved", response_only=True, status_codes=["200"], value=_DECIDED),
        ],
    )
    def post(self, request: Request, letter_id: int) -> Response:
        given = serializers.ApproveInput(data=request.data)
        given.is_valid(raise_exception=True)
        letter = services.letter_approve(actor=caller_of(request), letter_id=letter_id, **given.validated_data)
        return _answer(letter, request)


class ExcuseLetterRejectView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="excuse_letters_reject",
        tags=_TAGS,
        summary="Reject an excuse letter",
        description=(
            f"{_DECIDE}Attendance stays as it is. The cadet is notified with the note; sockets hear `letter.decided`."
        ),
        request=serializers.RejectInput,
        responses={200: serializers.LetterOutput, 409: OpenApiResponse(description=_SETTLED)},
        examples=[
            OpenApiExample("why", request_only=True, value={"note": _REJECTED["decision_note"]}),
            OpenApiExample("rejected", response_only=True, status_codes=["200"], value=_REJECTED),
        ],
    )
    def post(self, request: Request, letter_id: int) -> Response:
        given = serializers.RejectInput(data=request.data)
        given.is_valid(raise_exception=True)
        letter = services.letter_reject(actor=caller_of(request), letter_id=letter_id, **given.validated_data)
        return _answer(letter, request)


class ExcuseLetterWithdrawView(APIView):
    permission_classes = (CadetOnly,)

    @extend_schema(
        operation_id="excuse_letters_withdraw",
        tags=_TAGS,
        summary="Withdraw one's own excuse letter",
        description=(
            "For cadets, while nobody has decided it; another's letter is not found. Sockets hear `letter.withdrawn`."
        ),
        request=None,
        responses={200: serializers.LetterOutput, 409: OpenApiResponse(description=_SETTLED)},
        examples=[OpenApiExample("withdrawn", response_only=True, status_codes=["200"], value=_WITHDRAWN)],
    )
    def post(self, request: Request, letter_id: int) -> Response:
        letter = services.letter_withdraw(actor=caller_of(request), letter_id=letter_id)
        return _answer(letter, request)
