from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Term
from apps.cadets.tests import factories as unit
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.grading.models import MeritDemerit
from apps.grading.tests import factories

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/merits"
OWN = "/api/v1/cadets/me/merits"


def given(person: CadetPerson, **change: Any) -> dict[str, Any]:
    return {"enrollment_id": person.enrollment.pk, "kind": "merit", "points": 10, "reason": "Put out a fire", **change}


def fields_of(answer: Any) -> dict[str, str]:
    assert answer.status_code == 400, answer.content
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


# --- Issue ------------------------------------------------------------------------------------------------------------


def test_training_staff_issue_merits(instructor: StaffPerson, liza: CadetPerson) -> None:
    answer = instructor.client.post(PATH, given(liza, reason="  Put out a fire "))
    assert answer.status_code == 201
    body = answer.json()
    row = MeritDemerit.objects.get()
    assert body == {
        "id": row.pk,
        "enrollment_id": liza.enrollment.pk,
        "term_id": liza.enrollment.term_id,
        "cadet": {"id": liza.cadet.pk, "student_id": liza.cadet.student_id, "full_name": "Macaraeg, Liza"},
        "kind": "merit",
        "points": 10,
        "reason": "Put out a fire",
        "issued_by": {"id": instructor.user.pk, "name": "Ramon"},
        "issued_at": body["issued_at"],
        "revoked_by": None,
        "revoked_at": None,
        "revoke_reason": None,
    }
    assert instructor.client.get(answer["Location"]).json() == body
    entry = AuditEntry.objects.get(action="merit.issue")
    assert (entry.actor, entry.target) == (instructor.user, f"merit:{row.pk}")
    assert entry.after == {
        "enrollment_id": liza.enrollment.pk,
        "kind": "merit",
        "points": 10,
        "reason": "Put out a fire",
    }
    event = Event.objects.get()
    assert event.recipients == ["role:admin", "role:training_staff", f"user:{liza.user.pk}"]
    assert event.data == {
        **{name: body[name] for name in ("id", "enrollment_id", "term_id", "kind", "points", "reason", "issued_at")},
        "cadet_id": liza.cadet.pk,
    }


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"points": 0}, "points", "min_value"),
        ({"points": 101}, "points", "max_value"),
        ({"points": 1.5}, "points", "invalid"),
        ({"points": "ten"}, "points", "invalid"),
        ({"kind": "praise"}, "kind", "invalid_choice"),
        ({"reason": " "}, "reason", "blank"),
        ({"reason": "x" * 256}, "reason", "max_length"),
        ({"reason": "nul\x00"}, "reason", "null_characters_not_allowed"),
        ({"enrollment_id": 2**62}, "enrollment_id", "unknown_enrollment"),
        ({"enrollment_id": 2**63}, "enrollment_id", "max_value"),
        ({"issued_by": 1}, "issued_by", "unknown_field"),
    ],
)
def test_a_merit_that_cannot_be_is_refused(
    instructor: StaffPerson, liza: CadetPerson, change: dict[str, Any], field: str, code: str
) -> None:
    assert fields_of(instructor.client.post(PATH, given(liza, **change))) == {field: code}
    assert not MeritDemerit.objects.exists()
    assert not Event.objects.exists()


