import datetime as dt
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.authentication import CadetOnly, StaffOnly, caller_of
from apps.cadets.models import Enrollment
from apps.cadets.rules import grades_version, roster_version, standing_version, term_version
from apps.cadets.selectors import cadet_of_user, term_by_id, term_current
from apps.grading import rules
from apps.grading.api.serializers.grades import (
    DashboardOutput,
    GradeLineOutput,
    LeaderboardOutput,
    OwnPlaceOutput,
    StandingOutput,
    TermQuery,
    UnitQuery,
    grade_line,
    standing_body,
)
from apps.grading.api.serializers.people import cadet_brief, term_brief
from apps.grading.api.serializers.sheets import sheet_brief
from apps.grading.api.views import examples
from apps.grading.selectors import dashboard as statistics
from apps.grading.selectors import grades as selectors
from apps.grading.selectors import merits
from core.cache import read_through
from core.clock import manila_date, now
from core.http import Pages, page_body, page_of
from core.serializers import query_of

CACHE_SECONDS = 300

_TAGS = ["grades"]
_CACHED = "Answered from the cache where possible; the header Cache-Status tells."
_AS_OF = "2026-08-22"
_STANDING: dict[str, Any] = {
    "enrollment_id": 12,
    "cadet": examples.CADET,
    "term": examples.TERM,
    **examples.PLACE,
    "status": "ongoing",
    **examples.GRADE,
    "as_of": _AS_OF,
    "lifetime_merits": 62,
    "badges": [50],
    "next_badge": 100,
    "sheet": None,
}
_STANDING_EXAMPLES = [
    OpenApiExample("an open term", response_only=True, status_codes=["200"], value=_STANDING),
    OpenApiExample(
        "a closed term",
        response_only=True,
        status_codes=["200"],
        value={**_STANDING, "term": examples.CLOSED_TERM, **examples.FINAL_GRADE, "sheet": examples.SHEET_BRIEF},
    ),
]
_COUNTS = {"ongoing": 2, "completed": 0, "incomplete": 0, "failed": 0, "dropped": 0, "deferred": 0}
_EXPLAINED = (
    "Every part with its inputs, what they give, the adjustments, and the points that count. While the term is open "
    "the grade is provisional: attendance is null before the first day, a missing exam counts 0, and then the remark "
    "is In progress. A closed term is answered from its frozen sheet."
)


def _today() -> dt.date:
    return manila_date(now())


def _standing(enrollment: Enrollment) -> Response:
    today, enrollment_id = _today(), enrollment.pk

    def changing() -> dict[str, Any]:
        # Read again: `enrollment` is older than the versions that this is stored under, and so could be its grade.
        enrollment = selectors.enrollment_by_id(enrollment_id=enrollment_id)
        sheet = None
        if enrollment.term.closed_at is not None:
            sheet = selectors.sheets_in_force(enrollments=[enrollment]).get(enrollment.pk)
        grade = (
            selectors.grade_of_sheet(sheet)
            if sheet is not None
            else selectors.grades_of(enrollments=[enrollment], today=today)[0]
        )
        return {
            "grade": rules.grade_body(grade),
            "sheet": None if sheet is None else sheet_brief(sheet),
            "lifetime_merits": merits.lifetime_merits_of(cadet_id=enrollment.cadet_id),
        }

    found = read_through(
        key=f"standing:{enrollment.pk}:{today}",
        versions=[
            standing_version(enrollment.cadet_id),
            term_version(enrollment.term_id),
            rules.policy_version(),
        ],
        ttl=CACHE_SECONDS,
        compute=changing,
    )
    return Response(standing_body(enrollment, changing=found, as_of=today.isoformat()))


