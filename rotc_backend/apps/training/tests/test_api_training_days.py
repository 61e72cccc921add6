import datetime as dt
from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.accounts.tests.factories import Person
from apps.cadets.models import Term
from apps.cadets.tests import factories as cadets
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.training.models import TrainingDay
from apps.training.tests import factories
from apps.training.tests.problems import fields_of, problem_of
from core.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/training-days"
EVERYBODY = ["role:admin", "role:training_staff", "role:cadet"]


def told(body: dict[str, Any]) -> dict[str, Any]:
    """What events say of a day that is fetched like this."""
    return {name: value for name, value in body.items() if name not in {"created_at", "updated_at", "attendance"}}


def given(**fields: Any) -> dict[str, Any]:
    return {"date": str(cadets.today()), "title": "Basic drill", **fields}


# --- Create -----------------------------------------------------------------------------------------------------------


def test_staff_add_a_day_to_the_current_term(instructor: StaffPerson) -> None:
    term = cadets.term()
    answer = instructor.client.post(PATH, given(location="Parade ground"))
    assert answer.status_code == 201
    body = answer.json()
    day = TrainingDay.objects.get()
    assert day.term == term
    assert body == {
        "id": day.pk,
        "term_id": term.pk,
        "date": str(cadets.today()),
        "title": "Basic drill",
        "description": "",
        "location": "Parade ground",
        "late_after": None,
        "cancelled_at": None,
        "cancel_reason": "",
        "version": 1,
        "created_at": body["created_at"],
        "updated_at": body["updated_at"],
    }
    assert answer["ETag"] == '"v1"'
    fetched = instructor.client.get(answer["Location"]).json()
    assert fetched == {**body, "attendance": dict.fromkeys(("present", "late", "excused", "absent", "unmarked"), 0)}


def test_adding_leaves_an_audit_entry_and_tells_everybody_once(instructor: StaffPerson) -> None:
    cadets.term()
    body = instructor.client.post(PATH, given()).json()
    entry = AuditEntry.objects.get(action="training_day.create")
    assert (entry.actor, entry.target) == (instructor.user, f"training_day:{body['id']}")
    event = Event.objects.get()
    assert (event.type, event.recipients) == ("training_day.created", EVERYBODY)
    assert event.data == told(body)


def test_the_time_from_which_one_is_late_is_kept_told_and_audited(instructor: StaffPerson) -> None:
    cadets.term()
    body = instructor.client.post(PATH, given(late_after="07:30")).json()
    assert body["late_after"] == "07:30:00"
    address = f"{PATH}/{body['id']}"
    assert TrainingDay.objects.get().late_after == dt.time(7, 30)
    assert instructor.client.get(address).json()["late_after"] == "07:30:00"
    assert Event.objects.get().data == told(body)
    created = AuditEntry.objects.get(action="training_day.create").after
    assert created is not None
    assert created["late_after"] == "07:30:00"
    for version, (late_after, shown) in enumerate([("07:45:30", "07:45:30"), (None, None)], start=1):
        answer = instructor.client.patch(address, {"late_after": late_after}, HTTP_IF_MATCH=f'"v{version}"')
        assert (answer.status_code, answer.json()["late_after"]) == (200, shown)
        latest = Event.objects.order_by("-id").first()
        assert latest is not None
        assert (latest.type, latest.data) == ("training_day.changed", told(answer.json()))
    trail = AuditEntry.objects.filter(action="training_day.change").order_by("id").values_list("before", "after")
    assert list(trail) == [
        ({"late_after": "07:30:00"}, {"late_after": "07:45:30"}),
        ({"late_after": "07:45:30"}, {"late_after": None}),
    ]
    same = instructor.client.patch(address, {"late_after": None}, HTTP_IF_MATCH='"v3"')
    assert (same.status_code, same["ETag"], Event.objects.count()) == (200, '"v3"', 3)


def test_several_days_on_a_date_are_possible(admin: Person) -> None:
    cadets.term()
    assert [admin.client.post(PATH, given()).status_code for _ in range(2)] == [201, 201]


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"date": "2020-01-01"}, "date", "outside_term"),
        ({"date": "9999-12-31"}, "date", "outside_term"),
        ({"date": "22.08.2026"}, "date", "invalid"),
        ({"title": " "}, "title", "blank"),
        ({"title": "nul \x00"}, "title", "null_characters_not_allowed"),
        ({"title": "x" * 121}, "title", "max_length"),
        ({"description": "x" * 4001}, "description", "max_length"),
        ({"term_id": 10**9}, "term_id", "unknown_term"),
        ({"term_id": 2**63}, "term_id", "max_value"),
        ({"titel": "x"}, "titel", "unknown_field"),
        ({"late_after": "25:00"}, "late_after", "invalid"),
        ({"late_after": "7.30"}, "late_after", "invalid"),
        ({"late_after": "07:30:00+08:00"}, "late_after", "invalid"),
        ({"late_after": "2026-08-22T07:30:00"}, "late_after", "invalid"),
        ({"late_after": ""}, "late_after", "invalid"),
        ({"late_after": 730}, "late_after", "invalid"),
        ({"late_after": ["07:30"]}, "late_after", "invalid"),
        ({"late_after": "07:30\x00"}, "late_after", "invalid"),
    ],
)
def test_a_field_that_needs_correction_is_named_and_nothing_is_written(
    admin: Person, change: dict[str, Any], field: str, code: str
) -> None:
    cadets.term()
    assert fields_of(admin.client.post(PATH, given(**change))) == {field: code}
    assert not TrainingDay.objects.exists()
    assert not Event.objects.exists()


