from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.authentication import StaffOnly, caller_of
from apps.grading import rules
from apps.grading.api.serializers.scores import (
    ScoreInput,
    ScoreOutput,
    ScoresInput,
    ScoresOutput,
    ScoresWrittenOutput,
    missing_body,
    score_body,
    score_read,
    score_tag,
)
from apps.grading.selectors.grades import enrollment_by_id
from apps.grading.selectors.scores import scores_of
from apps.grading.services import scores as services
from core.errors import NotFound

_TAGS = ["exam scores"]
_SCORE = {
    "exam": "prelim",
    "score": "85.00",
    "version": 1,
    "etag": '"v1-812"',
    "updated_at": "2026-08-22T01:15:04.812Z",
}
_EXAM = OpenApiParameter("exam", str, OpenApiParameter.PATH, enum=rules.EXAMS, description="Which exam.")
_IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description=(
        "The `etag` of the score that is corrected. Without it the last one to write wins. A score that was removed "
        "and recorded anew has another one."
    ),
    examples=[OpenApiExample("version 3 of a score", value='"v3-812"')],
)
_CLOSED = OpenApiResponse(description="The term is closed (`term_closed`).")


class ScoresView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="enrollment_scores_list",
        tags=_TAGS,
        summary="The exam scores of one enrollment",
        description="Every exam; `score` is null for a missing one.",
        responses={200: ScoresOutput},
        examples=[
            OpenApiExample(
                "one score",
                response_only=True,
                value={"enrollment_id": 12, "scores": [_SCORE, *(missing_body(exam) for exam in rules.EXAMS[1:])]},
            )
        ],
    )
    def get(self, request: Request, enrollment_id: int) -> Response:
        enrollment_by_id(enrollment_id=enrollment_id)
        rows = {row.exam: score_body(row) for row in scores_of(enrollment_id=enrollment_id)}
        scores = [rows.get(exam) or missing_body(exam) for exam in rules.EXAMS]
        return Response({"enrollment_id": enrollment_id, "scores": scores})


class ScoreView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="enrollment_score_put",
        tags=_TAGS,
        summary="Record or correct one exam score",
        description=(
            "0 to 100 with at most two decimals. The same score again changes nothing. Sockets of staff hear "
            "`scores.recorded`, the cadet's hear `grade.changed`. Problems: 404 also for an exam that there is not; "
            "409 `term_closed`; 412 when If-Match is sent and the score is another one by now."
        ),
        parameters=[_EXAM, _IF_MATCH],
        request=ScoreInput,
        responses={
            200: OpenApiResponse(ScoreOutput, description="Corrected, or as it was."),
            201: OpenApiResponse(ScoreOutput, description="Recorded for the first time."),
            409: _CLOSED,
        },
        examples=[
            OpenApiExample("a score", request_only=True, value={"score": "85.00"}),
            OpenApiExample("recorded", response_only=True, status_codes=["200", "201"], value=_SCORE),
        ],
    )
    def put(self, request: Request, enrollment_id: int, exam: str) -> Response:
        _refuse_unknown(exam)
        expected = score_read(request)
        given = ScoreInput(data=request.data)
        given.is_valid(raise_exception=True)
        row, created = services.score_put(
            actor=caller_of(request),
            enrollment_id=enrollment_id,
            exam=exam,
            score=given.validated_data["score"],
            expected=expected,
        )
        return Response(score_body(row), status=201 if created else 200, headers={"ETag": score_tag(row)})

    @extend_schema(
        operation_id="enrollment_score_delete",
        tags=_TAGS,
        summary="Remove one exam score",
        description="The exam is missing again. Problems: 404 without a score; 409 `term_closed`.",
        parameters=[_EXAM],
        responses={204: None, 409: _CLOSED},
    )
    def delete(self, request: Request, enrollment_id: int, exam: str) -> Response:
        _refuse_unknown(exam)
        services.score_delete(actor=caller_of(request), enrollment_id=enrollment_id, exam=exam)
        return Response(status=204)


class TermScoresView(APIView):
    permission_classes = (StaffOnly,)

    @extend_schema(
        operation_id="term_scores_record",
        tags=_TAGS,
        summary="Record many exam scores of a term",
        description=(
            f"At most {rules.LARGEST_BULK} lines, all or none; sending them again changes nothing. Cadets are named by "
            "`enrollment_id` or by `student_id`. A `score` of null removes it; what is not named stays. Problems: 400 "
            "with every line that cannot be taken at `records.<number>` (`unknown_enrollment`, `unknown_cadet`, "
            "`duplicate`, `exactly_one`); 409 `term_closed`."
        ),
        request=ScoresInput,
        responses={200: ScoresWrittenOutput, 409: _CLOSED},
        examples=[
            OpenApiExample(
                "two lines",
                request_only=True,
                value={
                    "records": [
                        {"enrollment_id": 12, "exam": "prelim", "score": "85.00"},
                        {"student_id": "2026-00041", "exam": "midterm", "score": None},
                    ]
                },
            ),
            OpenApiExample(
                "written",
                response_only=True,
                status_codes=["200"],
                value={"created": 1, "changed": 0, "removed": 1, "unchanged": 0},
            ),
        ],
    )
    def post(self, request: Request, term_id: int) -> Response:
        given = ScoresInput(data=request.data)
        given.is_valid(raise_exception=True)
        done = services.scores_record(actor=caller_of(request), term_id=term_id, entries=given.entries)
        return Response(ScoresWrittenOutput(done).data)


def _refuse_unknown(exam: str) -> None:
    if exam not in rules.EXAMS:
        raise NotFound(f"There is no such exam. Known are: {', '.join(rules.EXAMS)}.")
