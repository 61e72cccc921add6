"""The domain's table of grades, and what stands beside it in words, through the API and with real rows."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from apps.accounts.tests.factories import Person
from apps.cadets.models import Term
from apps.cadets.tests import factories as unit
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.grading.models import GradingPolicy
from apps.grading.tests import factories
from apps.training.models import TrainingDay
from core.clock import now

pytestmark = pytest.mark.django_db

OWN = "/api/v1/cadets/me/standing"
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Vector:
    """A row of the domain's table: days, statuses of those attended, merits, demerits, exams, and what comes out."""

    attended: int
    merits: int
    demerits: int
    exams: tuple[str, str, str]
    parts: tuple[str, str, str]
    total: str
    equivalent: str
    late: int = 0
    excused: int = 0

    @property
    def statuses(self) -> list[str]:
        present = self.attended - self.late - self.excused
        counted = ["present"] * present + ["late"] * self.late + ["excused"] * self.excused
        return counted + ["absent"] * (15 - self.attended)


VECTORS = [
    Vector(12, 10, 2, ("85", "90", "95"), ("24.00", "30.00", "36.00"), "90.00", "1.50"),
    Vector(15, 0, 130, ("100", "100", "100"), ("30.00", "0.00", "40.00"), "70.00", "5.00"),
    Vector(15, 50, 20, ("80", "80", "80"), ("30.00", "30.00", "32.00"), "92.00", "1.50"),
    Vector(15, 50, 60, ("80", "80", "80"), ("30.00", "27.00", "32.00"), "89.00", "2.00"),
    Vector(15, 0, 0, ("87.5", "87.5", "87.5"), ("30.00", "30.00", "35.00"), "95.00", "1.00"),
    Vector(10, 0, 30, ("85", "85", "85"), ("20.00", "21.00", "34.00"), "75.00", "3.00"),
    Vector(15, 0, 0, ("37.5", "37.5", "37.5"), ("30.00", "30.00", "15.00"), "75.00", "3.00"),
    Vector(13, 0, 0, ("72.5", "72.5", "72.5"), ("26.00", "30.00", "29.00"), "85.00", "2.00", late=2, excused=1),
    Vector(14, 5, 10, ("78", "81", "84"), ("28.00", "28.50", "32.40"), "88.90", "2.00"),
    Vector(7, 0, 0, ("75", "75", "75"), ("14.00", "30.00", "30.00"), "74.00", "5.00"),
    Vector(13, 0, 15, ("80", "82", "84"), ("26.00", "25.50", "32.80"), "84.30", "2.50"),
    Vector(0, 0, 0, ("100", "100", "100"), ("0.00", "30.00", "40.00"), "70.00", "5.00"),
]


def standing(person: CadetPerson) -> dict[str, Any]:
    """The own standing, computed anew: these tests never commit, and only a commit moves the cache."""
    factories.cache_emptied()
    answer = person.client.get(OWN)
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    return body


def outcome(body: dict[str, Any]) -> tuple[str, str | None, str]:
    return body["total"], body["equivalent"], body["remark"]


def full(person: CadetPerson, *exams: str | None) -> None:
    """Fifteen days, all present, and these exams."""
    factories.attend(person.enrollment, factories.days(15), ["present"] * 15)
    factories.scores(person.enrollment, *exams)


# --- The table --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", [False, True], ids=["provisional", "closed"])
@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: f"{one.attended}/15-{one.total}")
def test_the_domains_table_holds_exactly(
    admin: Person, instructor: StaffPerson, liza: CadetPerson, vector: Vector, closed: bool
) -> None:
    term = liza.enrollment.term
    factories.attend(liza.enrollment, factories.days(15), vector.statuses)
    factories.scores(liza.enrollment, *vector.exams)
    factories.awards(liza.enrollment, merits=vector.merits, demerits=vector.demerits)
    if closed:
        assert admin.client.post(f"/api/v1/terms/{term.pk}/close").status_code == 200
    body = standing(liza)
    assert tuple(body[part]["points"] for part in ("attendance", "aptitude", "subject")) == vector.parts
    assert tuple(body[part]["computed"] for part in ("attendance", "aptitude", "subject")) == vector.parts
    remark = "Failed" if vector.equivalent == "5.00" else "Passed"
    assert outcome(body) == (vector.total, vector.equivalent, remark)
    assert body["aptitude"]["merits_unused"] == max(0, vector.merits - vector.demerits)
    assert (body["attendance"]["attended"], body["attendance"]["held"]) == (vector.attended, 15)
    assert body["provisional"] is not closed
    assert (body["sheet"] is not None) is closed

    assert instructor.client.get(f"/api/v1/enrollments/{liza.enrollment.pk}/standing").json() == body
    factories.cache_emptied()
    line = instructor.client.get(f"/api/v1/terms/{term.pk}/grades").json()["results"][0]
    assert outcome(line) == outcome(body)
    assert (line["attendance"], line["aptitude"], line["subject"]) == vector.parts


