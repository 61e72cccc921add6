from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from apps.accounts.authentication import SignedIn, StaffOnly, caller_of
from apps.cadets.rules import term_version
from apps.cadets.selectors import term_by_id, term_current
from apps.training.api.serializers import days as serializers
from apps.training.models import TrainingDay
from apps.training.selectors.days import training_day_by_id, training_days
from apps.training.selectors.roster import counts_of_day
from apps.training.services import days as services
from core.cache import read_through
from core.http import Pages, entity_tag, expected_version, page_of
from core.openapi import IF_MATCH
from core.serializers import query_of

CACHE_SECONDS = 300

_TAGS = ["training days"]
_DAY = {
    "id": 31,
    "term_id": 4,
    "date": "2026-08-22",
    "title": "Basic drill",
    "description": "Facings and marching. Bring water.",
    "location": "Parade ground",
    "late_after": "07:30:00",
    "cancelled_at": None,
    "cancel_reason": "",
    "version": 1,
    "created_at": "2026-08-01T02:11:09.114Z",
    "updated_at": "2026-08-01T02:11:09.114Z",
}
_MOVED = {**_DAY, "date": "2026-08-23", "version": 2, "updated_at": "2026-08-20T01:00:00.000Z"}
_CANCELLED = {
    **_DAY,
    "cancelled_at": "2026-08-21T09:30:00.000Z",
    "cancel_reason": "Typhoon signal no. 2",
    "version": 2,
    "updated_at": "2026-08-21T09:30:00.000Z",
}
_DETAIL = {**_DAY, "attendance": {"present": 251, "late": 12, "excused": 4, "absent": 20, "unmarked": 3}}
_TERM_CLOSED = "`term_closed`: the grades of this term are frozen."
_EXCUSES = (
    "Approved excuse letters for its date mark their cadets `excused` on it in the same write. Sockets of everybody "
)


def _answer(day: TrainingDay, *, status: int = 200) -> Response:
    headers = {"ETag": entity_tag(day.version)}
    if status == 201:
        headers["Location"] = reverse("training-day", args=[day.pk])
    return Response(serializers.TrainingDayOutput(day).data, status=status, headers=headers)


class TrainingDaysView(APIView):
    pagination_class = Pages

    @property
    def permission_classes(self) -> tuple[type[BasePermission], ...]:  # type: ignore[override]  # two operations, one path
        return (StaffOnly,) if self.request is not None and self.request.method == "POST" else (SignedIn,)

    @extend_schema(
        operation_id="training_days_list",
        tags=_TAGS,
        summary="The training days of a term, by date",
        description=(
            "Everybody who is signed in may read it; cancelled days are in it unless they are filtered out. Answered "
            "from the cache where possible. Problems: 404 with `no_current_term` while no term is current and none is "
            "asked for, and for a term that does not exist."
        ),
        parameters=[serializers.TrainingDaysQuery],
        responses={
            200: serializers.TrainingDayOutput(many=True),
            404: OpenApiResponse(description="`no_current_term`, or there is no such term."),
        },
        examples=[OpenApiExample("a page", response_only=True, status_codes=["200"], value=_DAY)],
    )
    def get(self, request: Request) -> Response:
        query = query_of(request, serializers.TrainingDaysQuery)
        first, last, cancelled = query.get("from"), query.get("to"), query.get("cancelled")
        number, size = page_of(request)
        # The term first: no key is made in the cache for one that does not exist.
        term_id = (term_by_id(term_id=query["term"]) if "term" in query else term_current()).pk

        def page() -> Any:
            pages = Pages()
            days = training_days(term_id=term_id, first=first, last=last, cancelled=cancelled)
            rows = pages.paginate_queryset(days, request, self)
            return pages.get_paginated_response(serializers.TrainingDayOutput(rows, many=True).data).data

        return Response(
            read_through(
                key=f"training-days:{term_id}:{first}:{last}:{cancelled}:{number}:{size}",
                versions=[term_version(term_id)],
                ttl=CACHE_SECONDS,
                compute=page,
            )
        )

    @extend_schema(
        operation_id="training_days_create",
        tags=_TAGS,
        summary="Add a training day",
        description=(
            "For training staff and administrators. Several days on a date are possible. "
            f"{_EXCUSES} hear `training_day.created`. Problems: 400 with `outside_term` at `date` and `unknown_term` "
            "at `term_id`; 404 with `no_current_term`; 409 with `term_closed`."
        ),
        request=serializers.TrainingDayInput,
        responses={
            201: OpenApiResponse(serializers.TrainingDayOutput, description="Created; Location gives its address."),
            404: OpenApiResponse(description="No current term."),
            409: OpenApiResponse(description=_TERM_CLOSED),
        },
        examples=[
            OpenApiExample(
                "a Saturday",
                request_only=True,
                value={name: _DAY[name] for name in ("date", "title", "description", "location", "late_after")},
            ),
            OpenApiExample("created", response_only=True, status_codes=["201"], value=_DAY),
        ],
    )
    def post(self, request: Request) -> Response:
        given = serializers.TrainingDayInput(data=request.data)
        given.is_valid(raise_exception=True)
        return _answer(services.training_day_create(actor=caller_of(request), **given.validated_data), status=201)