def test_half_a_character_is_refused(admin: Person) -> None:
    cadets.term()
    body = '{"date": "2026-01-01", "title": "half \\ud83d"}'
    answer = admin.client.post(PATH, body, content_type="application/json")
    assert fields_of(answer) == {"title": "surrogate_characters_not_allowed"}


def test_the_longest_fields_fit_into_an_event(admin: Person) -> None:
    cadets.term()
    longest = given(title="\x01" * 120, description="\x01" * 3998 + "xx", location="😀" * 120)
    assert admin.client.post(PATH, longest).status_code == 201


def test_the_first_and_the_last_date_of_a_term_belong_to_it(admin: Person) -> None:
    term = cadets.term()
    for date, status in (
        (term.starts_on, 201),
        (term.ends_on, 201),
        (term.starts_on - dt.timedelta(days=1), 400),
        (term.ends_on + dt.timedelta(days=1), 400),
    ):
        assert admin.client.post(PATH, given(date=str(date))).status_code == status


def test_a_closed_term_takes_no_day(admin: Person) -> None:
    cadets.term(closed=True)
    assert problem_of(admin.client.post(PATH, given())) == (409, "term_closed")
    assert not TrainingDay.objects.exists()


def test_without_a_current_term_one_has_to_be_named(admin: Person) -> None:
    term = cadets.former_term()
    assert problem_of(admin.client.post(PATH, given())) == (404, "no_current_term")
    assert problem_of(admin.client.get(PATH)) == (404, "no_current_term")
    named = given(term_id=term.pk, date=str(term.starts_on))
    assert admin.client.post(PATH, named).status_code == 201
    assert admin.client.get(PATH, {"term": term.pk}).json()["count"] == 1


def test_a_cadet_reads_days_and_changes_none(cadet: CadetPerson) -> None:
    day = factories.day()
    client = cadet.client
    assert client.get(PATH).json()["count"] == 1
    assert client.get(f"{PATH}/{day.pk}").json()["attendance"] is None
    for answer in (
        client.post(PATH, given()),
        client.patch(f"{PATH}/{day.pk}", {"title": "x"}, HTTP_IF_MATCH='"v1"'),
        client.post(f"{PATH}/{day.pk}/cancel", {"reason": "x"}),
        client.post(f"{PATH}/{day.pk}/reinstate"),
    ):
        assert problem_of(answer) == (403, "permission_denied")
    day.refresh_from_db()
    assert (day.version, TrainingDay.objects.count()) == (1, 1)


# --- List -------------------------------------------------------------------------------------------------------------


def test_days_come_by_date_and_are_filtered(cadet: CadetPerson) -> None:
    third, first = factories.day(1), factories.day(9)
    second = factories.day(5, cancelled_at=now(), cancel_reason="Storm")
    factories.day(200, term=cadets.former_term())

    def ids(**query: Any) -> list[int]:
        return [row["id"] for row in cadet.client.get(PATH, query).json()["results"]]

    assert ids() == [first.pk, second.pk, third.pk]
    assert ids(cancelled="true") == [second.pk]
    assert ids(cancelled="false") == [first.pk, third.pk]
    assert ids(**{"from": str(second.date)}) == [second.pk, third.pk]
    assert ids(to=str(second.date)) == [first.pk, second.pk]
    assert ids(page=2, page_size=2) == [third.pk]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"term": "x"}, "invalid"),
        ({"term": 2**70}, "max_value"),
        ({"from": "tomorrow"}, "invalid"),
        ({"cancelled": "perhaps"}, "invalid"),
        ({"form": "2026-01-01"}, "unknown_field"),
        ({"page_size": 201}, "out_of_range"),
    ],
)
def test_a_filter_that_cannot_be_read_is_named(cadet: CadetPerson, query: dict[str, Any], code: str) -> None:
    assert fields_of(cadet.client.get(PATH, query)) == {next(iter(query)): code}