# --- Exactness --------------------------------------------------------------------------------------------------------


def test_a_total_that_rounding_would_lift_over_a_bound_stays_below_it(liza: CadetPerson) -> None:
    # 30 · 14/15 + 30 + 40 · (92.47 + 92.47 + 92.46)/300 = 28 + 30 + 36.98666… = 94.98666…
    factories.attend(liza.enrollment, factories.days(15), ["present"] * 14 + ["absent"])
    factories.scores(liza.enrollment, "92.47", "92.47", "92.46")
    body = standing(liza)
    assert body["subject"]["points"] == "36.98"
    assert outcome(body) == ("94.98", "1.50", "Passed")


@pytest.mark.parametrize(
    ("exams", "total", "equivalent"),
    [
        (("87.50", "87.50", "87.49"), "94.99", "1.50"),  # 94.99866…
        (("87.50", "87.50", "87.50"), "95.00", "1.00"),
        (("37.49", "37.50", "37.50"), "74.99", "5.00"),  # 74.99866…
        (("0.01", "0.00", "0.00"), "60.00", "5.00"),  # 60.00133…
    ],
)
def test_the_bounds_are_those_of_the_exact_total(
    liza: CadetPerson, exams: tuple[str, str, str], total: str, equivalent: str
) -> None:
    full(liza, *exams)
    assert outcome(standing(liza))[:2] == (total, equivalent)


def test_thirds_are_thirds(liza: CadetPerson) -> None:
    """One of three days under a weight of 40: 13.333… and 10 and 50 are 73.333…"""
    GradingPolicy.objects.filter(term=None).update(attendance_weight=40, aptitude_weight=10, subject_weight=50)
    held = factories.days(3)
    factories.attend(liza.enrollment, held, ["present", "absent", None])
    factories.scores(liza.enrollment, "100", "100", "100")
    body = standing(liza)
    assert body["attendance"]["points"] == "13.33"
    assert outcome(body) == ("73.33", "5.00", "Failed")
    factories.adjustment(liza.enrollment, "aptitude", "-0.01")
    factories.cache_emptied()
    assert standing(liza)["total"] == "73.32"


# --- Which days count -------------------------------------------------------------------------------------------------


def test_days_before_the_enrollment_count_only_once_the_term_is_closed(admin: Person, term: Term) -> None:
    held = factories.days(10)
    late_comer = unit.cadet_person("Fatima", enrolled_on=held[4].date)
    factories.attend(late_comer.enrollment, held, ["present"] * 10)
    factories.scores(late_comer.enrollment, "80", "80", "80")
    part = standing(late_comer)["attendance"]
    assert (part["attended"], part["held"], part["points"]) == (6, 6, "30.00")
    admin.client.post(f"/api/v1/terms/{term.pk}/close")
    part = standing(late_comer)["attendance"]
    assert (part["attended"], part["held"], part["points"]) == (10, 10, "30.00")


def test_who_came_in_the_middle_is_absent_before_it_once_the_term_is_closed(admin: Person, term: Term) -> None:
    held = factories.days(10)
    late_comer = unit.cadet_person("Fatima", enrolled_on=held[5].date)
    factories.attend(late_comer.enrollment, held, [None] * 5 + ["present"] * 5)
    assert standing(late_comer)["attendance"]["points"] == "30.00"
    admin.client.post(f"/api/v1/terms/{term.pk}/close")
    part = standing(late_comer)["attendance"]
    assert (part["attended"], part["held"], part["points"]) == (5, 10, "15.00")
    assert part["by_status"]["unmarked"] == 5