class TrainingDayView(APIView):
    @property
    def permission_classes(self) -> tuple[type[BasePermission], ...]:  # type: ignore[override]  # two operations, one path
        return (StaffOnly,) if self.request is not None and self.request.method == "PATCH" else (SignedIn,)

    @extend_schema(
        operation_id="training_days_retrieve",
        tags=_TAGS,
        summary="One training day",
        description="Everybody who is signed in. `attendance` is for training staff and administrators.",
        responses={200: serializers.TrainingDayDetailOutput},
        examples=[OpenApiExample("a day", response_only=True, status_codes=["200"], value=_DETAIL)],
    )
    def get(self, request: Request, training_day_id: int) -> Response:
        day = training_day_by_id(training_day_id=training_day_id)
        counts = counts_of_day(training_day=day) if caller_of(request).is_staff_member else None
        body = {**serializers.TrainingDayOutput(day).data, "attendance": counts}
        return Response(body, headers={"ETag": entity_tag(day.version)})

    @extend_schema(
        operation_id="training_days_change",
        tags=_TAGS,
        summary="Change a training day",
        description=(
            "For training staff and administrators. Records stay with a day that is moved; grades count anew by "
            f"themselves. {_EXCUSES} hear `training_day.changed`, unless nothing differs. Problems: 400 with "
            "`outside_term` at `date`; 409 with `term_closed`."
        ),
        parameters=[IF_MATCH],
        request=serializers.TrainingDayChange,
        responses={200: serializers.TrainingDayOutput, 409: OpenApiResponse(description=_TERM_CLOSED)},
        examples=[
            OpenApiExample("to Sunday", request_only=True, value={"date": "2026-08-23"}),
            OpenApiExample("moved", response_only=True, status_codes=["200"], value=_MOVED),
        ],
    )
    def patch(self, request: Request, training_day_id: int) -> Response:
        given = serializers.TrainingDayChange(data=request.data)
        given.is_valid(raise_exception=True)
        day = services.training_day_change(
            actor=caller_of(request),
            training_day_id=training_day_id,
            expected_version=expected_version(request),
            changes=given.validated_data,
        )
        return _answer(day)


class TrainingDayCancelView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="training_days_cancel",
        tags=_TAGS,
        summary="Cancel a training day",
        description=(
            "For training staff and administrators. It counts for nobody from now on; its records are kept. Sockets of "
            "everybody hear `training_day.cancelled`."
        ),
        request=serializers.CancelInput,
        responses={
            200: serializers.TrainingDayOutput,
            409: OpenApiResponse(description=f"`day_cancelled`: it is already. {_TERM_CLOSED}"),
        },
        examples=[
            OpenApiExample("a storm", request_only=True, value={"reason": _CANCELLED["cancel_reason"]}),
            OpenApiExample("cancelled", response_only=True, status_codes=["200"], value=_CANCELLED),
        ],
    )
    def post(self, request: Request, training_day_id: int) -> Response:
        given = serializers.CancelInput(data=request.data)
        given.is_valid(raise_exception=True)
        return _answer(
            services.training_day_cancel(
                actor=caller_of(request), training_day_id=training_day_id, **given.validated_data
            )
        )


class TrainingDayReinstateView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="training_days_reinstate",
        tags=_TAGS,
        summary="Let a cancelled training day take place",
        description=(
            "For training staff and administrators. It counts again, with the records that it had. "
            f"{_EXCUSES} hear `training_day.changed`. Problems: 400 with `outside_term` at `date`, if the term has "
            "been shortened meanwhile."
        ),
        request=None,
        responses={
            200: serializers.TrainingDayOutput,
            400: OpenApiResponse(description="`outside_term`: the term has been shortened meanwhile."),
            409: OpenApiResponse(description=f"`day_not_cancelled`. {_TERM_CLOSED}"),
        },
        examples=[OpenApiExample("takes place", response_only=True, status_codes=["200"], value=_MOVED)],
    )
    def post(self, request: Request, training_day_id: int) -> Response:
        return _answer(services.training_day_reinstate(actor=caller_of(request), training_day_id=training_day_id))