def test_the_second_reading_comes_from_the_cache_and_a_write_is_seen_at_once(admin: Person, cadet: CadetPerson) -> None:
    day = factories.day()
    assert cadet.client.get(PATH)["Cache-Status"] == "rgms; fwd=uri-miss; stored"
    assert admin.client.get(PATH)["Cache-Status"] == "rgms; hit"
    address = f"{PATH}/{day.pk}"
    for write, seen in (
        (lambda: admin.client.post(PATH, given()), lambda rows: len(rows) == 2),
        (
            lambda: admin.client.patch(address, {"title": "Moved"}, HTTP_IF_MATCH='"v1"'),
            lambda rows: rows[0]["title"] == "Moved",
        ),
        (lambda: admin.client.post(f"{address}/cancel", {"reason": "Storm"}), lambda rows: rows[0]["cancelled_at"]),
        (lambda: admin.client.post(f"{address}/reinstate"), lambda rows: rows[0]["cancelled_at"] is None),
    ):
        assert write().status_code < 300
        answer = cadet.client.get(PATH)
        assert answer["Cache-Status"] == "rgms; fwd=stale; stored"
        assert seen(answer.json()["results"])


# --- One day ----------------------------------------------------------------------------------------------------------


def test_the_detail_counts_each_status_and_who_is_not_marked(admin: Person) -> None:
    day = factories.day()
    people = [cadets.enrolled().cadet for _ in range(6)]
    for who, status in zip(people, ("present", "present", "late", "excused", "absent"), strict=False):
        factories.record(day, who, status)
    cadets.enrolled(archived_at=now())
    counts = admin.client.get(f"{PATH}/{day.pk}").json()["attendance"]
    assert counts == {"present": 2, "late": 1, "excused": 1, "absent": 1, "unmarked": 1}


@pytest.mark.parametrize("number", ["0", "999999", "9223372036854775808", "99999999999999999999999"])
def test_a_day_that_is_not_there_is_not_found(admin: Person, number: str) -> None:
    for path in (number, f"{number}/attendance", f"{number}/attendance/1", f"{number}/staff-attendance"):
        answer = admin.client.put(f"{PATH}/{path}", {"status": "present"})
        assert answer.status_code in {404, 405}
    assert problem_of(admin.client.get(f"{PATH}/{number}")) == (404, "not_found")


# --- Change -----------------------------------------------------------------------------------------------------------


def test_a_change_tells_what_differs_and_counts_the_version(admin: Person) -> None:
    day = factories.day(7)
    new = str(day.date + dt.timedelta(days=1))
    answer = admin.client.patch(f"{PATH}/{day.pk}", {"date": new, "title": day.title}, HTTP_IF_MATCH='"v1"')
    assert (answer.status_code, answer["ETag"]) == (200, '"v2"')
    assert (answer.json()["date"], answer.json()["version"]) == (new, 2)
    entry = AuditEntry.objects.get(action="training_day.change")
    assert (entry.before, entry.after) == ({"date": str(day.date)}, {"date": new})
    event = Event.objects.get()
    assert (event.type, event.recipients, event.data["date"]) == ("training_day.changed", EVERYBODY, new)


def test_a_change_that_changes_nothing_is_not_told(admin: Person) -> None:
    day = factories.day()
    answer = admin.client.patch(f"{PATH}/{day.pk}", {"title": day.title}, HTTP_IF_MATCH='"v1"')
    assert (answer.status_code, answer["ETag"]) == (200, '"v1"')
    assert not Event.objects.exists()
    assert not AuditEntry.objects.filter(action__startswith="training_day").exists()


def test_a_change_has_to_know_what_it_changes(admin: Person) -> None:
    address = f"{PATH}/{factories.day().pk}"
    assert problem_of(admin.client.patch(address, {"title": "x"})) == (428, "if_match_missing")
    assert admin.client.patch(address, {"title": "x"}, HTTP_IF_MATCH='"v1"').status_code == 200
    assert problem_of(admin.client.patch(address, {"title": "y"}, HTTP_IF_MATCH='"v1"')) == (412, "version_changed")
    assert TrainingDay.objects.get().title == "x"


def test_a_day_stays_in_its_term(admin: Person) -> None:
    address = f"{PATH}/{factories.day().pk}"
    assert fields_of(admin.client.patch(address, {"date": "2001-01-01"}, HTTP_IF_MATCH='"v1"')) == {
        "date": "outside_term"
    }
    assert fields_of(admin.client.patch(address, {"term_id": 1}, HTTP_IF_MATCH='"v1"')) == {"term_id": "unknown_field"}


# --- Cancel and reinstate ---------------------------------------------------------------------------------------------


