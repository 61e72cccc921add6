import datetime as dt
from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Semester, Term
from apps.cadets.services.terms import term_dates_change, term_hold_open
from apps.cadets.tests import factories
from apps.cadets.tests.expectations import at_once, fields_of, recorded, refused, told
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from core.clock import now
from core.errors import Conflict, NotFound

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/terms"
GIVEN = {"school_year": "2027-2028", "semester": "1st", "starts_on": "2027-08-09", "ends_on": "2027-12-17"}
EVERYBODY = ["role:admin", "role:training_staff", "role:cadet"]


def test_an_administrator_makes_a_term_that_is_not_yet_current(admin: Person) -> None:
    answer = admin.client.post(PATH, GIVEN)
    assert answer.status_code == 201
    body = answer.json()
    row = Term.objects.get()
    assert body == {"id": row.pk, **GIVEN, "is_current": False, "closed_at": None, "version": 1}
    assert answer["ETag"] == '"v1"'
    assert admin.client.get(answer["Location"]).json() == body
    assert told() == [("term.created", EVERYBODY)]
    entry = AuditEntry.objects.get(action="term.create")
    assert (entry.actor, entry.target, entry.after) == (admin.user, f"term:{row.pk}", GIVEN)


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"school_year": "2027-2029"}, "school_year", "not_consecutive"),
        ({"school_year": "2027/2028"}, "school_year", "invalid"),
        ({"school_year": "٢٠٢٥-٢٠٢٦"}, "school_year", "invalid"),
        ({"semester": "3rd"}, "semester", "invalid_choice"),
        ({"semester": ["1st"]}, "semester", "invalid_choice"),
        ({"starts_on": "2027-13-01"}, "starts_on", "invalid"),
        ({"ends_on": "2027-08-08"}, "ends_on", "before_start"),
        ({"is_current": True}, "is_current", "unknown_field"),
        ({"school_year": "2027-2028\x00"}, "school_year", "invalid"),
    ],
)
def test_a_field_that_needs_correction_is_named_and_nothing_is_written(
    admin: Person, change: dict[str, Any], field: str, code: str
) -> None:
    assert fields_of(admin.client.post(PATH, {**GIVEN, **change}))[field] == code
    assert not Term.objects.exists()
    assert told() == []
    assert recorded("term.") == []


def test_a_body_that_is_no_object_is_refused(admin: Person) -> None:
    body: Any
    for body in ([], "x", 1, None):
        assert admin.client.post(PATH, body, format="json").status_code == 400


def test_a_term_exists_once(admin: Person) -> None:
    admin.client.post(PATH, GIVEN)
    assert refused(admin.client.post(PATH, GIVEN)) == (409, "term_exists")
    other = admin.client.post(PATH, {**GIVEN, "semester": "2nd"})
    answer = admin.client.patch(other["Location"], {"semester": "1st"}, headers={"if-match": '"v1"'})
    assert refused(answer) == (409, "term_exists")
    assert Term.objects.count() == 2


def test_the_same_term_made_twice_at_once_is_made_once(admin: Person) -> None:
    answers = at_once(*[lambda: admin.client.post(PATH, GIVEN)] * 3)
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert told() == [("term.created", EVERYBODY)]


def test_everybody_reads_terms_and_only_administrators_write_them(
    admin: Person, instructor: StaffPerson, liza: CadetPerson, term: Term
) -> None:
    former = factories.former_term()
    for person in (admin, instructor, liza):
        body = person.client.get(PATH).json()
        assert [row["id"] for row in body["results"]] == [term.pk, former.pk]
        assert person.client.get(f"{PATH}/{term.pk}").json()["id"] == term.pk
        assert person.client.get(f"{PATH}/current").json()["id"] == term.pk
    for person in (instructor, liza):
        assert refused(person.client.post(PATH, GIVEN)) == (403, "permission_denied")
        assert refused(person.client.patch(f"{PATH}/{term.pk}", {})) == (403, "permission_denied")
        assert refused(person.client.post(f"{PATH}/{former.pk}/make-current")) == (403, "permission_denied")
    assert Term.objects.get(is_current=True) == term