def test_a_cadet_issues_nothing_and_sees_no_list(liza: CadetPerson) -> None:
    row = factories.award(liza.enrollment, 10)
    client = liza.client
    for answer in (
        client.post(PATH, given(liza)),
        client.get(PATH),
        client.get(f"{PATH}/{row.pk}"),
        client.post(f"{PATH}/{row.pk}/revoke", {"reason": "x"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert MeritDemerit.objects.filter(revoked_at=None).count() == 1


def test_a_closed_term_takes_none_and_revokes_none(
    admin: Person, instructor: StaffPerson, liza: CadetPerson, term: Term
) -> None:
    row = factories.award(liza.enrollment, 10, issued_by=instructor.user)
    admin.client.post(f"/api/v1/terms/{term.pk}/close")
    for answer in (
        instructor.client.post(PATH, given(liza)),
        instructor.client.post(f"{PATH}/{row.pk}/revoke", {"reason": "Wrong cadet"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "term_closed")
    assert MeritDemerit.objects.filter(revoked_at=None).count() == 1


# --- Revoke -----------------------------------------------------------------------------------------------------------


def test_training_staff_revoke_their_own_once_and_administrators_any(
    admin: Person, instructor: StaffPerson, colleague: StaffPerson, liza: CadetPerson
) -> None:
    own, other = (instructor.client.post(PATH, given(liza)).json()["id"] for _ in range(2))
    Event.objects.all().delete()
    refused = colleague.client.post(f"{PATH}/{own}/revoke", {"reason": "Envy"})
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    assert not Event.objects.exists()

    answer = instructor.client.post(f"{PATH}/{own}/revoke", {"reason": "Wrong cadet"})
    body = answer.json()
    assert (answer.status_code, body["revoke_reason"], body["revoked_by"]["id"]) == (
        200,
        "Wrong cadet",
        instructor.user.pk,
    )
    assert (body["points"], body["reason"]) == (10, "Put out a fire")  # never edited
    event = Event.objects.get()
    assert (event.type, event.recipients[-1]) == ("merit.revoked", f"user:{liza.user.pk}")
    assert AuditEntry.objects.get(action="merit.revoke").after == {"revoked": True, "revoke_reason": "Wrong cadet"}

    again = admin.client.post(f"{PATH}/{own}/revoke", {"reason": "Once more"})
    assert (again.status_code, again.json()["code"]) == (409, "already_revoked")
    assert instructor.client.get(f"{PATH}/{own}").json() == body
    assert Event.objects.count() == 1
    assert admin.client.post(f"{PATH}/{other}/revoke", {"reason": "By order"}).status_code == 200


def test_revoking_needs_a_reason_and_something_to_revoke(admin: Person, liza: CadetPerson) -> None:
    row = factories.award(liza.enrollment, 10)
    assert fields_of(admin.client.post(f"{PATH}/{row.pk}/revoke", {})) == {"reason": "required"}
    assert fields_of(admin.client.post(f"{PATH}/{row.pk}/revoke", {"reason": "  "})) == {"reason": "blank"}
    assert admin.client.post(f"{PATH}/{2**62}/revoke", {"reason": "x"}).status_code == 404
    assert admin.client.get(f"{PATH}/{2**62}").status_code == 404


# --- Lists ------------------------------------------------------------------------------------------------------------


def test_the_list_is_filtered_and_newest_first(
    admin: Person, instructor: StaffPerson, liza: CadetPerson, omar: CadetPerson
) -> None:
    former = unit.enroll(liza.cadet, term=unit.former_term())
    first = factories.award(former, 1)
    second = factories.award(liza.enrollment, 2, "demerit")
    third = factories.award(omar.enrollment, 3)
    admin.client.post(f"{PATH}/{third.pk}/revoke", {"reason": "x"})

    def ids(**filters: Any) -> list[int]:
        return [row["id"] for row in instructor.client.get(PATH, filters).json()["results"]]

    assert ids() == [third.pk, second.pk, first.pk]
    assert ids(cadet=liza.cadet.pk) == [second.pk, first.pk]
    assert ids(term=former.term_id) == [first.pk]
    assert ids(kind="demerit") == [second.pk]
    assert ids(revoked="true") == [third.pk]
    assert ids(revoked="false") == [second.pk, first.pk]
    assert fields_of(instructor.client.get(PATH, {"colour": "red"})) == {"colour": "unknown_field"}
    assert fields_of(instructor.client.get(PATH, {"kind": "praise"})) == {"kind": "invalid_choice"}
    assert fields_of(instructor.client.get(PATH, {"cadet": "0"})) == {"cadet": "min_value"}


def test_a_list_of_fifty_needs_as_few_queries_as_one_of_one(
    instructor: StaffPerson, liza: CadetPerson, django_assert_num_queries: Any
) -> None:
    client = instructor.client
    for _ in range(50):
        factories.award(liza.enrollment, 1)
    factories.token_read_lately(client)
    with django_assert_num_queries(2):
        assert len(client.get(PATH).json()["results"]) == 50


def test_a_cadet_sees_the_own_log_of_all_terms_and_nobody_elses(liza: CadetPerson, omar: CadetPerson) -> None:
    former = unit.enroll(liza.cadet, term=unit.former_term())
    first, second = factories.award(former, 1), factories.award(liza.enrollment, 2, "demerit")
    factories.award(omar.enrollment, 3)
    assert [row["id"] for row in liza.client.get(OWN).json()["results"]] == [second.pk, first.pk]
    assert [row["id"] for row in liza.client.get(OWN, {"term": former.term_id}).json()["results"]] == [first.pk]
    unlinked = unit.accounts.signed_in(unit.accounts.user("Nobody"))
    assert unlinked.client.get(OWN).json()["code"] == "no_cadet_record"


def test_a_client_that_folds_the_events_holds_what_it_would_fetch(
    admin: Person, instructor: StaffPerson, liza: CadetPerson
) -> None:
    ids = [instructor.client.post(PATH, given(liza, points=points)).json()["id"] for points in (1, 2, 3)]
    admin.client.post(f"{PATH}/{ids[1]}/revoke", {"reason": "By order"})
    state: dict[int, dict[str, Any]] = {}
    for event in Event.objects.order_by("id"):
        data = dict(event.data)
        if event.type == "merit.issued":
            state[data["id"]] = {**data, "revoked_at": None, "revoke_reason": None}
        else:
            state[data["id"]].update(data)
    fetched = liza.client.get(OWN).json()["results"]
    assert len(fetched) == 3
    for row in fetched:
        for name, value in state[row["id"]].items():
            assert value == (row["cadet"]["id"] if name == "cadet_id" else row[name])
