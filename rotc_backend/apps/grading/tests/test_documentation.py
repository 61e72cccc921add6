"""What is documented is what comes: the fields of every answer are those of its output serializer, no more, no less."""

import re
from pathlib import Path
from typing import Any

import pytest
from rest_framework import serializers

from apps.accounts.tests.factories import Person
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.grading.api.serializers import grades, merits, policies, scores, sheets
from apps.grading.models import Adjustment, ExamScore, GradeSheet
from apps.grading.tests import factories
from apps.grading.urls import urlpatterns

pytestmark = pytest.mark.django_db(transaction=True)


def compare(field: Any, value: Any, place: str) -> None:
    if value is None:
        assert field.allow_null, f"{place} is null"
    elif isinstance(field, serializers.ListSerializer):
        for index, entry in enumerate(value):
            compare(field.child, entry, f"{place}.{index}")
    elif isinstance(field, serializers.Serializer):
        assert set(value) == set(field.fields), place
        for name, inner in field.fields.items():
            compare(inner, value[name], f"{place}.{name}")
    elif isinstance(field, serializers.ChoiceField):
        assert value in field.choices, place
    else:
        assert is_form_of(field, value), f"{place}: {value!r}"


def is_form_of(field: Any, value: Any) -> bool:
    forms: dict[type, type] = {
        serializers.IntegerField: int,
        serializers.BooleanField: bool,
        serializers.ListField: list,
        serializers.DictField: dict,
    }
    for kind, form in forms.items():
        if isinstance(field, kind):
            return type(value) is form
    if isinstance(field, serializers.DecimalField):
        return re.fullmatch(r"-?[0-9]+\.[0-9]{2}", value) is not None
    return isinstance(value, str)


def test_every_answer_has_the_documented_fields(admin: Person, instructor: StaffPerson, liza: CadetPerson) -> None:
    held = factories.days(3)
    factories.attend(liza.enrollment, held, ["present", "late", None])
    factories.scores(liza.enrollment, "85", None, "95")
    factories.awards(liza.enrollment, merits=60, demerits=2)
    factories.adjustment(liza.enrollment, "subject", "-0.5")
    term, enrollment = f"/api/v1/terms/{liza.enrollment.term_id}", f"/api/v1/enrollments/{liza.enrollment.pk}"

    def check(person: Person, path: str, output: Any) -> None:
        answer = person.client.get(path)
        assert answer.status_code == 200, answer.content
        body = answer.json()
        compare(output, body["results"] if isinstance(output, serializers.ListSerializer) else body, path)

    def check_all() -> None:
        check(liza, "/api/v1/cadets/me/standing", grades.StandingOutput())
        check(instructor, f"{enrollment}/standing", grades.StandingOutput())
        check(instructor, f"{term}/grades", grades.GradeLineOutput(many=True))
        check(instructor, "/api/v1/leaderboard", grades.LeaderboardOutput(many=True))
        check(liza, "/api/v1/leaderboard/me", grades.OwnPlaceOutput())
        check(instructor, "/api/v1/dashboard", grades.DashboardOutput())
        check(instructor, f"{enrollment}/scores", scores.ScoresOutput())
        check(instructor, "/api/v1/merits", merits.MeritOutput(many=True))
        check(liza, "/api/v1/cadets/me/merits", merits.MeritOutput(many=True))
        check(admin, "/api/v1/adjustments", merits.AdjustmentOutput(many=True))
        check(instructor, "/api/v1/grading-policy", policies.PolicyOutput())
        check(instructor, f"{term}/grading-policy", policies.PolicyOutput())
        check(admin, f"{term}/verification", sheets.TermVerificationOutput())

    check_all()
    compare(sheets.ClosingOutput(), admin.client.post(f"{term}/close").json(), "close")
    check_all()
    sheet = f"/api/v1/grade-sheets/{GradeSheet.objects.get().pk}"
    check(instructor, f"{term}/grade-sheets", sheets.SheetLineOutput(many=True))
    check(liza, sheet, sheets.SheetOutput())
    ExamScore.objects.update(score=1)
    found = admin.client.post(f"{sheet}/verify").json()
    assert found["findings"]
    compare(sheets.SheetVerificationOutput(), found, "verify")
    compare(sheets.ReopeningOutput(), admin.client.post(f"{term}/reopen", {"reason": "x"}).json(), "reopen")
    row = Adjustment.objects.get()
    revoked = admin.client.post(f"/api/v1/adjustments/{row.pk}/revoke", {"reason": "x"}).json()
    compare(merits.AdjustmentOutput(), revoked, "revoke")


def test_every_route_of_this_app_is_tried_above_or_beside_it() -> None:
    """A new route needs a test: its path has to stand in one of these files."""
    tests = "\n".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    for route in urlpatterns:
        last = str(route.pattern).split("/")[-1]
        assert last.startswith("<") or f"{last}" in tests, route.pattern