def test_a_day_is_cancelled_with_a_reason_once_and_reinstated_once(admin: Person) -> None:
    day = factories.day()
    address = f"{PATH}/{day.pk}"
    assert fields_of(admin.client.post(f"{address}/cancel", {})) == {"reason": "required"}
    cancelled = admin.client.post(f"{address}/cancel", {"reason": "Storm"}).json()
    assert (cancelled["cancel_reason"], cancelled["version"]) == ("Storm", 2)
    assert problem_of(admin.client.post(f"{address}/cancel", {"reason": "x"})) == (409, "day_cancelled")
    reinstated = admin.client.post(f"{address}/reinstate").json()
    assert (reinstated["cancelled_at"], reinstated["cancel_reason"]) == (None, "")
    assert problem_of(admin.client.post(f"{address}/reinstate")) == (409, "day_not_cancelled")
    assert [event.type for event in Event.objects.order_by("id")] == ["training_day.cancelled", "training_day.changed"]
    entries = AuditEntry.objects.filter(target=f"training_day:{day.pk}").order_by("id")
    assert list(entries.values_list("action", flat=True)) == [
        "training_day.cancel",
        "training_day.reinstate",
    ]


def test_nothing_of_a_closed_term_changes(admin: Person) -> None:
    day, cancelled = factories.day(), factories.day(cancelled_at=now(), cancel_reason="Storm")
    Term.objects.update(closed_at=now())
    for answer in (
        admin.client.patch(f"{PATH}/{day.pk}", {"title": "x"}, HTTP_IF_MATCH='"v1"'),
        admin.client.patch(f"{PATH}/{day.pk}", {"date": str(cadets.today())}, HTTP_IF_MATCH='"v1"'),
        admin.client.post(f"{PATH}/{day.pk}/cancel", {"reason": "x"}),
        admin.client.post(f"{PATH}/{cancelled.pk}/reinstate"),
    ):
        assert problem_of(answer) == (409, "term_closed")
    assert not Event.objects.exists()


def test_a_client_that_folds_the_events_holds_what_it_would_fetch(admin: Person) -> None:
    cadets.term()
    ids = [admin.client.post(PATH, given(title=title)).json()["id"] for title in "abc"]
    admin.client.patch(f"{PATH}/{ids[0]}", {"title": "z"}, HTTP_IF_MATCH='"v1"')
    for day_id in ids[1:]:
        admin.client.post(f"{PATH}/{day_id}/cancel", {"reason": "Storm"})
    admin.client.post(f"{PATH}/{ids[2]}/reinstate")
    state: dict[int, dict[str, Any]] = {}
    for event in Event.objects.order_by("id"):
        state.setdefault(event.data["id"], {}).update(event.data)
    fetched = admin.client.get(PATH).json()["results"]
    assert [{name: row[name] for name in state[row["id"]]} for row in fetched] == [state[row["id"]] for row in fetched]
    assert len(state) == len(fetched) == 3


# --- The term ---------------------------------------------------------------------------------------------------------


def test_a_term_is_not_shortened_past_a_day_that_counts(admin: Person) -> None:
    early, late = factories.day(50), factories.day(-50)
    term = cadets.term()
    path = f"/api/v1/terms/{term.pk}"
    for change in ({"starts_on": early.date + dt.timedelta(days=1)}, {"ends_on": late.date - dt.timedelta(days=1)}):
        answer = admin.client.patch(path, change, HTTP_IF_MATCH='"v1"')
        assert problem_of(answer) == (409, "training_days_outside")
    assert Term.objects.get() == term
    assert not AuditEntry.objects.filter(action="term.change").exists()
    TrainingDay.objects.filter(pk=late.pk).update(cancelled_at=now(), cancel_reason="Storm")
    dates = {"starts_on": early.date, "ends_on": late.date - dt.timedelta(days=1)}
    assert admin.client.patch(path, dates, HTTP_IF_MATCH='"v1"').status_code == 200
    assert fields_of(admin.client.post(f"{PATH}/{late.pk}/reinstate")) == {"date": "outside_term"}


def test_days_of_another_term_do_not_matter(admin: Person) -> None:
    factories.day(200, term=cadets.former_term())
    term = cadets.term()
    change = {"ends_on": term.ends_on - dt.timedelta(days=1)}
    assert admin.client.patch(f"/api/v1/terms/{term.pk}", change, HTTP_IF_MATCH='"v1"').status_code == 200


def test_the_days_of_a_term_that_does_not_exist_are_not_found_and_not_cached(
    cadet: CadetPerson, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("apps.training.api.views.days.read_through", lambda **given: asked.append(given["key"]))
    for number in (10**9, 2**63 - 1):
        assert problem_of(cadet.client.get(PATH, {"term": number})) == (404, "not_found")
    assert asked == []


def test_the_trail_of_a_new_day_holds_all_that_was_given(admin: Person) -> None:
    cadets.term()
    body = given(description="Facings and marching.", location="Parade ground")
    admin.client.post(PATH, body)
    after = AuditEntry.objects.get(action="training_day.create").after
    assert after == {"term_id": cadets.term().pk, "late_after": None, **body}
