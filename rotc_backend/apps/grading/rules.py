"""How a grade comes about, in plain Python and exact numbers.

    policy, inputs ──> grade_of ──> Grade ──> grade_body     what clients see: two decimals, cut
           │                          └─────> grade_record   what a sheet freezes: exact, as fractions
           └──> inputs_record                                 (and both back again)

Decimals come in, `Fraction`s are computed with. Nothing is rounded, and nothing is cut before it is shown.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from apps.cadets.rules import PERSON_COLUMNS
from apps.training.rules import STATUSES
from core.errors import FieldError
from core.tables import CellRefused, Column, Value, decimal_of

ATTENDANCE, APTITUDE, SUBJECT = "attendance", "aptitude", "subject"
COMPONENTS: Final = (ATTENDANCE, APTITUDE, SUBJECT)
EXAMS: Final = ("prelim", "midterm", "final")
MERIT, DEMERIT = "merit", "demerit"
LARGEST_EXAM, FULL_BASE = 100, 100
LARGEST_BULK = 500  # scores of one call, and enrollments of one audit entry
LARGEST_TOLD = 1000  # enrollments of one event, which must not outgrow the frames of sockets
MOST_BANDS = 20

PASSED, FAILED, IN_PROGRESS = "Passed", "Failed", "In progress"
# Enrollments that have no equivalent, whatever the numbers say.
UNGRADED_STATUSES: Final = {"incomplete": "Incomplete", "dropped": "Dropped", "deferred": "Deferred"}
REMARKS: Final = (PASSED, FAILED, IN_PROGRESS, *UNGRADED_STATUSES.values())

BADGES: Final = (50, 100, 150, 200)  # lifetime merits

_EQUIVALENT = re.compile(r"[0-9]\.[0-9]{2}")


def policy_version() -> str:
    """The cache version of the unit's default policy; a term's own policy moves the term's versions."""
    return "grading-policy"


def leaderboard_version() -> str:
    """The cache version of lifetime merits: moved by every merit issued or revoked, in whichever term."""
    return "leaderboard"