def test_a_cancelled_day_counts_for_nobody(liza: CadetPerson) -> None:
    held = factories.days(4)
    factories.attend(liza.enrollment, held, ["present", "present", "absent", "present"])
    TrainingDay.objects.filter(pk__in=[held[0].pk, held[2].pk]).update(cancelled_at=now(), cancel_reason="Typhoon")
    part = standing(liza)["attendance"]
    assert (part["attended"], part["held"]) == (2, 2)


def test_a_day_of_today_counts_and_one_of_tomorrow_only_once_the_term_is_closed(
    admin: Person, liza: CadetPerson, term: Term
) -> None:
    today, tomorrow = factories.day(days_ago=0), factories.day(days_ago=-1)
    factories.attend(liza.enrollment, [today, tomorrow], ["absent", "present"])
    part = standing(liza)["attendance"]
    assert (part["attended"], part["held"], part["points"]) == (0, 1, "0.00")
    admin.client.post(f"/api/v1/terms/{term.pk}/close")
    part = standing(liza)["attendance"]
    assert (part["attended"], part["held"], part["points"]) == (1, 2, "15.00")


def test_two_days_on_one_date_are_two(liza: CadetPerson) -> None:
    held = [factories.day(days_ago=3), factories.day(days_ago=3)]
    factories.attend(liza.enrollment, held, ["present", "absent"])
    assert standing(liza)["attendance"]["points"] == "15.00"


def test_days_of_another_term_do_not_count(liza: CadetPerson) -> None:
    former = unit.former_term()
    factories.attend(liza.enrollment, [factories.day(former, days_ago=200)], ["absent"])
    assert standing(liza)["attendance"]["held"] == 0


def test_a_day_without_a_record_is_not_attended(liza: CadetPerson) -> None:
    factories.attend(liza.enrollment, factories.days(3), ["present", None, None])
    part = standing(liza)["attendance"]
    assert (part["points"], part["by_status"]["unmarked"], part["by_status"]["absent"]) == ("10.00", 2, 0)


def test_another_policy_does_not_count_late_and_excused(liza: CadetPerson, term: Term) -> None:
    factories.own_policy(term, attended_statuses=["present"])
    factories.attend(
        liza.enrollment, factories.days(15), ["present"] * 10 + ["late", "late", "excused"] + ["absent"] * 2
    )
    assert standing(liza)["attendance"]["points"] == "20.00"


# --- Merits -----------------------------------------------------------------------------------------------------------


def test_revoked_merits_and_demerits_do_not_count(liza: CadetPerson) -> None:
    revoked = {"revoked_at": now(), "revoked_by": factories.issuer(), "revoke_reason": "By mistake"}
    factories.award(liza.enrollment, 30, "demerit", **revoked)
    factories.award(liza.enrollment, 60, "merit", **revoked)
    factories.award(liza.enrollment, 10, "demerit")
    body = standing(liza)
    assert (body["aptitude"]["merits"], body["aptitude"]["demerits"], body["aptitude"]["base"]) == (0, 10, 90)
    assert (body["lifetime_merits"], body["badges"], body["next_badge"]) == (0, [], 50)


def test_merits_of_another_term_count_for_badges_only(liza: CadetPerson) -> None:
    former = unit.enroll(liza.cadet, term=unit.former_term())
    factories.awards(former, merits=120, demerits=50)
    factories.award(liza.enrollment, 10, "demerit")
    body = standing(liza)
    assert (body["aptitude"]["points"], body["aptitude"]["merits"]) == ("27.00", 0)
    assert (body["lifetime_merits"], body["badges"], body["next_badge"]) == (120, [50, 100], 150)


def test_stored_merits_have_no_ceiling(liza: CadetPerson) -> None:
    factories.awards(liza.enrollment, merits=700, demerits=650)
    body = standing(liza)["aptitude"]
    assert (body["base"], body["merits_unused"], body["points"]) == (100, 50, "30.00")


