"""The computation of a grade, without a database. The domain's own table is asked through the API elsewhere."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.grading import rules
from apps.grading.rules import Adjustment, Award, Band, Inputs, Policy

POLICY = Policy(
    attendance_weight=Decimal("30.00"),
    aptitude_weight=Decimal("30.00"),
    subject_weight=Decimal("40.00"),
    attended_statuses=("present", "late", "excused"),
    bands=tuple(
        Band(lower_bound=Decimal(bound), equivalent=equivalent)
        for bound, equivalent in (("95", "1.00"), ("90", "1.50"), ("85", "2.00"), ("80", "2.50"), ("75", "3.00"))
    ),
    failing_equivalent="5.00",
)


def changed(policy: Policy = POLICY, **changes: Any) -> Policy:
    return Policy(**{**policy.__dict__, **changes})


def exams_of(*scores: str | None) -> dict[str, Decimal]:
    return {exam: Decimal(score) for exam, score in zip(rules.EXAMS, scores, strict=False) if score is not None}


def adjusted(component: str, points: str, number: int = 1) -> Adjustment:
    return Adjustment(
        id=number,
        component=component,
        points=Decimal(points),
        reason="Decided by the board.",
        issued_by=1,
        issued_at="2026-08-22T01:15:04.812Z",
    )


def inputs(**given: Any) -> Inputs:
    """Fifteen of fifteen days, no merits, a hundred in every exam, in an open term."""
    whole = {
        "policy": POLICY,
        "status": "ongoing",
        "closed": False,
        "held": 15,
        "by_status": {"present": 15},
        "exams": exams_of("100", "100", "100"),
    }
    return Inputs(**{**whole, **given})


def outcome(**given: Any) -> tuple[str, str | None, str]:
    grade = rules.grade_of(inputs(**given))
    return rules.points_text(grade.total), grade.equivalent, grade.remark


# --- Exactness --------------------------------------------------------------------------------------------------------


def test_a_third_of_the_days_is_a_third_and_three_thirds_are_whole() -> None:
    parts = [rules.grade_of(inputs(held=3, by_status={"present": 1})).attendance.points for _ in range(3)]
    assert sum(part for part in parts if part is not None) == 30
    weights = {"attendance_weight": Decimal(40), "aptitude_weight": Decimal(20)}
    third = rules.grade_of(inputs(policy=changed(POLICY, **weights), held=3, by_status={"present": 1}))
    assert third.attendance.points == Fraction(40, 3)
    assert rules.grade_body(third)["attendance"]["points"] == "13.33"


def test_a_total_a_hair_below_a_bound_stays_below_it_and_is_shown_cut() -> None:
    grade = rules.grade_of(inputs(held=1500, by_status={"present": 1250}))  # 25 + 30 + 40
    assert (grade.total, grade.equivalent) == (95, "1.00")
    grade = rules.grade_of(inputs(held=1501, by_status={"present": 1250}))
    assert grade.total < 95
    assert (rules.points_text(grade.total), grade.equivalent) == ("94.98", "1.50")


@pytest.mark.parametrize(
    ("held", "present", "shown", "equivalent"),
    [
        # So many days cannot happen, and show that no digit is lost on the way: 94.99999 and 74.99999.
        (3_000_000, 2_499_999, "94.99", "1.50"),
        (3_000_000, 2_500_000, "95.00", "1.00"),
        (3_000_000, 499_999, "74.99", "5.00"),
        (3_000_000, 500_000, "75.00", "3.00"),
    ],
)
def test_bounds_are_inclusive_and_nothing_is_rounded_up_to_them(
    held: int, present: int, shown: str, equivalent: str
) -> None:
    assert outcome(held=held, by_status={"present": present})[:2] == (shown, equivalent)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(1424, 15), "94.93"),
        (Fraction(949_999_999, 10_000_000), "94.99"),
        (Fraction(2, 3), "0.66"),
        (Fraction(-2, 3), "-0.66"),
        (Fraction(-1, 1000), "0.00"),
        (Fraction(0), "0.00"),
        (Fraction(100), "100.00"),
        (Decimal("0.05"), "0.05"),
        (Decimal("-12.50"), "-12.50"),
    ],
)
def test_points_are_cut_towards_zero_and_never_rounded(value: Fraction | Decimal, text: str) -> None:
    assert rules.points_text(value) == text


# --- Aptitude ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("merits", "demerits", "base", "unused"),
    [
        (0, 0, 100, 0),
        (10, 2, 100, 8),
        (50, 20, 100, 30),
        (50, 60, 90, 0),
        (0, 100, 0, 0),
        (0, 130, 0, 0),
        (5, 5, 100, 0),
    ],
)
def test_aptitude_takes_totals_clamps_the_base_and_reports_what_is_unused(
    merits: int, demerits: int, base: int, unused: int
) -> None:
    awards = (Award(id=1, kind="merit", points=merits), Award(id=2, kind="demerit", points=demerits))
    part = rules.grade_of(inputs(awards=awards)).aptitude
    assert (part.base, part.merits_unused, part.points) == (base, unused, Fraction(30 * base, 100))


# --- Not graded yet, in progress, and what overrides ------------------------------------------------------------------


def test_before_the_first_day_attendance_is_not_graded_and_the_rest_is_shown() -> None:
    grade = rules.grade_of(inputs(held=0, by_status={}))
    body = rules.grade_body(grade)
    assert (body["attendance"]["computed"], body["attendance"]["points"]) == (None, None)
    assert (body["total"], body["equivalent"], body["remark"]) == ("70.00", None, "In progress")


@pytest.mark.parametrize("missing", rules.EXAMS)
def test_a_missing_exam_counts_nothing_and_keeps_an_open_term_in_progress(missing: str) -> None:
    exams = {exam: score for exam, score in exams_of("90", "90", "90").items() if exam != missing}
    grade = rules.grade_of(inputs(exams=exams))
    assert grade.subject.missing == (missing,)
    assert grade.subject.points == Fraction(40 * 180, 300)
    assert (grade.equivalent, grade.remark) == (None, "In progress")


def test_a_zero_is_not_a_missing_exam() -> None:
    assert outcome(exams=exams_of("0", "0", "0")) == ("60.00", "5.00", "Failed")
    assert rules.grade_of(inputs(exams=exams_of("0", "0", "0"))).subject.missing == ()


def test_nobody_has_failed_before_the_term_has_begun() -> None:
    assert outcome(held=0, by_status={}, exams={}) == ("30.00", None, "In progress")


def test_a_closed_term_has_nothing_in_progress() -> None:
    assert outcome(closed=True, exams=exams_of("100", "100", None)) == ("86.66", "2.00", "Passed")
    assert outcome(closed=True, exams={}) == ("60.00", "5.00", "Failed")
    assert outcome(closed=True, held=0, by_status={}) == ("70.00", "5.00", "Failed")
    assert rules.grade_of(inputs(closed=True, held=0, by_status={})).attendance.points is None


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize(
    ("status", "remark"), [("incomplete", "Incomplete"), ("dropped", "Dropped"), ("deferred", "Deferred")]
)
@pytest.mark.parametrize("held", [0, 15])
def test_some_statuses_have_no_equivalent_whatever_the_numbers_say(
    status: str, remark: str, held: int, closed: bool
) -> None:
    grade = rules.grade_of(inputs(status=status, closed=closed, held=held, by_status={"present": held}))
    assert (grade.equivalent, grade.remark) == (None, remark)
    assert grade.total == (100 if held else 70)  # the parts are shown all the same


@pytest.mark.parametrize("status", ["ongoing", "completed", "failed"])
def test_other_statuses_leave_it_to_the_numbers(status: str) -> None:
    assert outcome(status=status) == ("100.00", "1.00", "Passed")


def test_a_grade_is_provisional_while_the_term_is_open() -> None:
    assert rules.grade_of(inputs()).provisional
    assert not rules.grade_of(inputs(closed=True)).provisional


# --- Adjustments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("component", rules.COMPONENTS)
@pytest.mark.parametrize(("points", "expected"), [("-100", 0), ("-7.25", None), ("100", "maximum")])
def test_an_adjusted_part_stays_between_zero_and_its_maximum(component: str, points: str, expected: Any) -> None:
    part = getattr(rules.grade_of(inputs(adjustments=(adjusted(component, points),))), component)
    assert part.computed == part.maximum  # the computed value stands beside it, untouched
    wanted = {None: part.maximum + Fraction(points), "maximum": part.maximum}.get(expected, expected)
    assert part.points == wanted


def test_adjustments_are_summed_before_the_clamp_and_touch_their_own_part_only() -> None:
    adjustments = (adjusted("aptitude", "50"), adjusted("aptitude", "-60", 2))
    grade = rules.grade_of(inputs(adjustments=adjustments))
    assert (grade.aptitude.points, grade.attendance.points, grade.subject.points) == (20, 30, 40)
    body = rules.grade_body(grade)["aptitude"]
    assert (body["computed"], body["adjustment"], body["points"]) == ("30.00", "-10.00", "20.00")
    assert [(one["id"], one["points"]) for one in body["adjustments"]] == [(1, "50.00"), (2, "-60.00")]


def test_attendance_that_is_not_graded_takes_an_adjustment_and_stays_in_progress() -> None:
    grade = rules.grade_of(inputs(held=0, by_status={}, adjustments=(adjusted("attendance", "40"),)))
    assert (grade.attendance.computed, grade.attendance.points) == (None, 30)
    assert grade.remark == "In progress"


# --- Another policy ---------------------------------------------------------------------------------------------------


def test_only_the_statuses_of_the_policy_count_as_attended() -> None:
    by_status = {"present": 10, "late": 2, "excused": 1, "absent": 2}
    points = {
        statuses: rules.grade_of(
            inputs(policy=changed(attended_statuses=statuses), by_status=by_status)
        ).attendance.points
        for statuses in (("present", "late", "excused"), ("present",), ("present", "excused"), ("absent",))
    }
    assert list(points.values()) == [26, 20, 22, 4]


def test_weights_are_the_maxima_of_their_parts() -> None:
    policy = changed(attendance_weight=Decimal("0.01"), aptitude_weight=Decimal("99.99"), subject_weight=Decimal(0))
    grade = rules.grade_of(inputs(policy=policy, exams={}))
    assert (grade.attendance.maximum, grade.aptitude.maximum, grade.subject.points) == (
        Fraction(1, 100),
        Fraction(9999, 100),
        0,
    )
    assert grade.total == 100


def test_other_bands_give_other_equivalents() -> None:
    policy = changed(
        bands=(Band(lower_bound=Decimal("99.99"), equivalent="4.00"), Band(lower_bound=Decimal(0), equivalent="3.00")),
        failing_equivalent="0.00",
    )
    assert outcome(policy=policy)[1] == "4.00"
    assert outcome(policy=policy, exams=exams_of("0", "0", "0"), held=1, by_status={})[1:] == ("3.00", "Passed")


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({}, set()),
        ({"attendance_weight": Decimal("30.01")}, {"attendance_weight", "aptitude_weight", "subject_weight"}),
        ({"attendance_weight": Decimal(-1), "aptitude_weight": Decimal(61)}, {"attendance_weight"}),
        ({"attendance_weight": Decimal("NaN")}, {"attendance_weight"}),
        (
            {"attendance_weight": Decimal("29.995"), "aptitude_weight": Decimal("30.005")},
            {"attendance_weight", "aptitude_weight"},
        ),
        ({"attended_statuses": ()}, {"attended_statuses"}),
        ({"attended_statuses": ("present", "present")}, {"attended_statuses"}),
        ({"attended_statuses": ("present", "asleep")}, {"attended_statuses"}),
        ({"bands": ()}, {"bands"}),
        ({"bands": POLICY.bands[::-1]}, {f"bands.{index}.lower_bound" for index in range(1, 5)}),
        ({"bands": (Band(lower_bound=Decimal("100.01"), equivalent="1.00"),)}, {"bands.0.lower_bound"}),
        ({"bands": (Band(lower_bound=Decimal("Infinity"), equivalent="1.00"),)}, {"bands.0.lower_bound"}),
        ({"bands": (Band(lower_bound=Decimal(90), equivalent="1"),)}, {"bands.0.equivalent"}),
        ({"bands": (*POLICY.bands, Band(lower_bound=Decimal(75), equivalent="4.00"))}, {"bands.5.lower_bound"}),
        ({"bands": (*POLICY.bands, Band(lower_bound=Decimal(70), equivalent="3.00"))}, {"bands.5.equivalent"}),
        ({"failing_equivalent": "3.00"}, {"bands.4.equivalent"}),
        ({"failing_equivalent": "F"}, {"failing_equivalent"}),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_by_field(changes: dict[str, Any], problems: set[str]) -> None:
    assert {problem.field for problem in rules.policy_problems(changed(**changes))} == problems


# --- Badges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("merits", "badges", "following"),
    [
        (0, [], 50),
        (49, [], 50),
        (50, [50], 100),
        (149, [50, 100], 150),
        (150, [50, 100, 150], 200),
        (200, [50, 100, 150, 200], None),
        (5000, [50, 100, 150, 200], None),
    ],
)
def test_badges_come_with_lifetime_merits(merits: int, badges: list[int], following: int | None) -> None:
    assert (rules.badges_of(merits), rules.next_badge(merits)) == (badges, following)


# --- Against rational arithmetic written another way ------------------------------------------------------------------

hundredths = st.integers(0, 100_00).map(lambda number: Decimal(number) / 100)
exam_scores = st.none() | hundredths
records = st.lists(st.sampled_from(["present", "late", "excused", "absent", None]), max_size=40)
award_lists = st.lists(st.tuples(st.sampled_from(["merit", "demerit"]), st.integers(1, 100)), max_size=12)
adjustment_lists = st.lists(
    st.tuples(
        st.sampled_from(["attendance", "aptitude", "subject"]),
        st.integers(-100_00, 100_00).filter(bool).map(lambda number: Decimal(number) / 100),
    ),
    max_size=4,
)
statuses = st.sampled_from(["ongoing", "completed", "failed", "incomplete", "dropped", "deferred"])


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    first = draw(st.integers(0, 100_00))
    second = draw(st.integers(0, 100_00 - first))
    bounds = sorted(draw(st.sets(st.integers(0, 100_00), min_size=1, max_size=6)), reverse=True)
    return Policy(
        attendance_weight=Decimal(first) / 100,
        aptitude_weight=Decimal(second) / 100,
        subject_weight=Decimal(100_00 - first - second) / 100,
        attended_statuses=tuple(
            draw(st.sets(st.sampled_from(["present", "late", "excused", "absent"]), min_size=1, max_size=4))
        ),
        bands=tuple(
            Band(lower_bound=Decimal(bound) / 100, equivalent=f"{index}.25") for index, bound in enumerate(bounds)
        ),
        failing_equivalent="9.00",
    )


def oracle(
    policy: Policy,
    days: list[str | None],
    awards: list[tuple[str, int]],
    scores: Mapping[str, Decimal | None],
    adjustments: list[tuple[str, Decimal]],
) -> tuple[int, int]:
    """The total as numerator and denominator in whole numbers: everything times 100 · 100 · 300 · D."""
    scale = 100 * 100 * 300 * (len(days) or 1)
    weights = [
        round(weight * 100) for weight in (policy.attendance_weight, policy.aptitude_weight, policy.subject_weight)
    ]
    counted = len([day for day in days if day is not None and day in policy.attended_statuses])
    base = 100 + sum(points if kind == "merit" else -points for kind, points in awards)
    base = 0 if base < 0 else 100 if base > 100 else base
    exams = sum(round(score * 100) for score in scores.values() if score is not None)
    whole = [
        weights[0] * counted * 100 * 300,
        weights[1] * base * 300 * (len(days) or 1),
        weights[2] * exams * (len(days) or 1) // 1,
    ]
    total = 0
    for name, weight, part in zip(("attendance", "aptitude", "subject"), weights, whole, strict=True):
        most = weight * scale // 100
        more = sum(round(points * 100) for component, points in adjustments if component == name) * scale // 100
        total += max(0, min(most, part + more))
    return total, scale


cases = st.tuples(policies(), records, award_lists, st.tuples(exam_scores, exam_scores, exam_scores), adjustment_lists)


@given(cases, statuses, st.booleans())
def test_the_computation_equals_rational_arithmetic(case: Any, status: str, closed: bool) -> None:
    policy, days, awards, scores, adjustments = case
    assert rules.policy_problems(policy) == []
    exams = dict(zip(rules.EXAMS, scores, strict=True))
    given_inputs = Inputs(
        policy=policy,
        status=status,
        closed=closed,
        held=len(days),
        by_status={name: days.count(name) for name in ("present", "late", "excused", "absent")},
        awards=tuple(Award(id=number, kind=kind, points=points) for number, (kind, points) in enumerate(awards)),
        exams={exam: score for exam, score in exams.items() if score is not None},
        adjustments=tuple(
            adjusted(component, str(points), number) for number, (component, points) in enumerate(adjustments)
        ),
    )
    grade = rules.grade_of(given_inputs)

    numerator, denominator = oracle(policy, days, awards, exams, adjustments)
    assert grade.total.numerator * denominator == numerator * grade.total.denominator
    earned = [
        band.equivalent for band in policy.bands if numerator * 100 >= round(band.lower_bound * 100) * denominator
    ]
    expected: tuple[str | None, str]
    if status in {"incomplete", "dropped", "deferred"}:
        expected = (None, status.capitalize())
    elif not closed and (not days or None in scores):
        expected = (None, "In progress")
    else:
        expected = (earned[0], "Passed") if earned else ("9.00", "Failed")
    assert (grade.equivalent, grade.remark) == expected
    body = rules.grade_body(grade)
    assert int(body["total"].replace(".", "")) == numerator * 100 // denominator
    assert 0 <= grade.total <= 100

    # And nothing of it is lost in a frozen sheet.
    record = rules.inputs_record(given_inputs, enrollment_id=1, cadet_id=2, term_id=3)
    assert rules.inputs_of_record(record) == given_inputs
    result = rules.grade_record(grade)
    assert rules.grade_of_record(result) == grade
    digest = rules.sheet_digest(inputs=record, result=result)
    owner = {"enrollment_id": 1, "cadet_id": 2, "term_id": 3}
    assert rules.sheet_discrepancies(inputs=record, result=result, digest=digest, expected_ids=owner) == []


# --- Frozen sheets ----------------------------------------------------------------------------------------------------


def sheet(**given: Any) -> dict[str, Any]:
    whole = inputs(closed=True, **given)
    record = rules.inputs_record(whole, enrollment_id=1, cadet_id=2, term_id=3)
    result = rules.grade_record(rules.grade_of(whole))
    return {
        "inputs": record,
        "result": result,
        "digest": rules.sheet_digest(inputs=record, result=result),
        "expected_ids": {"enrollment_id": 1, "cadet_id": 2, "term_id": 3},
    }


def kinds(**changes: Any) -> list[str]:
    return [found.kind for found in rules.sheet_discrepancies(**{**sheet(), **changes})]


def test_an_untouched_sheet_is_sound_whatever_order_its_keys_come_in() -> None:
    one = sheet()
    assert kinds() == []
    assert kinds(inputs=dict(reversed(one["inputs"].items())), result=dict(reversed(one["result"].items()))) == []


def test_what_was_changed_by_hand_is_found() -> None:
    one = sheet()
    better = {**one["inputs"], "exams": {**one["inputs"]["exams"], "final": "99.00"}}
    assert kinds(inputs=better) == ["digest", "result"]
    assert kinds(result={**one["result"], "equivalent": "5.00"}) == ["digest", "result"]
    assert kinds(digest="0" * 64) == ["digest"]
    assert kinds(inputs={}) == ["digest", "owner", "inputs"]
    assert kinds(expected_ids={"enrollment_id": 9, "cadet_id": 2, "term_id": 3}) == ["owner"]


def test_a_forged_digest_does_not_hide_a_result_that_its_inputs_do_not_give() -> None:
    one = sheet()
    forged = {**one["result"], "total": "75", "equivalent": "3.00"}
    digest = rules.sheet_digest(inputs=one["inputs"], result=forged)
    assert kinds(result=forged, digest=digest) == ["result"]


def test_inputs_that_changed_since_are_named() -> None:
    frozen = sheet()["inputs"]
    live = sheet(status="dropped", exams=exams_of("100", "100", "99"))["inputs"]
    assert rules.inputs_discrepancies(frozen=frozen, live=live) == ["exams", "status"]
    assert rules.inputs_discrepancies(frozen=frozen, live=dict(frozen)) == []
