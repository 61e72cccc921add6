import datetime as dt
from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Company, Enrollment, Semester, Term
from apps.cadets.tests import factories
from apps.cadets.tests.expectations import at_once, fields_of, recorded, refused, told
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/enrollments"
STAFF = ["role:admin", "role:training_staff"]


def of(cadet_id: int) -> str:
    return f"/api/v1/cadets/{cadet_id}/enrollments"


# --- Create -----------------------------------------------------------------------------------------------------------


def test_a_cadet_is_enrolled_in_the_current_term_from_today(
    admin: Person, term: Term, alpha: Company, liza: CadetPerson
) -> None:
    cadet = factories.cadet("2024-9", last_name="Uy", first_name="Ana")
    answer = admin.client.post(of(cadet.pk), {"company_id": alpha.pk, "rank": "CDT CPL", "battalion": "1st"})
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert body == {
        "id": body["id"],
        "cadet": {
            "id": cadet.pk,
            "student_id": "2024-9",
            "last_name": "Uy",
            "first_name": "Ana",
            "middle_name": "",
            "suffix": "",
            "full_name": "Uy, Ana",
        },
        "term": admin.client.get("/api/v1/terms/current").json(),
        "company": {"id": alpha.pk, "name": "Alpha"},
        "platoon": None,
        "battalion": "1st",
        "position": "",
        "rank": "CDT CPL",
        "level": "MS1",
        "status": "ongoing",
        "enrolled_on": str(factories.today()),
        "version": 1,
    }
    assert answer["ETag"] == '"v1"'
    assert admin.client.get(answer["Location"]).json() == body
    assert told() == [("enrollment.created", STAFF)]
    entry = AuditEntry.objects.get(action="enrollment.create")
    assert entry.after is not None
    assert (entry.after["cadet_id"], entry.after["company_id"]) == (cadet.pk, alpha.pk)


def test_the_cadet_hears_of_the_own_enrollment(admin: Person, liza: CadetPerson) -> None:
    former = factories.former_term()
    answer = admin.client.post(of(liza.cadet.pk), {"term_id": former.pk})
    assert answer.status_code == 201
    assert told() == [("enrollment.created", [*STAFF, f"user:{liza.user.pk}"])]


@pytest.mark.parametrize(("begins_in", "lasts"), [(10, 100), (-300, 100)])
def test_outside_of_the_term_the_nearest_day_of_it_counts(admin: Person, begins_in: int, lasts: int) -> None:
    starts_on = factories.today() + dt.timedelta(days=begins_in)
    ends_on = starts_on + dt.timedelta(days=lasts)
    other = factories.term(starts_on=starts_on, ends_on=ends_on)
    body = admin.client.post(of(factories.cadet().pk), {"term_id": other.pk}).json()
    assert body["enrolled_on"] == str(starts_on if begins_in > 0 else ends_on)


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({"term_id": 999}, "term_id", "unknown_term"),
        ({"term_id": 2**63}, "term_id", "max_value"),
        ({"term_id": None}, "term_id", "null"),
        ({"company_id": 999}, "company_id", "unknown_company"),
        ({"company_id": "Alpha"}, "company_id", "invalid"),
        ({"platoon_id": 999}, "platoon_id", "unknown_platoon"),
        ({"enrolled_on": "2001-01-01"}, "enrolled_on", "outside_term"),
        ({"rank": "GEN"}, "rank", "invalid_choice"),
        ({"level": "MS5"}, "level", "invalid_choice"),
        ({"status": "passed"}, "status", "invalid_choice"),
        ({"cadet_id": 1}, "cadet_id", "unknown_field"),
    ],
)
def test_a_field_that_needs_correction_is_named_and_nothing_is_written(
    admin: Person, term: Term, given: dict[str, Any], field: str, code: str
) -> None:
    assert fields_of(admin.client.post(of(factories.cadet().pk), given)) == {field: code}
    assert not Enrollment.objects.exists()
    assert told() == []
    assert recorded("enrollment.") == []


