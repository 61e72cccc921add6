"""What scans give does not depend on the order in which scanners tell of them."""

import datetime as dt
import uuid
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.training import rules
from apps.training.rules import AttendanceCode, CodeUse, Judged, RecordState

DATE = dt.date(2026, 8, 22)
SEVEN = dt.datetime(2026, 8, 21, 23, 0, tzinfo=dt.UTC)  # 07:00 in Manila
LATE_FROM = rules.late_from(date=DATE, late_after=dt.time(7, 30))
MINUTE = dt.timedelta(minutes=1)
NOTHING = Judged(effects={}, time_in=None, time_out=None)


def at(minutes: float) -> dt.datetime:
    return SEVEN + minutes * MINUTE


def judged(*minutes: float) -> Judged:
    return rules.scans_judged({uuid.UUID(int=place): at(minute) for place, minute in enumerate(minutes, start=1)})


def effects(*minutes: float) -> list[str]:
    return [effect for _, effect in sorted(judged(*minutes).effects.items())]


def record(status: str, source: str, time_in: float | None = None, time_out: float | None = None) -> RecordState:
    return RecordState(
        status=status,
        source=source,
        time_in=at(time_in) if time_in is not None else None,
        time_out=at(time_out) if time_out is not None else None,
    )


def after(stored: RecordState | None, before: Judged, now: Judged) -> RecordState:
    return rules.record_after_scans(stored, before=before, after=now, late_from=LATE_FROM)


# --- Scans of one cadet -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "given_effects"),
    [
        ([0], ["time_in"]),
        ([0, 5], ["time_in", "time_out"]),
        ([0, 4.999], ["time_in", "too_soon"]),
        ([0, 3, 7], ["time_in", "too_soon", "time_out"]),
        ([0, 240, 250], ["time_in", "time_out", "already_out"]),
        ([240, 0], ["time_out", "time_in"]),
        ([3, 7, 0], ["too_soon", "time_out", "time_in"]),
        ([0, 0], ["time_in", "too_soon"]),
    ],
)
def test_the_first_scan_is_the_time_in_and_the_first_five_minutes_later_the_time_out(
    minutes: list[float], given_effects: list[str]
) -> None:
    assert effects(*minutes) == given_effects


def test_lateness_begins_after_the_time_and_not_at_it() -> None:
    assert LATE_FROM is not None
    assert rules.arrival_status(LATE_FROM, late_from=LATE_FROM) == "present"
    assert rules.arrival_status(LATE_FROM + dt.timedelta(milliseconds=1), late_from=LATE_FROM) == "late"
    assert rules.arrival_status(LATE_FROM + dt.timedelta(days=1), late_from=LATE_FROM) == "late"
    assert rules.arrival_status(at(600), late_from=rules.late_from(date=DATE, late_after=None)) == "present"
    assert LATE_FROM.astimezone(dt.UTC) == at(30)


# --- The record -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, record("present", "scan", 0, 60)),
        (record("absent", "sync"), record("present", "scan", 0, 60)),
        (record("absent", "manual"), record("present", "scan", 0, 60)),
        (record("absent", "import"), record("present", "scan", 0, 60)),
        (record("late", "manual"), record("late", "manual", 0, 60)),
        (record("present", "import"), record("present", "import", 0, 60)),
        (record("excused", "manual"), record("excused", "manual", 0, 60)),
        (record("excused", "sync"), record("excused", "sync", 0, 60)),
        (record("late", "manual", 35), record("late", "manual", 35, 60)),
        (record("late", "manual", 35, 70), record("late", "manual", 35, 70)),
        (record("late", "manual", 90), record("late", "manual", 90)),  # nobody leaves before having come
        (record("present", "manual", None, -10), record("present", "manual", None, -10)),
    ],
)
def test_first_scans_fill_in_what_nobody_wrote(stored: RecordState | None, expected: RecordState) -> None:
    assert after(stored, NOTHING, judged(0, 60)) == expected


def test_absent_that_a_person_wrote_in_knowledge_of_a_scan_stays() -> None:
    for source in ("manual", "import"):
        stored = record("absent", source, 0)
        assert after(stored, judged(0), judged(0, 60)) == record("absent", source, 0, 60)


def test_absent_of_the_system_gives_way_whatever_was_known() -> None:
    assert after(record("absent", "sync"), judged(40), judged(0, 40)) == record("present", "scan", 0, 40)


def test_an_earlier_scan_that_arrives_later_makes_a_late_cadet_present() -> None:
    assert after(record("late", "scan", 45), judged(45), judged(45, 10)) == record("present", "scan", 10, 45)


def test_a_status_stays_with_its_time_in_although_the_day_has_another_limit_since() -> None:
    stored = record("present", "scan", 45)  # the limit was later when this was written
    assert after(stored, judged(45), judged(45, 100)) == record("present", "scan", 45, 100)