# --- Not graded yet, in progress, overrides ---------------------------------------------------------------------------


def test_before_the_first_day_nothing_is_failed_and_the_parts_so_far_are_shown(liza: CadetPerson) -> None:
    factories.scores(liza.enrollment, "50", "50", "50")
    body = standing(liza)
    assert (body["attendance"]["computed"], body["attendance"]["points"], body["attendance"]["held"]) == (None, None, 0)
    assert (body["aptitude"]["points"], body["subject"]["points"]) == ("30.00", "20.00")
    assert outcome(body) == ("50.00", None, "In progress")


@pytest.mark.parametrize(
    ("exams", "missing", "points"),
    [
        ((), ["prelim", "midterm", "final"], "0.00"),
        (("90", None, None), ["midterm", "final"], "12.00"),
        (("90", None, "90"), ["midterm"], "24.00"),
    ],
)
def test_a_missing_exam_counts_nothing_and_keeps_the_grade_in_progress(
    liza: CadetPerson, exams: tuple[str | None, ...], missing: list[str], points: str
) -> None:
    full(liza, *exams)
    body = standing(liza)
    assert (body["subject"]["missing"], body["subject"]["points"]) == (missing, points)
    assert (body["equivalent"], body["remark"]) == (None, "In progress")


def test_once_the_term_is_closed_a_missing_exam_is_a_zero_and_the_total_decides(
    admin: Person, liza: CadetPerson, term: Term
) -> None:
    full(liza, "90", None, "90")
    admin.client.post(f"/api/v1/terms/{term.pk}/close")
    assert outcome(standing(liza)) == ("84.00", "2.50", "Passed")


def test_a_closed_term_without_a_single_day_leaves_attendance_ungraded_and_the_total_decides(
    admin: Person, liza: CadetPerson, term: Term
) -> None:
    factories.scores(liza.enrollment, "100", "100", "100")
    done = admin.client.post(f"/api/v1/terms/{term.pk}/close").json()
    assert (done["without_attendance"], done["missing_exams"]) == (1, 0)
    body = standing(liza)
    assert body["attendance"]["points"] is None
    assert outcome(body) == ("70.00", "5.00", "Failed")


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize(
    ("status", "remark"), [("incomplete", "Incomplete"), ("dropped", "Dropped"), ("deferred", "Deferred")]
)
def test_some_statuses_have_no_equivalent_whatever_the_numbers_say(
    admin: Person, term: Term, status: str, remark: str, closed: bool
) -> None:
    somebody = unit.cadet_person("Fatima", status=status)
    full(somebody, "100", "100", "100")
    if closed:
        admin.client.post(f"/api/v1/terms/{term.pk}/close")
    assert outcome(standing(somebody)) == ("100.00", None, remark)


def test_a_dropped_cadet_is_dropped_before_the_first_day_too() -> None:
    assert outcome(standing(unit.cadet_person("Fatima", status="dropped"))) == ("30.00", None, "Dropped")


# --- Adjustments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "counts"), [("4.50", "24.50"), ("50", "30.00"), ("-7.25", "12.75"), ("-50", "0.00")]
)
def test_an_adjustment_stands_beside_the_computed_value_and_is_clamped(
    liza: CadetPerson, points: str, counts: str
) -> None:
    factories.attend(liza.enrollment, factories.days(3), ["present", "present", "absent"])
    row = factories.adjustment(liza.enrollment, "attendance", points)
    part = standing(liza)["attendance"]
    assert (part["computed"], part["points"], part["maximum"]) == ("20.00", counts, "30.00")
    assert part["adjustment"] == f"{Decimal(points):.2f}"
    assert [(one["id"], one["points"], one["reason"]) for one in part["adjustments"]] == [
        (row.pk, f"{Decimal(points):.2f}", row.reason)
    ]
    assert (part["attended"], part["held"]) == (2, 3)  # no input is replaced


def test_a_revoked_adjustment_does_not_count_and_is_not_shown(liza: CadetPerson) -> None:
    factories.adjustment(
        liza.enrollment,
        "aptitude",
        "-10",
        revoked_at=now(),
        revoked_by=factories.issuer(),
        revoke_reason="By mistake",
    )
    part = standing(liza)["aptitude"]
    assert (part["points"], part["adjustment"], part["adjustments"]) == ("30.00", "0.00", [])