class OwnStandingView(APIView):
    permission_classes = (CadetOnly,)

    @extend_schema(
        operation_id="cadet_own_standing",
        tags=_TAGS,
        summary="One's own grade in a term, with every part explained",
        description=(
            f"{_EXPLAINED} {_CACHED} Problems: 404 `no_cadet_record`, `no_current_term`, `not_enrolled`; 503 "
            "`policy_missing`."
        ),
        parameters=[TermQuery],
        responses={
            200: StandingOutput,
            404: OpenApiResponse(description="No cadet's record, no such term, or not enrolled in it."),
        },
        examples=_STANDING_EXAMPLES,
    )
    def get(self, request: Request) -> Response:
        asked = query_of(request, TermQuery)
        return _standing(selectors.enrollment_of_user(user_id=caller_of(request).user_id, term_id=asked.get("term")))


class StandingView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="enrollment_standing",
        tags=_TAGS,
        summary="A cadet's grade in a term, with every part explained",
        description=f"{_EXPLAINED} {_CACHED} Problems: 503 `policy_missing`.",
        responses={200: StandingOutput},
        examples=_STANDING_EXAMPLES,
    )
    def get(self, request: Request, enrollment_id: int) -> Response:
        return _standing(selectors.enrollment_by_id(enrollment_id=enrollment_id))


class TermGradesView(APIView):
    permission_classes = (StaffOnly,)
    pagination_class = Pages

    @extend_schema(
        operation_id="term_grades_list",
        tags=_TAGS,
        summary="The grade sheet of a term, a company or a platoon, by name",
        description=(
            f"Provisional while the term is open, from the frozen sheets once it is closed. {_CACHED} Problems: 503 "
            "`policy_missing`."
        ),
        parameters=[UnitQuery],
        responses={200: GradeLineOutput(many=True)},
        examples=[
            OpenApiExample(
                "a line",
                response_only=True,
                status_codes=["200"],
                value={
                    "enrollment_id": 12,
                    "cadet": examples.CADET,
                    "archived": False,
                    **examples.PLACE,
                    "status": "ongoing",
                    "attended": 12,
                    "held": 15,
                    "attendance": "24.00",
                    "aptitude": "30.00",
                    "subject": "36.00",
                    "total": "90.00",
                    "equivalent": "1.50",
                    "remark": "Passed",
                    "provisional": True,
                },
            )
        ],
    )
    def get(self, request: Request, term_id: int) -> Response:
        asked = query_of(request, UnitQuery)
        company_id, platoon_id = asked.get("company"), asked.get("platoon")
        number, size = page_of(request)
        today = _today()

        def page() -> Any:
            rows = selectors.enrollments_graded(term_id=term_id, company_id=company_id, platoon_id=platoon_id)
            pages = Pages()
            enrollments = pages.paginate_queryset(rows, request, self)
            if not pages.count:
                term_by_id(term_id=term_id)  # an empty sheet and a term that there is not are two answers
            grades = selectors.grades_of(enrollments=enrollments, today=today)
            lines = [grade_line(one, grade) for one, grade in zip(enrollments, grades, strict=True)]
            return pages.get_paginated_response(lines).data

        return Response(
            read_through(
                key=f"grades:{term_id}:{company_id}:{platoon_id}:{number}:{size}:{today}",
                versions=[
                    grades_version(term_id),
                    term_version(term_id),
                    roster_version(),
                    rules.policy_version(),
                ],
                ttl=CACHE_SECONDS,
                compute=page,
            )
        )


class LeaderboardView(APIView):
    permission_classes = (StaffOnly,)
    pagination_class = Pages

    @extend_schema(
        operation_id="leaderboard_list",
        tags=_TAGS,
        summary="Cadets by lifetime merits",
        description=(
            "Merits of all terms without those revoked; demerits take nothing away. Cadets without merits and archived "
            f"cadets are not on it. Among equals names decide. {_CACHED}"
        ),
        responses={200: LeaderboardOutput(many=True)},
        examples=[
            OpenApiExample(
                "the first",
                response_only=True,
                status_codes=["200"],
                value={
                    "place": 1,
                    "cadet": examples.CADET,
                    "company": "Alpha",
                    "lifetime_merits": 62,
                    "badges": [50],
                },
            )
        ],
    )
    def get(self, request: Request) -> Response:
        number, size = page_of(request)

        def page() -> dict[str, Any]:
            rows = merits.leaderboard()[(number - 1) * size : number * size]
            lines = [
                {
                    "place": row.place,
                    "cadet": cadet_brief(row),
                    "company": row.company_name,
                    "lifetime_merits": row.lifetime_merits,
                    "badges": rules.badges_of(row.lifetime_merits),
                }
                for row in rows
            ]
            return page_body(count=merits.merited_count(), page=number, page_size=size, results=lines)

        return Response(
            read_through(
                key=f"leaderboard:{number}:{size}",
                versions=[rules.leaderboard_version(), roster_version()],
                ttl=CACHE_SECONDS,
                compute=page,
            )
        )


