from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Term
from apps.cadets.tests import factories as unit
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.grading.models import GradingPolicy
from apps.grading.tests import factories
from core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

DEFAULT = "/api/v1/grading-policy"
GIVEN = {
    "attendance_weight": "20",
    "aptitude_weight": "30.5",
    "subject_weight": "49.50",
    "attended_statuses": ["late", "present"],
    "bands": [{"lower_bound": "90", "equivalent": "1.00"}, {"lower_bound": "60.5", "equivalent": "3.00"}],
    "failing_equivalent": "5.00",
}


def of_term(term: Term) -> str:
    return f"/api/v1/terms/{term.pk}/grading-policy"


def fields_of(answer: Any) -> dict[str, str]:
    assert answer.status_code == 400, answer.content
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


def patch(person: Person, path: str, change: dict[str, Any], etag: str | None = '"v1"') -> Any:
    headers = {} if etag is None else {"If-Match": etag}
    return person.client.patch(path, change, headers=headers)


def total_of(person: CadetPerson) -> str:
    return str(person.client.get("/api/v1/cadets/me/standing").json()["total"])


# --- The default ------------------------------------------------------------------------------------------------------


def test_the_default_is_what_the_unit_decided(instructor: StaffPerson) -> None:
    answer = instructor.client.get(DEFAULT)
    body = answer.json()
    assert answer["ETag"] == '"v1"'
    assert (body["attendance_weight"], body["aptitude_weight"], body["subject_weight"]) == ("30.00", "30.00", "40.00")
    assert body["attended_statuses"] == ["present", "late", "excused"]
    assert [(band["lower_bound"], band["equivalent"]) for band in body["bands"]] == [
        ("95.00", "1.00"),
        ("90.00", "1.50"),
        ("85.00", "2.00"),
        ("80.00", "2.50"),
        ("75.00", "3.00"),
    ]
    assert (body["failing_equivalent"], body["term_id"], body["own"]) == ("5.00", None, False)


def test_an_administrator_changes_the_default_and_every_open_grade_follows(admin: Person, liza: CadetPerson) -> None:
    factories.scores(liza.enrollment, "100", "100", "100")
    assert total_of(liza) == "70.00"
    answer = patch(admin, DEFAULT, {"subject_weight": "50", "aptitude_weight": "20"})
    assert (answer.status_code, answer["ETag"]) == (200, '"v2"')
    assert (answer.json()["subject_weight"], answer.json()["aptitude_weight"]) == ("50.00", "20.00")
    assert admin.client.get(DEFAULT).json() == answer.json()
    assert total_of(liza) == "70.00"
    assert liza.client.get("/api/v1/cadets/me/standing").json()["subject"]["points"] == "50.00"
    entry = AuditEntry.objects.get(action="grading_policy.change")
    assert entry.before == {"subject_weight": "40.00", "aptitude_weight": "30.00"}
    assert entry.after == {"subject_weight": "50.00", "aptitude_weight": "20.00"}
    event = Event.objects.get(type="grading_policy.changed")
    assert (event.data, event.recipients) == (
        {"term_id": None},
        ["role:admin", "role:training_staff", "role:cadet"],
    )