# --- Another policy ---------------------------------------------------------------------------------------------------


def test_a_terms_own_weights_and_bands_are_used(liza: CadetPerson, term: Term) -> None:
    factories.own_policy(
        term,
        attendance_weight=50,
        aptitude_weight="0.00",
        subject_weight=50,
        bands=[["99.99", "1.00"], ["50.00", "2.75"]],
        failing_equivalent="4.00",
    )
    full(liza, "0", "0", "0")
    body = standing(liza)
    assert (body["aptitude"]["points"], body["aptitude"]["maximum"]) == ("0.00", "0.00")
    assert outcome(body) == ("50.00", "2.75", "Passed")


def test_the_default_is_not_used_for_a_term_that_has_its_own(liza: CadetPerson, term: Term) -> None:
    factories.own_policy(unit.former_term(), failing_equivalent="9.00")  # another term's own does not concern it
    full(liza, "0", "0", "0")
    assert outcome(standing(liza)) == ("60.00", "5.00", "Failed")


# --- Who sees it ------------------------------------------------------------------------------------------------------


def test_an_earlier_term_is_asked_by_its_id(liza: CadetPerson) -> None:
    former = unit.enroll(liza.cadet, term=unit.former_term())
    body = liza.client.get(OWN, {"term": former.term_id}).json()
    assert (body["enrollment_id"], body["term"]["id"]) == (former.pk, former.term_id)
    assert standing(liza)["enrollment_id"] == liza.enrollment.pk


def test_each_cadet_sees_the_own_grade(liza: CadetPerson, omar: CadetPerson) -> None:
    factories.award(omar.enrollment, 40, "demerit")
    assert standing(liza)["aptitude"]["points"] == "30.00"
    assert standing(omar)["aptitude"]["points"] == "18.00"
    assert standing(omar)["cadet"]["id"] == omar.cadet.pk


def test_what_cannot_be_shown_says_why(liza: CadetPerson, instructor: StaffPerson, term: Term) -> None:
    def problem(answer: Any) -> tuple[int, str]:
        return answer.status_code, answer.json()["code"]

    unlinked = unit.accounts.signed_in(unit.accounts.user("Nobody"))
    assert problem(unlinked.client.get(OWN)) == (404, "no_cadet_record")
    former = unit.former_term()
    assert problem(liza.client.get(OWN, {"term": former.pk})) == (404, "not_enrolled")
    assert problem(liza.client.get(OWN, {"term": 10**15})) == (404, "not_found")
    assert problem(liza.client.get(OWN, {"term": "x"})) == (400, "validation_failed")
    assert problem(liza.client.get(f"/api/v1/enrollments/{liza.enrollment.pk}/standing")) == (403, "permission_denied")
    assert problem(instructor.client.get(OWN)) == (403, "permission_denied")
    assert problem(instructor.client.get(f"/api/v1/enrollments/{2**62}/standing")) == (404, "not_found")
    Term.objects.filter(pk=term.pk).update(is_current=False)
    assert problem(liza.client.get(OWN)) == (404, "no_current_term")
    type(liza.cadet).objects.filter(pk=liza.cadet.pk).update(archived_at=now())
    assert problem(liza.client.get(OWN)) == (404, "no_cadet_record")


def test_the_second_reading_costs_one_query_and_comes_from_the_cache(
    liza: CadetPerson, django_assert_num_queries: Any
) -> None:
    full(liza, "80", "80", "80")
    client = liza.client
    factories.token_read_lately(client)
    first = client.get(OWN)
    assert first["Cache-Status"] == "rgms; fwd=uri-miss; stored"
    with django_assert_num_queries(1):
        second = client.get(OWN)
    assert second["Cache-Status"] == "rgms; hit"
    assert second.json() == first.json()


def test_without_the_default_policy_nothing_is_graded(liza: CadetPerson) -> None:
    GradingPolicy.objects.all().delete()
    answer = liza.client.get(OWN)
    assert (answer.status_code, answer.json()["code"]) == (503, "policy_missing")