def test_a_cadet_is_enrolled_in_a_term_once_also_when_asked_at_once(admin: Person, term: Term) -> None:
    cadet = factories.cadet()
    answers = at_once(*[lambda: admin.client.post(of(cadet.pk), {})] * 3)
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert refused(admin.client.post(of(cadet.pk), {})) == (409, "already_enrolled")
    assert len(told()) == 1


def test_nobody_is_enrolled_who_is_archived_or_where_the_term_is_closed(admin: Person, term: Term) -> None:
    cadet = factories.cadet(archived_at=now())
    assert refused(admin.client.post(of(cadet.pk), {})) == (409, "cadet_archived")
    closed = factories.term(semester=Semester.SECOND, is_current=False, closed=True)
    assert refused(admin.client.post(of(factories.cadet().pk), {"term_id": closed.pk})) == (409, "term_closed")
    assert refused(admin.client.post(of(999), {})) == (404, "not_found")
    assert not Enrollment.objects.exists()


def test_without_a_current_term_one_has_to_be_named(admin: Person) -> None:
    assert refused(admin.client.post(of(factories.cadet().pk), {})) == (404, "no_current_term")


# --- Change -----------------------------------------------------------------------------------------------------------


def test_moving_to_another_company_is_told_with_the_one_before(
    admin: Person, liza: CadetPerson, alpha: Company, bravo: Company
) -> None:
    path = f"{PATH}/{liza.enrollment.pk}"
    answer = admin.client.patch(path, {"company_id": bravo.pk}, headers={"if-match": '"v1"'})
    assert (answer.status_code, answer["ETag"]) == (200, '"v2"')
    assert answer.json()["company"] == {"id": bravo.pk, "name": "Bravo"}
    assert told() == [("enrollment.changed", [*STAFF, f"user:{liza.user.pk}"])]
    data = Event.objects.get().data
    assert (data["previous_company_id"], data["company_id"]) == (alpha.pk, bravo.pk)
    entry = AuditEntry.objects.get(action="enrollment.change")
    assert (entry.before, entry.after) == ({"company_id": alpha.pk}, {"company_id": bravo.pk})


def test_company_and_platoon_can_be_left(admin: Person, liza: CadetPerson) -> None:
    path = f"{PATH}/{liza.enrollment.pk}"
    body = admin.client.patch(path, {"company_id": None, "platoon_id": None}, headers={"if-match": '"v1"'}).json()
    assert (body["company"], body["platoon"]) == (None, None)


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed", "dropped", "deferred"])
def test_the_status_changes_and_nothing_else(admin: Person, liza: CadetPerson, status: str) -> None:
    path = f"{PATH}/{liza.enrollment.pk}"
    before = admin.client.get(path).json()
    after = admin.client.patch(path, {"status": status}, headers={"if-match": '"v1"'}).json()
    assert after == {**before, "status": status, "version": 2}


def test_a_change_that_changes_nothing_is_not_told(admin: Person, liza: CadetPerson, alpha: Company) -> None:
    answer = admin.client.patch(
        f"{PATH}/{liza.enrollment.pk}", {"company_id": alpha.pk, "status": "ongoing"}, headers={"if-match": '"v1"'}
    )
    assert answer["ETag"] == '"v1"'
    assert told() == []
    assert recorded("enrollment.") == []


def test_cadet_and_term_of_an_enrollment_stay(admin: Person, liza: CadetPerson) -> None:
    for name in ("cadet_id", "term_id"):
        answer = admin.client.patch(f"{PATH}/{liza.enrollment.pk}", {name: 1}, headers={"if-match": '"v1"'})
        assert fields_of(answer) == {name: "unknown_field"}


def test_nothing_changes_in_a_closed_term(admin: Person, liza: CadetPerson, term: Term) -> None:
    Term.objects.filter(pk=term.pk).update(closed_at=now())
    answer = admin.client.patch(f"{PATH}/{liza.enrollment.pk}", {"status": "failed"}, headers={"if-match": '"v1"'})
    assert refused(answer) == (409, "term_closed")
    liza.enrollment.refresh_from_db()
    assert liza.enrollment.status == "ongoing"
    assert told() == []