class OwnPlaceView(APIView):
    permission_classes = (CadetOnly,)

    @extend_schema(
        operation_id="leaderboard_own_place",
        tags=_TAGS,
        summary="One's own place on the leaderboard, and one's badges",
        description=f"{_CACHED} Problems: 404 `no_cadet_record`.",
        responses={
            200: OwnPlaceOutput,
            404: OpenApiResponse(description="The account is not linked to a cadet's record (`no_cadet_record`)."),
        },
        examples=[
            OpenApiExample(
                "the third",
                response_only=True,
                value={"place": 3, "of": 180, "lifetime_merits": 62, "badges": [50], "next_badge": 100},
            )
        ],
    )
    def get(self, request: Request) -> Response:
        cadet = cadet_of_user(user_id=caller_of(request).user_id)

        def place() -> dict[str, Any]:
            lifetime = merits.lifetime_merits_of(cadet_id=cadet.pk)
            return {
                "place": merits.place_of(lifetime_merits=lifetime),
                "of": merits.merited_count(),
                "lifetime_merits": lifetime,
                "badges": rules.badges_of(lifetime),
                "next_badge": rules.next_badge(lifetime),
            }

        return Response(
            read_through(
                key=f"leaderboard-place:{cadet.pk}",
                versions=[rules.leaderboard_version(), roster_version()],
                ttl=CACHE_SECONDS,
                compute=place,
            )
        )


class DashboardView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="dashboard",
        tags=_TAGS,
        summary="Statistics of a term",
        description=(
            f"Of the current term unless told. {_CACHED} What waits for a decision is counted each time. Problems: 404 "
            "`no_current_term`; 503 `policy_missing`."
        ),
        parameters=[TermQuery],
        responses={200: DashboardOutput, 404: OpenApiResponse(description="No such term, or none is current.")},
        examples=[
            OpenApiExample(
                "a small unit",
                response_only=True,
                status_codes=["200"],
                value={
                    "term": examples.TERM,
                    "as_of": _AS_OF,
                    "enrolled": 2,
                    "statuses": _COUNTS,
                    "companies": [{"company": {"id": 1, "name": "Alpha"}, "statuses": _COUNTS}],
                    "grades": [
                        {"remark": "Passed", "equivalent": "1.50", "count": 1},
                        {"remark": "In progress", "equivalent": None, "count": 1},
                    ],
                    "last_day": {
                        "id": 77,
                        "date": _AS_OF,
                        "title": "Drill and ceremonies",
                        "expected": 2,
                        "by_status": {"present": 1, "late": 0, "excused": 0, "absent": 0, "unmarked": 1},
                    },
                    "pending_letters": 1,
                    "pending_accounts": 0,
                },
            )
        ],
    )
    def get(self, request: Request) -> Response:
        asked = query_of(request, TermQuery)
        term = term_by_id(term_id=asked["term"]) if "term" in asked else term_current()
        today = _today()
        found = read_through(
            key=f"dashboard:{term.pk}:{today}",
            versions=[roster_version(), term_version(term.pk), grades_version(term.pk), rules.policy_version()],
            ttl=CACHE_SECONDS,
            # The term read again: the row above is older than the versions that this is stored under.
            compute=lambda: statistics.term_statistics(term=term_by_id(term_id=term.pk), today=today),
        )
        # Accounts and letters have no version of their own, and are two counts by an index.
        waiting = statistics.waiting_counts(term_id=term.pk)
        return Response({"term": term_brief(term), "as_of": today.isoformat(), **found, **waiting})