def test_the_same_values_change_nothing(admin: Person) -> None:
    answer = patch(admin, DEFAULT, {"subject_weight": "40.0", "attended_statuses": ["excused", "late", "present"]})
    assert (answer.status_code, answer["ETag"]) == (200, '"v1"')
    assert not AuditEntry.objects.filter(action__startswith="grading_policy").exists()
    assert not Event.objects.filter(type="grading_policy.changed").exists()


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (
            {"attendance_weight": "30.01"},
            dict.fromkeys(("attendance_weight", "aptitude_weight", "subject_weight"), "weights_sum"),
        ),
        ({"attendance_weight": "-1"}, {"attendance_weight": "min_value"}),
        ({"attendance_weight": "30.001"}, {"attendance_weight": "max_decimal_places"}),
        ({"attendance_weight": "NaN"}, {"attendance_weight": "invalid"}),
        ({"attendance_weight": None}, {"attendance_weight": "null"}),
        ({"attended_statuses": []}, {"attended_statuses": "empty"}),
        ({"attended_statuses": ["asleep"]}, {"attended_statuses.0": "invalid_choice"}),
        ({"attended_statuses": ["late", "late"]}, {"attended_statuses": "invalid"}),
        ({"bands": []}, {"bands": "empty"}),
        ({"bands": [{"lower_bound": "101", "equivalent": "1.00"}]}, {"bands.0.lower_bound": "max_value"}),
        ({"bands": [{"lower_bound": "90", "equivalent": "one"}]}, {"bands.0.equivalent": "invalid"}),
        ({"bands": [{"lower_bound": "90.00"}]}, {"bands.0.equivalent": "required"}),
        (
            {"bands": [{"lower_bound": "90.00", "equivalent": "1.00"}, {}]},
            {"bands.1.lower_bound": "required", "bands.1.equivalent": "required"},
        ),
        (
            {"bands": [{"lower_bound": "90", "equivalent": "1.00"}, {"lower_bound": "90", "equivalent": "2.00"}]},
            {"bands.1.lower_bound": "not_descending"},
        ),
        ({"failing_equivalent": "3.00"}, {"bands.4.equivalent": "duplicate"}),
        ({"weights": 1}, {"weights": "unknown_field"}),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_by_field(
    admin: Person, change: dict[str, Any], fields: dict[str, str]
) -> None:
    assert fields_of(patch(admin, DEFAULT, change)) == fields
    assert GradingPolicy.objects.get(term=None).version == 1


def test_a_change_names_the_version_it_was_made_from(admin: Person) -> None:
    for etag, status, code in (
        (None, 428, "if_match_missing"),
        ('"v7"', 412, "version_changed"),
        ("v1", 400, "validation_failed"),
    ):
        answer = patch(admin, DEFAULT, {"failing_equivalent": "4.00"}, etag)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert GradingPolicy.objects.get(term=None).failing_equivalent == "5.00"


def test_only_staff_read_it_and_only_administrators_change_it(
    admin: Person, instructor: StaffPerson, liza: CadetPerson, term: Term
) -> None:
    for path in (DEFAULT, of_term(term)):
        assert liza.client.get(path).status_code == 403
        assert instructor.client.get(path).status_code == 200
        for person in (liza, instructor):
            assert patch(person, path, {"failing_equivalent": "4.00"}).status_code == 403
    assert instructor.client.put(of_term(term), GIVEN).status_code == 403
    assert GradingPolicy.objects.count() == 1


# --- A term's own -----------------------------------------------------------------------------------------------------


def test_a_term_follows_the_default_until_it_has_its_own(admin: Person, term: Term) -> None:
    assert admin.client.get(of_term(term)).json() == admin.client.get(DEFAULT).json()
    answer = admin.client.put(of_term(term), GIVEN)
    body = answer.json()
    assert (answer.status_code, answer["ETag"]) == (201, '"v2"')
    assert (body["own"], body["term_id"], body["subject_weight"]) == (True, term.pk, "49.50")
    assert body["attended_statuses"] == ["present", "late"]
    assert body["bands"][1] == {"lower_bound": "60.50", "equivalent": "3.00"}
    assert admin.client.get(of_term(term)).json() == body
    assert admin.client.get(DEFAULT).json()["subject_weight"] == "40.00"
    assert AuditEntry.objects.get(action="grading_policy.create").target == f"grading_policy:term:{term.pk}"
    assert Event.objects.get(type="grading_policy.changed").data == {"term_id": term.pk}