def test_of_two_who_change_the_same_version_one_is_told_so(
    admin: Person, liza: CadetPerson, alpha: Company, bravo: Company
) -> None:
    path = f"{PATH}/{liza.enrollment.pk}"
    changes: list[dict[str, Any]] = [{"company_id": bravo.pk}, {"status": "dropped"}]
    answers = at_once(
        *[lambda change=change: admin.client.patch(path, change, headers={"if-match": '"v1"'}) for change in changes]
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    assert len(told()) == 1


def test_a_change_needs_the_version(admin: Person, liza: CadetPerson) -> None:
    path = f"{PATH}/{liza.enrollment.pk}"
    assert refused(admin.client.patch(path, {"status": "failed"})) == (428, "if_match_missing")
    assert refused(admin.client.patch(f"{PATH}/999", {}, headers={"if-match": '"v1"'})) == (404, "not_found")


def test_a_new_place_moves_what_is_cached_about_grades_and_standing(
    admin: Person, liza: CadetPerson, term: Term
) -> None:
    from apps.cadets import rules
    from core.cache import read_through

    versions = [rules.grades_version(term.pk), rules.standing_version(liza.cadet.pk), rules.roster_version()]

    def cached(version: str, value: int) -> Any:
        return read_through(key=f"probe:{version}", versions=[version], ttl=60, compute=lambda: value)

    assert [cached(version, 1) for version in versions] == [1, 1, 1]
    admin.client.patch(f"{PATH}/{liza.enrollment.pk}", {"status": "failed"}, headers={"if-match": '"v1"'})
    assert [cached(version, 2) for version in versions] == [2, 2, 2]


# --- Lists ------------------------------------------------------------------------------------------------------------


def test_enrollments_are_listed_by_term_and_name_and_filtered(
    instructor: StaffPerson, liza: CadetPerson, omar: CadetPerson, term: Term, bravo: Company
) -> None:
    former = factories.former_term()
    old = factories.enroll(liza.cadet, term=former, company=bravo, platoon=None, level="MS2", status="completed")
    factories.enrolled("gone", archived_at=now())
    first, second = omar.enrollment.pk, liza.enrollment.pk

    def found(**query: Any) -> list[int]:
        return [row["id"] for row in instructor.client.get(PATH, query).json()["results"]]

    assert found() == [first, second, old.pk]
    assert found(term=term.pk) == [first, second]
    assert (
        found(term=former.pk) == found(company=bravo.pk) == found(level="MS2") == found(status="completed") == [old.pk]
    )
    assert found(platoon=omar.enrollment.platoon_id) == [first, second]
    assert found(search="macaraeg liza") == [second, old.pk]
    assert len(found(archived="true")) == 1
    assert fields_of(instructor.client.get(PATH, {"cadet": "x"})) == {"cadet": "unknown_field"}


def test_a_cadets_enrollments_come_with_the_latest_term_first(instructor: StaffPerson, liza: CadetPerson) -> None:
    old = factories.enroll(liza.cadet, term=factories.former_term())
    body = instructor.client.get(of(liza.cadet.pk)).json()
    assert [row["id"] for row in body["results"]] == [liza.enrollment.pk, old.pk]
    assert refused(instructor.client.get(of(999))) == (404, "not_found")


def test_the_list_takes_as_many_queries_for_many_as_for_one(
    instructor: StaffPerson, liza: CadetPerson, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        factories.enrolled()
    client = instructor.client
    client.get("/api/v1/terms")
    with django_assert_max_num_queries(2):
        assert len(client.get(PATH).json()["results"]) == 21


def test_staff_read_and_do_not_write(instructor: StaffPerson, liza: CadetPerson) -> None:
    path = f"{PATH}/{liza.enrollment.pk}"
    assert instructor.client.get(path).status_code == 200
    assert refused(instructor.client.patch(path, {"status": "failed"}, headers={"if-match": '"v1"'})) == (
        403,
        "permission_denied",
    )
    assert refused(liza.client.get(path)) == (403, "permission_denied")
