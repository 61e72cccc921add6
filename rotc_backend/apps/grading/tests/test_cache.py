"""No cached grade is ever stale: whatever is written, the next reading is what would be computed anew."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.accounts.tests.factories import Person
from apps.cadets.tests import factories as unit
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.grading.api.views import grades
from apps.grading.models import Adjustment, MeritDemerit
from apps.grading.tests import factories
from apps.training.models import TrainingDay
from core import cache

pytestmark = pytest.mark.django_db(transaction=True)

API = "/api/v1"


@dataclass(frozen=True, kw_only=True)
class World:
    """Two cadets with grades of every kind of row, and who writes."""

    admin: Person
    commandant: StaffPerson
    liza: CadetPerson
    omar: CadetPerson
    days: list[TrainingDay]

    @property
    def term(self) -> str:
        return f"{API}/terms/{self.liza.enrollment.term_id}"

    @property
    def enrollment(self) -> str:
        return f"{API}/enrollments/{self.liza.enrollment.pk}"

    @property
    def cadet(self) -> str:
        return f"{API}/cadets/{self.liza.cadet.pk}"

    @property
    def day(self) -> str:
        return f"{API}/training-days/{self.days[0].pk}"

    def patch(self, path: str, change: dict[str, Any]) -> Any:
        """As somebody who has just read it would."""
        client = self.admin.client
        etag = client.get(path)["ETag"]
        return client.patch(path, change, headers={"If-Match": etag})


@pytest.fixture
def world(admin: Person, liza: CadetPerson, omar: CadetPerson) -> World:
    held = factories.days(5)
    for person in (liza, omar):
        factories.attend(person.enrollment, held, ["absent", "present", "late", "present", None])
        factories.scores(person.enrollment, "85", "90", None if person is omar else "95")
        factories.awards(person.enrollment, merits=55, demerits=20)
        factories.adjustment(person.enrollment, "subject", "0.5")
    return World(admin=admin, commandant=unit.commandant("Datu"), liza=liza, omar=omar, days=held)


def readings(world: World) -> dict[str, tuple[int, Any]]:
    def read(client: APIClient, path: str) -> tuple[int, Any]:
        answer = client.get(path)
        body = answer.json()
        body.pop("request_id", None)
        return answer.status_code, body

    staff, company = world.commandant.client, world.liza.enrollment.company_id
    return {
        "own standing": read(world.liza.client, f"{API}/cadets/me/standing"),
        "other's standing": read(world.omar.client, f"{API}/cadets/me/standing"),
        "standing for staff": read(staff, f"{world.enrollment}/standing"),
        "sheet": read(staff, f"{world.term}/grades"),
        "company sheet": read(staff, f"{world.term}/grades?company={company}"),
        "leaderboard": read(staff, f"{API}/leaderboard"),
        "own place": read(world.liza.client, f"{API}/leaderboard/me"),
        "dashboard": read(staff, f"{API}/dashboard"),
        "policy": read(staff, f"{world.term}/grading-policy"),
    }


def mark(world: World, status: str) -> Any:
    return world.admin.client.put(f"{world.day}/attendance/{world.liza.cadet.pk}", {"status": status})


def approve_a_letter(world: World) -> Any:
    letter = world.liza.client.post(
        f"{API}/excuse-letters", {"date_absent": world.days[0].date.isoformat(), "reason": "Fever"}
    )
    assert letter.status_code == 201, letter.content
    return world.commandant.client.post(f"{API}/excuse-letters/{letter.json()['id']}/approve", {})


def upload_scores(world: World) -> Any:
    line = {"student_id": world.liza.cadet.student_id, "exam": "midterm", "score": "61"}
    return world.commandant.client.post(f"{world.term}/scores", {"records": [line]})


def issue(world: World, kind: str) -> Any:
    given = {"enrollment_id": world.liza.enrollment.pk, "kind": kind, "points": 45, "reason": "Conduct"}
    return world.commandant.client.post(f"{API}/merits", given)


def revoke_merit(world: World) -> Any:
    row = MeritDemerit.objects.filter(enrollment=world.liza.enrollment, kind="merit").latest("id")
    return world.admin.client.post(f"{API}/merits/{row.pk}/revoke", {"reason": "By mistake"})


def adjust(world: World) -> Any:
    given = {
        "enrollment_id": world.liza.enrollment.pk,
        "component": "attendance",
        "points": "3",
        "reason": "Games",
    }
    return world.admin.client.post(f"{API}/adjustments", given)


def revoke_adjustment(world: World) -> Any:
    row = Adjustment.objects.get(enrollment=world.liza.enrollment)
    return world.admin.client.post(f"{API}/adjustments/{row.pk}/revoke", {"reason": "By mistake"})


def new_day(world: World) -> Any:
    return world.admin.client.post(f"{API}/training-days", {"date": unit.today().isoformat(), "title": "Map reading"})


def cancel(world: World) -> Any:
    return world.admin.client.post(f"{world.day}/cancel", {"reason": "Typhoon"})


def reinstate(world: World) -> Any:
    cancel(world)
    readings(world)
    return world.admin.client.post(f"{world.day}/reinstate")


def move_day(world: World) -> Any:
    return world.patch(world.day, {"date": (unit.today() + dt.timedelta(days=3)).isoformat()})


def mark_many(world: World) -> Any:
    records = [{"cadet_id": one.cadet.pk, "status": "excused"} for one in (world.liza, world.omar)]
    return world.admin.client.post(f"{world.day}/attendance", {"records": records})


def enroll_later(world: World) -> Any:
    return world.patch(world.enrollment, {"enrolled_on": world.days[2].date.isoformat()})


def enroll_another(world: World) -> Any:
    another = unit.cadet()
    return world.admin.client.post(f"{API}/cadets/{another.pk}/enrollments", {})


def reopen(world: World) -> Any:
    world.admin.client.post(f"{world.term}/close")
    readings(world)
    return world.admin.client.post(f"{world.term}/reopen", {"reason": "A score was late"})


def own_policy(world: World) -> Any:
    return world.patch(f"{world.term}/grading-policy", {"attended_statuses": ["present"]})


def own_policy_again(world: World) -> Any:
    own_policy(world)
    readings(world)
    return world.patch(f"{world.term}/grading-policy", {"failing_equivalent": "4.00", "attended_statuses": ["late"]})


WRITES: dict[str, Callable[[World], Any]] = {
    "a record is marked": lambda world: mark(world, "present"),
    "a record is removed": lambda world: world.admin.client.delete(f"{world.day}/attendance/{world.liza.cadet.pk}"),
    "many records are marked": mark_many,
    "a letter is approved": approve_a_letter,
    "a day is planned": new_day,
    "a day is moved": move_day,
    "a day is cancelled": cancel,
    "a day is reinstated": reinstate,
    "a score is put": lambda world: world.commandant.client.put(f"{world.enrollment}/scores/final", {"score": "60"}),
    "a score is removed": lambda world: world.commandant.client.delete(f"{world.enrollment}/scores/final"),
    "scores are uploaded": upload_scores,
    "a merit is issued": lambda world: issue(world, "merit"),
    "a demerit is issued": lambda world: issue(world, "demerit"),
    "a merit is revoked": revoke_merit,
    "an adjustment is issued": adjust,
    "an adjustment is revoked": revoke_adjustment,
    "the default policy is changed": lambda world: world.patch(f"{API}/grading-policy", {"failing_equivalent": "4.00"}),
    "a term gets its own policy": own_policy,
    "a term's own policy is changed": own_policy_again,
    "an enrollment is dropped": lambda world: world.patch(world.enrollment, {"status": "dropped"}),
    "an enrollment moves to another company": lambda world: world.patch(
        world.enrollment, {"company_id": world.omar.enrollment.company_id}
    ),
    "an enrollment begins later": enroll_later,
    "somebody else is enrolled": enroll_another,
    "a cadet gets another name": lambda world: world.patch(world.cadet, {"last_name": "Zamora"}),
    "a cadet is archived": lambda world: world.admin.client.post(f"{world.cadet}/archive"),
    "a company gets another name": lambda world: world.patch(
        f"{API}/companies/{world.liza.enrollment.company_id}", {"name": "First"}
    ),
    "the term is closed": lambda world: world.admin.client.post(f"{world.term}/close"),
    "the term is reopened": reopen,
}
# These show again what was shown before.
_BACK_AS_BEFORE = {"the term is reopened", "a day is reinstated"}


@pytest.mark.parametrize("name", WRITES)
def test_what_is_read_after_a_write_is_what_would_be_computed(world: World, name: str) -> None:
    before = readings(world)
    assert readings(world) == before
    assert world.liza.client.get(f"{API}/cadets/me/standing")["Cache-Status"] == "rgms; hit"
    assert world.commandant.client.get(f"{world.term}/grades")["Cache-Status"] == "rgms; hit"
    answer = WRITES[name](world)
    assert answer.status_code in {200, 201, 204}, answer.content
    after = readings(world)
    factories.cache_emptied()
    assert after == readings(world)
    assert (after == before) is (name in _BACK_AS_BEFORE)


def test_a_write_for_one_cadet_leaves_anothers_standing_in_the_cache(world: World) -> None:
    readings(world)
    issue(world, "merit")
    assert world.omar.client.get(f"{API}/cadets/me/standing")["Cache-Status"] == "rgms; hit"
    assert "hit" not in world.liza.client.get(f"{API}/cadets/me/standing")["Cache-Status"]


@pytest.mark.parametrize("path", ["cadets/me/standing", "dashboard"])
def test_a_reader_who_was_overtaken_by_a_closing_leaves_nothing_stale(
    world: World, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The term is closed after the reader has found the row it asks for, and before it looks into the cache."""
    person = world.liza if path.startswith("cadets") else world.commandant
    overtake = [True]

    def read_through(**given: Any) -> Any:
        if overtake.pop():
            assert world.admin.client.post(f"{world.term}/close").status_code == 200
        overtake.append(False)
        return cache.read_through(**given)

    monkeypatch.setattr(grades, "read_through", read_through)
    person.client.get(f"{API}/{path}")
    kept = person.client.get(f"{API}/{path}").json()
    factories.cache_emptied()
    assert kept == person.client.get(f"{API}/{path}").json()


def test_a_write_that_was_refused_moves_nothing(world: World) -> None:
    readings(world)
    refused = world.commandant.client.put(f"{world.enrollment}/scores/final", {"score": "101"})
    assert refused.status_code == 400
    assert world.liza.client.get(f"{API}/cadets/me/standing")["Cache-Status"] == "rgms; hit"


def test_without_redis_the_database_answers(world: World, settings: Any) -> None:
    expected = readings(world)
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    cache.forget_failures()
    assert readings(world) == expected
    answer = world.liza.client.get(f"{API}/cadets/me/standing")
    assert answer["Cache-Status"] == "rgms; fwd=bypass; detail=redis-away"
    cache.forget_failures()