def test_without_a_current_term_that_is_said(admin: Person) -> None:
    assert refused(admin.client.get(f"{PATH}/current")) == (404, "no_current_term")


def test_dates_are_changed_with_the_version_that_was_read(admin: Person, term: Term) -> None:
    path = f"{PATH}/{term.pk}"
    tag = admin.client.get(path)["ETag"]
    later = (term.ends_on + dt.timedelta(days=7)).isoformat()
    answer = admin.client.patch(path, {"ends_on": later}, headers={"if-match": tag})
    assert (answer.status_code, answer.json()["ends_on"], answer["ETag"]) == (200, later, '"v2"')
    assert refused(admin.client.patch(path, {"ends_on": later}, headers={"if-match": tag})) == (412, "version_changed")
    assert refused(admin.client.patch(path, {"ends_on": later})) == (428, "if_match_missing")
    assert told() == [("term.changed", EVERYBODY)]
    entry = AuditEntry.objects.get(action="term.change")
    assert (entry.before, entry.after) == ({"ends_on": str(term.ends_on)}, {"ends_on": later})


def test_a_change_that_changes_nothing_is_not_told(admin: Person, term: Term) -> None:
    answer = admin.client.patch(f"{PATH}/{term.pk}", {"ends_on": str(term.ends_on)}, headers={"if-match": '"v1"'})
    assert (answer.status_code, answer["ETag"]) == (200, '"v1"')
    assert told() == []
    assert recorded("term.") == []


def test_a_change_is_checked_together_with_what_stays(admin: Person, term: Term) -> None:
    early = (term.starts_on - dt.timedelta(days=1)).isoformat()
    answer = admin.client.patch(f"{PATH}/{term.pk}", {"ends_on": early}, headers={"if-match": '"v1"'})
    assert fields_of(answer) == {"ends_on": "before_start"}


def test_days_on_which_somebody_was_enrolled_stay_in_the_term(admin: Person, liza: CadetPerson, term: Term) -> None:
    later = (term.starts_on + dt.timedelta(days=1)).isoformat()
    answer = admin.client.patch(f"{PATH}/{term.pk}", {"starts_on": later}, headers={"if-match": '"v1"'})
    assert refused(answer) == (409, "enrollments_outside")
    term.refresh_from_db()
    assert str(term.starts_on) != later


def test_a_closed_term_is_not_changed_and_not_made_current(admin: Person) -> None:
    closed = factories.term(closed=True, is_current=False)
    answer = admin.client.patch(f"{PATH}/{closed.pk}", {"semester": "2nd"}, headers={"if-match": '"v1"'})
    assert refused(answer) == (409, "term_closed")
    assert refused(admin.client.post(f"{PATH}/{closed.pk}/make-current")) == (409, "term_closed")
    assert told() == []


def test_making_a_term_current_replaces_the_one_before(admin: Person, term: Term) -> None:
    following = factories.term(semester=Semester.SECOND, is_current=False)
    answer = admin.client.post(f"{PATH}/{following.pk}/make-current")
    assert (answer.status_code, answer.json()["is_current"], answer["ETag"]) == (200, True, '"v2"')
    assert admin.client.get(f"{PATH}/current").json()["id"] == following.pk
    assert [row.data["is_current"] for row in Event.objects.order_by("id")] == [False, True]
    entry = AuditEntry.objects.get(action="term.make_current")
    assert (entry.before, entry.after) == ({"current": term.pk}, {"current": following.pk})
    Event.objects.all().delete()
    assert admin.client.post(f"{PATH}/{following.pk}/make-current")["ETag"] == '"v2"'
    assert told() == []
    assert recorded("term.make_current") == ["term.make_current"]