# --- Policy -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Band:
    """An equivalent and the least exact total that earns it."""

    lower_bound: Decimal
    equivalent: str


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How a term is graded. `weights` are the maxima of the components; `bands` stand best first."""

    attendance_weight: Decimal
    aptitude_weight: Decimal
    subject_weight: Decimal
    attended_statuses: tuple[str, ...]
    bands: tuple[Band, ...]
    failing_equivalent: str


# The unit's rules as decided, for the row that every new database begins with; from then on the row counts.
UNIT_POLICY: Final[dict[str, Any]] = {
    "attendance_weight": Decimal("30.00"),
    "aptitude_weight": Decimal("30.00"),
    "subject_weight": Decimal("40.00"),
    "attended_statuses": ["present", "late", "excused"],
    "bands": [["95.00", "1.00"], ["90.00", "1.50"], ["85.00", "2.00"], ["80.00", "2.50"], ["75.00", "3.00"]],
    "failing_equivalent": "5.00",
}


def policy_problems(policy: Policy) -> list[FieldError]:
    """What forbids `policy`, by field; empty when it may be used."""
    return [*_weight_problems(policy), *_status_problems(policy), *_band_problems(policy)]


def _weight_problems(policy: Policy) -> list[FieldError]:
    weights = {f"{component}_weight": getattr(policy, f"{component}_weight") for component in COMPONENTS}
    problems = [
        FieldError(field=field, code="out_of_range", detail="Write a weight from 0 to 100 with at most two decimals.")
        for field, weight in weights.items()
        if not _is_share(weight)
    ]
    if not problems and sum(Fraction(weight) for weight in weights.values()) != 100:
        detail = "The three weights must add up to exactly 100."
        problems = [FieldError(field=field, code="weights_sum", detail=detail) for field in weights]
    return problems


def is_score(score: Decimal) -> bool:
    """Whether an exam can have this score: 0 to 100, two decimals at most."""
    return _is_share(score)


def is_adjustment(points: Decimal) -> bool:
    """Whether so many points can be added by hand: -100 to 100, not 0, two decimals at most."""
    return points.is_finite() and points != 0 and _is_share(abs(points))


def _is_share(value: Decimal) -> bool:
    return value.is_finite() and 0 <= value <= 100 and (Fraction(value) * 100).denominator == 1


def _status_problems(policy: Policy) -> list[FieldError]:
    statuses = policy.attended_statuses
    if statuses and set(statuses) <= set(STATUSES) and len(set(statuses)) == len(statuses):
        return []
    detail = f"Name at least one of {', '.join(STATUSES)}, each once."
    return [FieldError(field="attended_statuses", code="invalid", detail=detail)]


def _band_problems(policy: Policy) -> list[FieldError]:
    problems: list[FieldError] = []

    def refuse(field: str, code: str, detail: str) -> None:
        problems.append(FieldError(field=field, code=code, detail=detail))

    if not 1 <= len(policy.bands) <= MOST_BANDS:
        refuse("bands", "invalid", f"Give 1 to {MOST_BANDS} bands, the best first.")
    seen, above = {policy.failing_equivalent}, None
    if not _EQUIVALENT.fullmatch(policy.failing_equivalent):
        refuse("failing_equivalent", "invalid", 'Write an equivalent with two decimals, for example "5.00".')
    for index, band in enumerate(policy.bands):
        place = f"bands.{index}"
        if not _is_share(band.lower_bound):
            refuse(f"{place}.lower_bound", "out_of_range", "Write a bound from 0 to 100 with at most two decimals.")
            continue
        if above is not None and band.lower_bound >= above:
            refuse(f"{place}.lower_bound", "not_descending", "Each bound must be less than the one before it.")
        above = band.lower_bound
        if not _EQUIVALENT.fullmatch(band.equivalent):
            refuse(f"{place}.equivalent", "invalid", 'Write an equivalent with two decimals, for example "1.50".')
        elif band.equivalent in seen:
            refuse(f"{place}.equivalent", "duplicate", "Each equivalent stands for one band, and none for failing.")
        seen.add(band.equivalent)
    return problems


# --- Inputs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Award:
    """A merit or demerit that has not been revoked."""

    id: int
    kind: str
    points: int


@dataclass(frozen=True, kw_only=True)
class Adjustment:
    """Points added by hand to one component; not revoked. `issued_at` is ISO 8601."""

    id: int
    component: str
    points: Decimal
    reason: str
    issued_by: int
    issued_at: str


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """All that one cadet's grade in one term depends on.

    `held` is D, `by_status` the cadet's records on exactly these days; `exams` holds no entry for a missing exam;
    `closed` tells whether the term's results are final.
    """

    policy: Policy
    status: str
    closed: bool
    held: int
    by_status: Mapping[str, int]
    awards: tuple[Award, ...] = ()
    exams: Mapping[str, Decimal]
    adjustments: tuple[Adjustment, ...] = ()


# --- Grade ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Part:
    """One component, explained. `computed` and `points` are None for what cannot be graded yet.

    `points` is `computed` and the sum of `adjustments`, kept between 0 and `maximum`.
    """

    computed: Fraction | None
    adjustments: tuple[Adjustment, ...]
    points: Fraction | None
    maximum: Fraction

    @property
    def adjustment(self) -> Fraction:
        return _sum(_exact(adjustment.points) for adjustment in self.adjustments)


@dataclass(frozen=True, kw_only=True)
class AttendancePart(Part):
    attended: int
    held: int
    by_status: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class AptitudePart(Part):
    merits: int
    demerits: int
    base: int
    merits_unused: int


@dataclass(frozen=True, kw_only=True)
class SubjectPart(Part):
    """`exams` has every exam; None is a missing one, which counts 0."""

    exams: Mapping[str, Decimal | None]

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(exam for exam, score in self.exams.items() if score is None)


@dataclass(frozen=True, kw_only=True)
class Grade:
    """`total` is exact. `equivalent` is None while `remark` is neither Passed nor Failed."""

    attendance: AttendancePart
    aptitude: AptitudePart
    subject: SubjectPart
    total: Fraction
    equivalent: str | None
    remark: str
    provisional: bool


def grade_of(inputs: Inputs) -> Grade:
    """The one computation of a grade.

    1. attendance  weight · P / D; without a held day it is not graded yet, and adds nothing to the total
    2. aptitude    weight · clamp(100 + merits - demerits, 0, 100) / 100, of the totals
    3. subject     weight · (prelim + midterm + final) / 300; a missing exam counts 0
    4. each        plus its adjustments, kept between 0 and its weight
    5. total       the sum of the parts so far, exact
    6. outcome     by the enrollment's status first; then, while the term is open, "In progress" as long as no day
                   was held or an exam is missing; then by the bands

    Once the term is closed nothing is in progress: a missing exam stays 0, attendance without a single held day adds
    nothing, and the total decides, since the domain makes its exception for open terms only. Attendance that is not
    graded still takes adjustments, so that an administrator can do justice to a term whose days were all cancelled.
    """
    attendance = _attendance(inputs)
    aptitude = _aptitude(inputs)
    subject = _subject(inputs)
    total = _sum(part.points for part in (attendance, aptitude, subject) if part.points is not None)
    equivalent, remark = _outcome(inputs, total=total, complete=attendance.held > 0 and not subject.missing)
    return Grade(
        attendance=attendance,
        aptitude=aptitude,
        subject=subject,
        total=total,
        equivalent=equivalent,
        remark=remark,
        provisional=not inputs.closed,
    )


def equivalent_of(total: Fraction, policy: Policy) -> str:
    """The equivalent of an exact total, by inclusive lower bounds."""
    for band in policy.bands:
        if total >= _exact(band.lower_bound):
            return band.equivalent
    return policy.failing_equivalent


def _outcome(inputs: Inputs, *, total: Fraction, complete: bool) -> tuple[str | None, str]:
    if inputs.status in UNGRADED_STATUSES:
        return None, UNGRADED_STATUSES[inputs.status]
    if not inputs.closed and not complete:
        return None, IN_PROGRESS
    equivalent = equivalent_of(total, inputs.policy)
    return equivalent, FAILED if equivalent == inputs.policy.failing_equivalent else PASSED


def _attendance(inputs: Inputs) -> AttendancePart:
    weight = _exact(inputs.policy.attendance_weight)
    attended = sum(inputs.by_status.get(status, 0) for status in inputs.policy.attended_statuses)
    computed = weight * Fraction(attended, inputs.held) if inputs.held else None
    by_status = {status: inputs.by_status.get(status, 0) for status in STATUSES}
    return AttendancePart(
        **_part(inputs, ATTENDANCE, computed, weight), attended=attended, held=inputs.held, by_status=by_status
    )


def _aptitude(inputs: Inputs) -> AptitudePart:
    weight = _exact(inputs.policy.aptitude_weight)
    merits = sum(award.points for award in inputs.awards if award.kind == MERIT)
    demerits = sum(award.points for award in inputs.awards if award.kind == DEMERIT)
    base = min(max(FULL_BASE + merits - demerits, 0), FULL_BASE)
    return AptitudePart(
        **_part(inputs, APTITUDE, weight * Fraction(base, FULL_BASE), weight),
        merits=merits,
        demerits=demerits,
        base=base,
        merits_unused=max(merits - demerits, 0),
    )


def _subject(inputs: Inputs) -> SubjectPart:
    weight = _exact(inputs.policy.subject_weight)
    exams = {exam: inputs.exams.get(exam) for exam in EXAMS}
    scored = _sum(_exact(score) for score in exams.values() if score is not None)
    return SubjectPart(**_part(inputs, SUBJECT, weight * scored / (LARGEST_EXAM * len(EXAMS)), weight), exams=exams)


def _part(inputs: Inputs, component: str, computed: Fraction | None, maximum: Fraction) -> dict[str, Any]:
    adjustments = tuple(adjustment for adjustment in inputs.adjustments if adjustment.component == component)
    points = computed
    if computed is not None or adjustments:
        adjusted = (computed or Fraction(0)) + _sum(_exact(adjustment.points) for adjustment in adjustments)
        points = min(max(adjusted, Fraction(0)), maximum)
    return {"computed": computed, "adjustments": adjustments, "points": points, "maximum": maximum}


@lru_cache(maxsize=16_384)
def _exact(value: Decimal) -> Fraction:
    """Weights, bounds and scores recur, and making a fraction costs more than all that is done with it."""
    return Fraction(value)


def _sum(values: Iterable[Fraction]) -> Fraction:
    return sum(values, start=Fraction(0))


def badges_of(lifetime_merits: int) -> list[int]:
    """The badges that so many merits over all terms have earned."""
    return [badge for badge in BADGES if lifetime_merits >= badge]


def next_badge(lifetime_merits: int) -> int | None:
    return next((badge for badge in BADGES if lifetime_merits < badge), None)


# --- What clients see -------------------------------------------------------------------------------------------------


def points_text(value: Fraction | Decimal) -> str:
    """Two decimals, cut towards zero and never rounded: 94.98667 is "94.98"."""
    exact = Fraction(value)
    hundredths = abs(exact.numerator) * 100 // exact.denominator
    sign = "-" if exact < 0 and hundredths else ""
    return f"{sign}{hundredths // 100}.{hundredths % 100:02d}"


def _points_text(value: Fraction | Decimal | None) -> str | None:
    return None if value is None else points_text(value)


def grade_body(grade: Grade) -> dict[str, Any]:
    """A grade with every part explained, as JSON; points are text with two decimals."""
    attendance, aptitude, subject = grade.attendance, grade.aptitude, grade.subject
    unmarked = attendance.held - sum(attendance.by_status.values())
    return {
        ATTENDANCE: {
            "attended": attendance.attended,
            "held": attendance.held,
            "by_status": {**attendance.by_status, "unmarked": unmarked},
            **_part_body(attendance),
        },
        APTITUDE: {
            "merits": aptitude.merits,
            "demerits": aptitude.demerits,
            "base": aptitude.base,
            "merits_unused": aptitude.merits_unused,
            **_part_body(aptitude),
        },
        SUBJECT: {
            "exams": {exam: _points_text(score) for exam, score in subject.exams.items()},
            "missing": list(subject.missing),
            **_part_body(subject),
        },
        "total": points_text(grade.total),
        "equivalent": grade.equivalent,
        "remark": grade.remark,
        "provisional": grade.provisional,
    }


def _part_body(part: Part) -> dict[str, Any]:
    return {
        "computed": _points_text(part.computed),
        "adjustment": points_text(part.adjustment),
        "adjustments": [
            {
                "id": adjustment.id,
                "points": points_text(adjustment.points),
                "reason": adjustment.reason,
                "issued_at": adjustment.issued_at,
            }
            for adjustment in part.adjustments
        ],
        "points": _points_text(part.points),
        "maximum": points_text(part.maximum),
    }


# --- What a sheet freezes ---------------------------------------------------------------------------------------------

# What reading a record raises that is none.
UNREADABLE: Final = (KeyError, TypeError, ValueError, ArithmeticError, AttributeError)
_FORM = 1  # of the records below; another form gets another number, so that old sheets stay readable


def policy_spelled(policy: Policy) -> Policy:
    """The same policy in its one spelling: two decimals, statuses in their usual order. It must have no problems."""

    def spelled(share: Decimal) -> Decimal:
        return Decimal(points_text(share))

    return Policy(
        attendance_weight=spelled(policy.attendance_weight),
        aptitude_weight=spelled(policy.aptitude_weight),
        subject_weight=spelled(policy.subject_weight),
        attended_statuses=tuple(status for status in STATUSES if status in policy.attended_statuses),
        bands=tuple(Band(lower_bound=spelled(band.lower_bound), equivalent=band.equivalent) for band in policy.bands),
        failing_equivalent=policy.failing_equivalent,
    )


def policy_record(policy: Policy) -> dict[str, Any]:
    return {
        **{f"{component}_weight": str(getattr(policy, f"{component}_weight")) for component in COMPONENTS},
        "attended_statuses": list(policy.attended_statuses),
        "bands": [[str(band.lower_bound), band.equivalent] for band in policy.bands],
        "failing_equivalent": policy.failing_equivalent,
    }


def policy_of_record(record: Mapping[str, Any]) -> Policy:
    """Raises one of UNREADABLE for what is no such record."""
    return Policy(
        attendance_weight=Decimal(record["attendance_weight"]),
        aptitude_weight=Decimal(record["aptitude_weight"]),
        subject_weight=Decimal(record["subject_weight"]),
        attended_statuses=tuple(record["attended_statuses"]),
        bands=tuple(Band(lower_bound=Decimal(bound), equivalent=equivalent) for bound, equivalent in record["bands"]),
        failing_equivalent=record["failing_equivalent"],
    )


def inputs_record(inputs: Inputs, *, enrollment_id: int, cadet_id: int, term_id: int) -> dict[str, Any]:
    """`inputs` and whose they are, as JSON that gives the same inputs back; the rows in the order of their ids."""
    return {
        "form": _FORM,
        "enrollment_id": enrollment_id,
        "cadet_id": cadet_id,
        "term_id": term_id,
        "policy": policy_record(inputs.policy),
        "status": inputs.status,
        "closed": inputs.closed,
        "held": inputs.held,
        "by_status": dict(inputs.by_status),
        "awards": [[award.id, award.kind, award.points] for award in inputs.awards],
        "exams": {exam: str(score) for exam, score in inputs.exams.items()},
        "adjustments": [_adjustment_record(adjustment) for adjustment in inputs.adjustments],
    }


def inputs_of_record(record: Mapping[str, Any]) -> Inputs:
    """Raises one of UNREADABLE for what is no such record."""
    return Inputs(
        policy=policy_of_record(record["policy"]),
        status=_text(record["status"]),
        closed=_flag(record["closed"]),
        held=_whole(record["held"]),
        by_status={status: _whole(number) for status, number in record["by_status"].items()},
        awards=tuple(_award_of_record(award) for award in _rows(record["awards"])),
        exams={exam: _number(score) for exam, score in record["exams"].items()},
        adjustments=tuple(_adjustment_of_record(adjustment) for adjustment in _rows(record["adjustments"])),
    )


def _award_of_record(record: Sequence[Any]) -> Award:
    key, kind, points = _rows(record)
    return Award(id=_whole(key), kind=_text(kind), points=_whole(points))


def _adjustment_record(adjustment: Adjustment) -> dict[str, Any]:
    return {
        "id": adjustment.id,
        "component": adjustment.component,
        "points": str(adjustment.points),
        "reason": adjustment.reason,
        "issued_by": adjustment.issued_by,
        "issued_at": adjustment.issued_at,
    }


def _adjustment_of_record(record: Mapping[str, Any]) -> Adjustment:
    return Adjustment(
        id=_whole(record["id"]),
        component=_text(record["component"]),
        points=_number(record["points"]),
        reason=_text(record["reason"]),
        issued_by=_whole(record["issued_by"]),
        issued_at=_text(record["issued_at"]),
    )


# JSON that somebody has written over may hold anything. What is read from it has the type that it is said to have, so
# that nothing fails later, where nobody expects it.


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("no whole number")
    return value


def _number(value: Any) -> Decimal:
    number = Decimal(_text(value))
    if not number.is_finite():
        raise ValueError("no finite number")
    return number


def _fraction(value: Any) -> Fraction | None:
    return None if value is None else Fraction(_text(value))


def _rows(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def grade_record(grade: Grade) -> dict[str, Any]:
    """A grade as JSON without any loss: exact numbers are fractions ("1424/15")."""
    attendance, aptitude, subject = grade.attendance, grade.aptitude, grade.subject
    return {
        "form": _FORM,
        ATTENDANCE: {
            "attended": attendance.attended,
            "held": attendance.held,
            "by_status": dict(attendance.by_status),
            **_part_record(attendance),
        },
        APTITUDE: {
            "merits": aptitude.merits,
            "demerits": aptitude.demerits,
            "base": aptitude.base,
            "merits_unused": aptitude.merits_unused,
            **_part_record(aptitude),
        },
        SUBJECT: {
            "exams": {exam: None if score is None else str(score) for exam, score in subject.exams.items()},
            **_part_record(subject),
        },
        "total": str(grade.total),
        "equivalent": grade.equivalent,
        "remark": grade.remark,
        "provisional": grade.provisional,
    }


def _part_record(part: Part) -> dict[str, Any]:
    return {
        "computed": None if part.computed is None else str(part.computed),
        "adjustments": [_adjustment_record(adjustment) for adjustment in part.adjustments],
        "points": None if part.points is None else str(part.points),
        "maximum": str(part.maximum),
    }


def grade_of_record(record: Mapping[str, Any]) -> Grade:
    """Raises one of UNREADABLE for what is no such record."""
    attendance, aptitude, subject = record[ATTENDANCE], record[APTITUDE], record[SUBJECT]
    # In the order of the exams: the database keeps the keys of an object in an order of its own.
    exams = {exam: None if subject["exams"][exam] is None else _number(subject["exams"][exam]) for exam in EXAMS}
    by_status = {status: _whole(attendance["by_status"][status]) for status in STATUSES}
    return Grade(
        attendance=AttendancePart(
            **_part_of_record(attendance),
            attended=_whole(attendance["attended"]),
            held=_whole(attendance["held"]),
            by_status=by_status,
        ),
        aptitude=AptitudePart(
            **_part_of_record(aptitude),
            merits=_whole(aptitude["merits"]),
            demerits=_whole(aptitude["demerits"]),
            base=_whole(aptitude["base"]),
            merits_unused=_whole(aptitude["merits_unused"]),
        ),
        subject=SubjectPart(**_part_of_record(subject), exams=exams),
        total=Fraction(_text(record["total"])),
        equivalent=None if record["equivalent"] is None else _text(record["equivalent"]),
        remark=_text(record["remark"]),
        provisional=_flag(record["provisional"]),
    )


def _part_of_record(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "computed": _fraction(record["computed"]),
        "adjustments": tuple(_adjustment_of_record(adjustment) for adjustment in _rows(record["adjustments"])),
        "points": _fraction(record["points"]),
        "maximum": Fraction(_text(record["maximum"])),
    }


def sheet_digest(*, inputs: Any, result: Any) -> str:
    """SHA-256, in 64 hexadecimal digits, of canonical JSON: keys sorted, no space, UTF-8."""
    text = json.dumps({"inputs": inputs, "result": result}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Discrepancy:
    """One thing about a frozen sheet that is not as it must be."""

    kind: str
    detail: str


def sheet_discrepancies(*, inputs: Any, result: Any, digest: str, expected_ids: Mapping[str, int]) -> list[Discrepancy]:
    """What is wrong with a sheet in itself: its digest, whose it says it is, and whether its inputs give its result.

    `inputs` and `result` may be any JSON: what cannot be read is a discrepancy as well, `inputs` or `result`.
    """
    found = []
    if sheet_digest(inputs=inputs, result=result) != digest:
        found.append(Discrepancy(kind="digest", detail="The digest is not that of the frozen inputs and result."))
    if isinstance(inputs, Mapping):
        wrong = [name for name, value in expected_ids.items() if inputs.get(name) != value]
        if wrong:
            found.append(Discrepancy(kind="owner", detail=f"The frozen {', '.join(wrong)} is that of another row."))
    try:
        recomputed = grade_record(grade_of(inputs_of_record(inputs)))
    except UNREADABLE as error:
        found.append(Discrepancy(kind="inputs", detail=f"The frozen inputs cannot be read: {type(error).__name__}."))
        recomputed = None
    try:
        grade_of_record(result)
    except UNREADABLE as error:
        found.append(Discrepancy(kind="result", detail=f"The frozen result cannot be read: {type(error).__name__}."))
    else:
        if recomputed is not None and recomputed != result:
            names = ", ".join(differing_keys(result, recomputed))
            found.append(
                Discrepancy(
                    kind="result", detail=f"The frozen inputs give another result than the frozen one: {names}."
                )
            )
    return found


def inputs_readable(record: Any) -> bool:
    """Whether these are frozen inputs at all, rather than some other JSON."""
    try:
        inputs_of_record(record)
    except UNREADABLE:
        return False
    return True


def inputs_discrepancies(*, frozen: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    """The names of the inputs whose live rows no longer are what was frozen."""
    return differing_keys(frozen, live)


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    absent = object()
    return {name for name in {*one, *other} if one.get(name, absent) != other.get(name, absent)}


def differing_keys(frozen: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    """The names under which two mappings hold different values, or one holds none."""
    return sorted(_differing(live, frozen))


def differing_rows(frozen: Sequence[Any], live: Sequence[Any]) -> list[Any]:
    """Entries of one list that the other does not hold."""
    return [entry for entry in frozen if entry not in live] + [entry for entry in live if entry not in frozen]


# --- Tables that people exchange --------------------------------------------------------------------------------------

SCORE_COLUMNS: Final = (
    *PERSON_COLUMNS,
    Column(field="prelim", title="Prelim", aliases=("Prelims", "Preliminary", "Prelim exam", "Preliminary exam")),
    Column(field="midterm", title="Midterm", aliases=("Midterms", "Midterm exam", "Midterm examination")),
    Column(field="final", title="Final", aliases=("Finals", "Final exam", "Final examination")),
)


def score_of(value: Value) -> Decimal:
    """The exam score in a cell of a table. Raises CellRefused."""
    score = decimal_of(value, places=2)
    if not is_score(score):
        raise CellRefused("out_of_range", "Write a score from 0 to 100 with at most two decimals.")
    return score
