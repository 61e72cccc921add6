from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.rules import Principal
from apps.accounts.tests.factories import Person
from apps.cadets.models import Term
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.grading.models import Adjustment
from apps.grading.services import merits as services
from apps.grading.tests import factories
from core.errors import PermissionRefused

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/adjustments"


def given(person: CadetPerson, **change: Any) -> dict[str, Any]:
    whole = {"enrollment_id": person.enrollment.pk, "component": "attendance", "points": "4.5", "reason": "Games"}
    return {**whole, **change}


def fields_of(answer: Any) -> dict[str, str]:
    assert answer.status_code == 400, answer.content
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


def test_an_administrator_issues_an_adjustment_and_takes_it_back_once(admin: Person, liza: CadetPerson) -> None:
    answer = admin.client.post(PATH, given(liza))
    body = answer.json()
    assert (answer.status_code, body["points"], body["component"]) == (201, "4.50", "attendance")
    assert admin.client.get(answer["Location"]).json()["results"] == [body]
    own = [f"user:{liza.user.pk}"]
    assert [(event.type, event.recipients) for event in Event.objects.order_by("id")] == [
        ("adjustment.issued", ["role:admin"]),
        ("grade.changed", own),
    ]
    assert Event.objects.order_by("id")[0].data["points"] == "4.50"

    revoked = admin.client.post(f"{PATH}/{body['id']}/revoke", {"reason": "Counted twice"})
    assert (revoked.status_code, revoked.json()["revoke_reason"], revoked.json()["points"]) == (
        200,
        "Counted twice",
        "4.50",
    )
    again = admin.client.post(f"{PATH}/{body['id']}/revoke", {"reason": "Counted twice"})
    assert (again.status_code, again.json()["code"]) == (409, "already_revoked")
    assert [event.type for event in Event.objects.order_by("id")[2:]] == ["adjustment.revoked", "grade.changed"]
    actions = AuditEntry.objects.filter(action__startswith="adjustment").order_by("id").values_list("action", "target")
    target = f"adjustment:{body['id']}"
    assert list(actions) == [("adjustment.issue", target), ("adjustment.revoke", target)]


def test_nobody_but_administrators_adjusts_or_sees_adjustments(instructor: StaffPerson, liza: CadetPerson) -> None:
    row = factories.adjustment(liza.enrollment, "subject", "1")
    for person in (instructor, liza):
        for answer in (
            person.client.get(PATH),
            person.client.post(PATH, given(liza)),
            person.client.post(f"{PATH}/{row.pk}/revoke", {"reason": "x"}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert Adjustment.objects.filter(revoked_at=None).count() == 1


def test_the_services_refuse_others_by_themselves(instructor: StaffPerson, liza: CadetPerson) -> None:
    actor: Principal = instructor.principal
    row = factories.adjustment(liza.enrollment, "subject", "1")
    with pytest.raises(PermissionRefused):
        services.adjustment_issue(
            actor=actor, enrollment_id=liza.enrollment.pk, component="subject", points=row.points, reason="x"
        )
    with pytest.raises(PermissionRefused):
        services.adjustment_revoke(actor=actor, adjustment_id=row.pk, reason="x")
    assert Adjustment.objects.filter(revoked_at=None).count() == 1


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"points": "0"}, "points", "out_of_range"),
        ({"points": "0.00"}, "points", "out_of_range"),
        ({"points": "100.01"}, "points", "max_value"),
        ({"points": "-101"}, "points", "min_value"),
        ({"points": "1.005"}, "points", "max_decimal_places"),
        ({"component": "looks"}, "component", "invalid_choice"),
        ({"reason": ""}, "reason", "blank"),
        ({"enrollment_id": 2**62}, "enrollment_id", "unknown_enrollment"),
    ],
)
def test_an_adjustment_that_cannot_be_is_refused(
    admin: Person, liza: CadetPerson, change: dict[str, Any], field: str, code: str
) -> None:
    assert fields_of(admin.client.post(PATH, given(liza, **change))) == {field: code}
    assert not Adjustment.objects.exists()
    assert not Event.objects.exists()


def test_the_list_is_filtered(admin: Person, liza: CadetPerson, omar: CadetPerson, term: Term) -> None:
    first, second = (factories.adjustment(one.enrollment, "subject", "-1") for one in (liza, omar))

    def ids(**filters: Any) -> list[int]:
        return [row["id"] for row in admin.client.get(PATH, filters).json()["results"]]

    assert ids() == [second.pk, first.pk]
    assert ids(enrollment=liza.enrollment.pk) == [first.pk]
    assert ids(term=term.pk) == [second.pk, first.pk]
    assert ids(term=term.pk + 1) == []


def test_a_closed_term_is_not_adjusted(admin: Person, liza: CadetPerson, term: Term) -> None:
    row = factories.adjustment(liza.enrollment, "subject", "1")
    admin.client.post(f"/api/v1/terms/{term.pk}/close")
    for answer in (
        admin.client.post(PATH, given(liza)),
        admin.client.post(f"{PATH}/{row.pk}/revoke", {"reason": "x"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "term_closed")
    assert admin.client.post(f"{PATH}/{2**62}/revoke", {"reason": "x"}).status_code == 404