@pytest.mark.parametrize("with_current", [True, False])
def test_of_several_switches_at_once_one_term_remains_current(admin: Person, with_current: bool) -> None:
    if with_current:
        factories.term()
    rows = [factories.term(school_year=f"{year}-{year + 1}", is_current=False) for year in (2030, 2031, 2032, 2033)]
    answers = at_once(*[lambda row=row: admin.client.post(f"{PATH}/{row.pk}/make-current") for row in rows])
    assert [answer.status_code for answer in answers] == [200] * 4
    current = Term.objects.get(is_current=True)
    assert current in rows
    assert Event.objects.order_by("-id")[0].data["id"] == current.pk


def test_terms_that_do_not_exist_are_not_found(admin: Person) -> None:
    for path in (f"{PATH}/999", f"{PATH}/9223372036854775807", f"{PATH}/99999999999999999999", f"{PATH}/0"):
        assert refused(admin.client.get(path)) == (404, "not_found")
    assert refused(admin.client.post(f"{PATH}/999/make-current")) == (404, "not_found")
    assert refused(admin.client.patch(f"{PATH}/999", {}, headers={"if-match": '"v1"'})) == (404, "not_found")


# --- Held open --------------------------------------------------------------------------------------------------------


def test_a_term_is_held_open_only_inside_a_transaction(term: Term) -> None:
    with pytest.raises(RuntimeError):
        term_hold_open(term_id=term.pk)


def test_a_closed_or_missing_term_is_not_held(term: Term) -> None:
    from django.db import transaction

    with transaction.atomic():
        term_hold_open(term_id=term.pk)
    Term.objects.filter(pk=term.pk).update(closed_at=now())
    with transaction.atomic(), pytest.raises(Conflict) as caught:
        term_hold_open(term_id=term.pk)
    assert caught.value.code == "term_closed"
    with transaction.atomic(), pytest.raises(NotFound):
        term_hold_open(term_id=term.pk + 1)


def test_closing_waits_for_a_write_that_holds_the_term_open(term: Term) -> None:
    import threading

    from django.db import connection, transaction

    held, finish = threading.Event(), threading.Event()
    order: list[str] = []

    def write() -> None:
        try:
            with transaction.atomic():
                term_hold_open(term_id=term.pk)
                held.set()
                finish.wait(10)
                order.append("written")
        finally:
            connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    assert held.wait(10)
    threading.Timer(0.3, finish.set).start()
    with transaction.atomic():
        Term.objects.select_for_update().get(pk=term.pk)
        order.append("closed")
    writer.join(10)
    assert order == ["written", "closed"]


# --- What lies in a term ----------------------------------------------------------------------------------------------


def test_a_filter_that_does_not_exist_is_refused(admin: Person, liza: CadetPerson) -> None:
    for path in (PATH, f"/api/v1/cadets/{liza.cadet.pk}/enrollments"):
        assert fields_of(admin.client.get(path, {"currrent": "true"})) == {"currrent": "unknown_field"}
        assert admin.client.get(path, {"page": 1, "page_size": 5}).status_code == 200


def test_who_has_something_in_a_term_is_asked_before_its_dates_change(admin: Person, term: Term) -> None:
    asked: list[Any] = []

    def refuse(sender: Any, **dates: Any) -> None:
        asked.append((dates["term_id"], dates["ends_on"], Term.objects.get(pk=term.pk).ends_on))
        raise Conflict("Not so.", code="something_outside")

    earlier = term.ends_on - dt.timedelta(days=7)
    term_dates_change.connect(refuse)
    try:
        answer = admin.client.patch(f"{PATH}/{term.pk}", {"semester": "2nd"}, headers={"if-match": '"v1"'})
        assert (answer.status_code, asked) == (200, [])
        answer = admin.client.patch(f"{PATH}/{term.pk}", {"ends_on": str(earlier)}, headers={"if-match": '"v2"'})
        assert refused(answer) == (409, "something_outside")
    finally:
        term_dates_change.disconnect(refuse)
    assert asked == [(term.pk, earlier, term.ends_on)]
    assert Term.objects.get(pk=term.pk).ends_on == term.ends_on
    assert recorded("term.") == ["term.change"]