def test_without_a_scan_there_is_no_record() -> None:
    with pytest.raises(ValueError, match="no scan"):
        after(None, NOTHING, NOTHING)


# --- Any order --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Showing:
    nonce: uuid.UUID
    use: CodeUse


@dataclass
class Book:
    """A cadet's day, kept by the rules alone."""

    stored: RecordState | None
    known: dict[uuid.UUID, CodeUse]

    def take(self, *showings: Showing) -> None:
        """As one call does: the earliest first."""
        uses = dict(self.known)
        for showing in sorted(showings, key=lambda showing: showing.use.scanned_at):
            known = uses.get(showing.nonce)
            if known is None or rules.code_use_is_first(known, showing.use):
                uses[showing.nonce] = showing.use
        if uses != self.known:
            before, now = self._judged(self.known), self._judged(uses)
            self.stored = after(self.stored, before, now)
            self.known = uses

    @staticmethod
    def _judged(uses: dict[uuid.UUID, CodeUse]) -> Judged:
        return rules.scans_judged({nonce: use.scanned_at for nonce, use in uses.items()})


SHOWINGS = st.lists(
    st.builds(
        lambda code, scanner, minute: Showing(
            uuid.UUID(int=code), CodeUse(scan_id=uuid.UUID(int=scanner * 1000 + code), scanned_at=at(minute))
        ),
        code=st.integers(1, 5),
        scanner=st.integers(1, 3),
        minute=st.integers(-30, 90),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda showing: (showing.nonce, showing.use.scan_id),
)
STORED = st.sampled_from(
    [
        None,
        record("absent", "sync"),
        record("absent", "manual"),
        record("late", "manual"),
        record("excused", "sync"),
        record("present", "manual", 0.5),
        record("late", "import", 31.5, 61.5),
        record("present", "manual", None, 20.5),
    ]
)


@given(showings=SHOWINGS, stored=STORED, data=st.data())
def test_any_order_and_any_batches_give_the_same_record(
    showings: list[Showing], stored: RecordState | None, data: st.DataObject
) -> None:
    at_once, one_by_one, in_batches = (Book(stored, {}) for _ in range(3))
    at_once.take(*showings)
    for showing in data.draw(st.permutations(showings)):
        one_by_one.take(showing)
    rest = data.draw(st.permutations(showings))
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        in_batches.take(*rest[:size])
        rest = rest[size:]
    assert one_by_one.stored == in_batches.stored == at_once.stored
    times = [{nonce: use.scanned_at for nonce, use in book.known.items()} for book in (at_once, one_by_one, in_batches)]
    assert times[0] == times[1] == times[2]


@given(showings=SHOWINGS, stored=STORED, data=st.data())
def test_retries_change_nothing(showings: list[Showing], stored: RecordState | None, data: st.DataObject) -> None:
    book = Book(stored, {})
    for showing in showings:
        book.take(showing)
    end = replace(book)
    for showing in data.draw(st.permutations(showings)):
        book.take(showing, showing)
    assert (book.stored, book.known) == (end.stored, end.known)


@given(showings=SHOWINGS, stored=STORED)
def test_nobody_leaves_before_having_come(showings: list[Showing], stored: RecordState | None) -> None:
    book = Book(stored, {})
    book.take(*showings)
    assert book.stored is not None
    if book.stored.time_in is not None and book.stored.time_out is not None:
        assert book.stored.time_out >= book.stored.time_in


# --- Times that cannot be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scanned", "received", "refusal"),
    [
        (0, 0, None),
        (10, 10, None),
        (10.001, 10.001, "code_expired"),
        (5, 5 + 7 * 24 * 60, None),
        (5, 5.001 + 7 * 24 * 60, "scanned_at_impossible"),
        (-2, 0, None),  # the scanner's clock is two minutes slow
        (-2.001, 0, "scanned_at_impossible"),
        (4, 2, None),  # or fast
        (4.001, 2, "scanned_at_impossible"),
    ],
)
def test_a_scan_lies_between_the_making_of_its_code_and_its_end(
    scanned: float, received: float, refusal: str | None
) -> None:
    code = AttendanceCode(training_day_id=1, cadet_id=2, issued_at=at(0), lifetime=10 * MINUTE, nonce=uuid.UUID(int=3))
    found = rules.scan_time_refusal(code=code, scanned_at=at(scanned), received_at=at(received), date=DATE)
    assert found == refusal


def test_a_scan_is_of_its_day_or_the_night_beside_it() -> None:
    code = AttendanceCode(training_day_id=1, cadet_id=2, issued_at=at(0), lifetime=10 * MINUTE, nonce=uuid.UUID(int=3))
    for days, refusal in ((0, None), (1, None), (-1, None), (2, "scanned_at_impossible")):
        date = DATE + dt.timedelta(days=days)
        assert rules.scan_time_refusal(code=code, scanned_at=at(1), received_at=at(1), date=date) == refusal