def test_giving_the_same_policy_again_changes_nothing_and_another_is_refused(admin: Person, term: Term) -> None:
    first = admin.client.put(of_term(term), GIVEN)
    again = admin.client.put(of_term(term), GIVEN)
    assert (again.status_code, again.json()) == (200, first.json())
    other = admin.client.put(of_term(term), {**GIVEN, "failing_equivalent": "6.00"})
    assert (other.status_code, other.json()["code"]) == (409, "policy_exists")
    assert Event.objects.filter(type="grading_policy.changed").count() == 1


def test_a_policy_is_given_whole(admin: Person, term: Term) -> None:
    assert fields_of(admin.client.put(of_term(term), {})) == dict.fromkeys(GIVEN, "required")


def test_changing_the_policy_of_a_term_that_follows_the_default_copies_it(admin: Person, term: Term) -> None:
    etag = admin.client.get(of_term(term))["ETag"]
    answer = patch(admin, of_term(term), {"attended_statuses": ["present"]}, etag)
    assert (answer.status_code, answer.json()["own"], answer.json()["version"]) == (200, True, 2)
    assert answer.json()["subject_weight"] == "40.00"
    assert admin.client.get(DEFAULT).json()["attended_statuses"] == ["present", "late", "excused"]
    # The default's tag is not the copy's: who read before the copy was made has to read again.
    assert patch(admin, of_term(term), {"attended_statuses": ["late"]}, etag).status_code == 412
    assert patch(admin, of_term(term), {"attended_statuses": ["late"]}, '"v2"').json()["version"] == 3
    patch(admin, DEFAULT, {"failing_equivalent": "6.00"})
    assert admin.client.get(of_term(term)).json()["failing_equivalent"] == "5.00"


def test_the_policy_of_a_closed_term_stays_as_it_is(admin: Person, liza: CadetPerson, term: Term) -> None:
    admin.client.post(f"/api/v1/terms/{term.pk}/close")
    for answer in (
        patch(admin, of_term(term), {"failing_equivalent": "4.00"}),
        admin.client.put(of_term(term), GIVEN),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "term_closed")
    # It followed the default, and keeps what that was.
    patch(admin, DEFAULT, {"failing_equivalent": "4.00"})
    body = admin.client.get(of_term(term)).json()
    assert (body["own"], body["failing_equivalent"]) == (True, "5.00")
    assert admin.client.get(f"/api/v1/terms/{term.pk}/verification").json()["sound"]


def test_a_policy_of_no_term_is_not_found(admin: Person) -> None:
    path = f"/api/v1/terms/{2**62}/grading-policy"
    for answer in (admin.client.get(path), admin.client.put(path, GIVEN), patch(admin, path, {})):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_policy_comes_from_the_cache_and_is_never_stale(admin: Person, term: Term) -> None:
    for path in (DEFAULT, of_term(term)):
        admin.client.get(path)
        assert admin.client.get(path)["Cache-Status"] == "rgms; hit"
    patch(admin, DEFAULT, {"failing_equivalent": "4.00"})
    for path in (DEFAULT, of_term(term)):
        assert admin.client.get(path).json()["failing_equivalent"] == "4.00"


def test_a_lost_default_comes_back_with_a_migration_and_an_existing_one_stays(term: Term) -> None:
    from django.core.management import call_command

    GradingPolicy.objects.filter(term=None).update(failing_equivalent="4.00")
    call_command("migrate", verbosity=0)
    assert GradingPolicy.objects.get(term=None).failing_equivalent == "4.00"
    GradingPolicy.objects.all().delete()
    call_command("migrate", verbosity=0)
    assert GradingPolicy.objects.get(term=None).failing_equivalent == "5.00"


def test_a_former_term_that_was_closed_is_not_touched_by_a_change_of_nothing(admin: Person) -> None:
    former = unit.former_term()
    Term.objects.filter(pk=former.pk).update(closed_at=now())
    patch(admin, DEFAULT, {"failing_equivalent": "5.00"})
    assert not GradingPolicy.objects.filter(term=former).exists()
