"""Scans: codes that cadets have shown to a scanner, one at a time or a batch from a scanner that was offline.

1  read the codes                            what is not ours needs no lock
2  share the term and the day                writers of whole days come before or after, other scanners do not wait
3  hold the cadets' enrollments, by id       a code belongs to one cadet: whoever shows it twice waits here
4  judge each scan, the earliest first       `rules` decide; refusals are in the trail like everything else
5  write scans, records, audit entries       for all that count; the others do not stop them
6  count and tell, one scanner at a time     otherwise the last count told would lack what others write meanwhile
"""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import connection, transaction

from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.cadets.models import Cadet, Enrollment
from apps.cadets.rules import grades_version, standing_version
from apps.events.services import publish_many
from apps.training import rules
from apps.training.events import AttendanceDayChanged, AttendanceMarked
from apps.training.models import AttendanceRecord, Scan, TrainingDay
from apps.training.selectors.roster import counts_by_status, records_of_cadets
from apps.training.services.codes import attendance_code_read
from apps.training.services.holds import training_day_share
from apps.training.services.records import STAFF_HEARS
from core import cache
from core.clock import manila_date, now
from core.errors import Conflict
from core.messages import Event

RECORDED, ALREADY_RECORDED, REFUSED = "recorded", "already_recorded", "refused"
_WITHOUT_EFFECT = (rules.TOO_SOON, rules.ALREADY_OUT)
_COUNTING = "rgms.training_day.counting"  # names the lock under which a day's records are counted

WORDS: Mapping[str, str] = {
    "code_malformed": "This is not an attendance code of this system. Ask the cadet to open the code of this day.",
    "code_forged": "This system did not make this code, or its keys were changed since. Ask the cadet for a fresh one; "
    "if that is refused too, take the name and tell an administrator.",
    "code_expired": "This code had expired when it was scanned. Ask the cadet for a fresh one.",
    "code_of_another_day": "This code is for another training day. Ask the cadet to open the code of this one.",
    "code_used": "This code has been scanned before, and each works once. Ask the cadet for a fresh one.",
    "not_enrolled": "This cadet is not enrolled in the term of this training day. Send the cadet to the office.",
    "cadet_archived": "This cadet is archived. An administrator has to restore the record first.",
    "too_soon": "This cadet was scanned in less than 5 minutes before. The attendance stands; nothing else is needed.",
    "already_out": "This cadet has been scanned in and out. Both times stand; nothing else is needed.",
    "day_cancelled": "This training day is cancelled. It has to be reinstated before attendance is taken.",
    "scanned_at_impossible": "The time of this scan cannot be right: it is not of this training day, in the future, "
    "from before the code was made, or more than 7 days old. Set the scanner's clock; mark the cadet by hand.",
}

_UPSERT = """
INSERT INTO training_attendancerecord AS record (training_day_id, cadet_id, status, time_in, time_out, remarks, source,
    recorded_by_id, version)
SELECT %(day)s, given.cadet, given.status, given.time_in, given.time_out, '', given.source, given.recorded_by, 1
FROM unnest(%(cadets)s::bigint[], %(status)s::text[], %(time_in)s::timestamptz[], %(time_out)s::timestamptz[],
    %(source)s::text[], %(recorded_by)s::bigint[]) AS given (cadet, status, time_in, time_out, source, recorded_by)
ORDER BY given.cadet
ON CONFLICT (training_day_id, cadet_id) DO UPDATE SET
    status = excluded.status, time_in = excluded.time_in, time_out = excluded.time_out, source = excluded.source,
    recorded_by_id = excluded.recorded_by_id, version = record.version + 1, updated_at = clock_timestamp()
RETURNING record.*
"""


@dataclass(frozen=True, kw_only=True)
class Presented:
    """What a scanner read, under the scanner's own number of it. Without a time: just now."""

    scan_id: uuid.UUID
    code: str
    scanned_at: dt.datetime | None = None


@dataclass(frozen=True, kw_only=True)
class ScanAnswer:
    """What became of a scan. `code` and `detail` say why one is refused; `cadet` is known where the code is genuine."""

    scan_id: uuid.UUID
    result: str
    effect: str | None = None
    code: str | None = None
    detail: str | None = None
    cadet: Cadet | None = None
    record: AttendanceRecord | None = None


def scan_take(
    *, actor: Principal, training_day_id: int, scan_id: uuid.UUID, code: str, scanned_at: dt.datetime | None = None
) -> ScanAnswer:
    """Take one code; the same scan again is answered alike and changes nothing.

    Raises Conflict with a code of WORDS, after the refusal has been written into the audit trail; besides NotFound for
    the day, and Conflict (`term_closed`, `day_in_future`).
    """
    presented = Presented(scan_id=scan_id, code=code, scanned_at=scanned_at)
    (answer,) = scans_take(actor=actor, training_day_id=training_day_id, scans=[presented])
    if answer.result == REFUSED:
        raise Conflict(answer.detail or "", code=answer.code)
    return answer


def scans_take(*, actor: Principal, training_day_id: int, scans: Sequence[Presented]) -> list[ScanAnswer]:
    """Take many codes of a day in one transaction, each on its own; answers in the order of `scans`.

    Raises NotFound for the day, and Conflict (`term_closed`, `day_in_future`): then nothing was taken.
    """
    read = [_read(scan.code, training_day_id) for scan in scans]
    cadet_ids = sorted({code.cadet_id for code in read if isinstance(code, rules.AttendanceCode)})
    with transaction.atomic():
        day = training_day_share(training_day_id=training_day_id)
        if day.date > manila_date(now()):
            raise Conflict(
                f"This training day is on {day.date} and cannot be scanned for before. Wait, or correct its date.",
                code="day_in_future",
            )
        desk = _Desk(
            day=day,
            cadets=_cadets_hold(day, cadet_ids),
            known=_known_scans(day, cadet_ids),
            # After the locks: where two scanners show the same code at once, the one that comes second is the later.
            received_at=now(),
        )
        decisions = desk.decide(scans, read)
        records = _write(desk, actor=actor, decisions=decisions)
    return [_answer(decision, desk.cadets, records, desk.effects(decision.cadet_id)) for decision in decisions]


def _read(text: str, training_day_id: int) -> rules.AttendanceCode | str:
    """The code, or why it is none for this day."""
    try:
        code = attendance_code_read(text)
    except rules.CodeRefused as error:
        return str(error)
    return code if code.training_day_id == training_day_id else "code_of_another_day"


def _answer(
    decision: "_Decision",
    cadets: Mapping[int, Cadet],
    records: Mapping[int, AttendanceRecord],
    effects: Mapping[uuid.UUID, str],
) -> ScanAnswer:
    cadet_id = decision.cadet_id
    refusal, effect = decision.refusal, None
    if refusal is None and decision.nonce is not None:
        effect = effects[decision.nonce]
        refusal = effect if effect in _WITHOUT_EFFECT else None
    if refusal is not None:
        result, effect = REFUSED, None
    else:
        result = ALREADY_RECORDED if decision.is_retry else RECORDED
    return ScanAnswer(
        scan_id=decision.scan_id,
        result=result,
        effect=effect,
        code=refusal,
        detail=WORDS[refusal] if refusal is not None else None,
        cadet=cadets.get(cadet_id) if cadet_id is not None else None,
        record=records.get(cadet_id) if cadet_id is not None else None,
    )


# --- Judging ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Decision:
    """What a scan counts as: a use of its code, a retry of one that is known, or neither, and why."""

    scan_id: uuid.UUID
    at: dt.datetime
    cadet_id: int | None = None
    nonce: uuid.UUID | None = None
    refusal: str | None = None
    is_retry: bool = False


class _Desk:
    """A day while scans of it are taken: what was known of its cadets before, and what is known with this call."""

    def __init__(
        self,
        *,
        day: TrainingDay,
        cadets: dict[int, Cadet],
        known: dict[int, dict[uuid.UUID, Scan]],  # cadet -> number of the code -> scan
        received_at: dt.datetime,
    ) -> None:
        self.day, self.cadets, self.known, self.received_at = day, cadets, known, received_at
        self.uses = {
            cadet_id: {
                nonce: rules.CodeUse(scan_id=scan.scan_id, scanned_at=scan.scanned_at) for nonce, scan in scans.items()
            }
            for cadet_id, scans in known.items()
        }
        self._judged: dict[int, rules.Judged] = {}

    def decide(self, scans: Sequence[Presented], read: Sequence[rules.AttendanceCode | str]) -> list[_Decision]:
        """The decisions in the order of `scans`; what counts is added to `uses`."""
        times = [rules.instant_cut(scan.scanned_at or self.received_at) for scan in scans]
        decided: dict[int, _Decision] = {}
        # The earliest first: of two that show the same code it is the one that counts.
        for place in sorted(range(len(scans)), key=lambda place: times[place]):
            decided[place] = self._decide_one(scans[place].scan_id, read[place], times[place])
        return [decided[place] for place in range(len(scans))]

    def _decide_one(self, scan_id: uuid.UUID, code: rules.AttendanceCode | str, at: dt.datetime) -> _Decision:
        if isinstance(code, str):
            return _Decision(scan_id=scan_id, at=at, refusal=code)
        uses = self.uses.setdefault(code.cadet_id, {})
        new, known = rules.CodeUse(scan_id=scan_id, scanned_at=at), uses.get(code.nonce)
        is_retry = known is not None and known.scan_id == scan_id
        refusal = None if is_retry else self._refusal(code, at)
        if known is not None and not is_retry and (refusal or not rules.code_use_is_first(known, new)):
            refusal = "code_used"  # whatever else is true
        if refusal is None and not is_retry:
            uses[code.nonce] = new
        return _Decision(
            scan_id=scan_id, at=at, cadet_id=code.cadet_id, nonce=code.nonce, refusal=refusal, is_retry=is_retry
        )

    def _refusal(self, code: rules.AttendanceCode, at: dt.datetime) -> str | None:
        refusal = rules.scan_time_refusal(code=code, scanned_at=at, received_at=self.received_at, date=self.day.date)
        if refusal is not None:
            return refusal
        if self.day.cancelled_at is not None:
            return "day_cancelled"
        cadet = self.cadets.get(code.cadet_id)
        if cadet is None:
            return "not_enrolled"
        return "cadet_archived" if cadet.archived_at is not None else None

    def before(self, cadet_id: int) -> rules.Judged:
        return rules.scans_judged({nonce: scan.scanned_at for nonce, scan in self.known.get(cadet_id, {}).items()})

    def after(self, cadet_id: int) -> rules.Judged:
        """For use after `decide`."""
        if cadet_id not in self._judged:
            uses = self.uses.get(cadet_id, {})
            self._judged[cadet_id] = rules.scans_judged({nonce: use.scanned_at for nonce, use in uses.items()})
        return self._judged[cadet_id]

    def effects(self, cadet_id: int | None) -> Mapping[uuid.UUID, str]:
        return self.after(cadet_id).effects if cadet_id is not None else {}


def _cadets_hold(day: TrainingDay, cadet_ids: Sequence[int]) -> dict[int, Cadet]:
    """The enrolled ones of these cadets; two calls about the same cadet come one after another."""
    rows = Enrollment.objects.filter(term_id=day.term_id, cadet_id__in=cadet_ids).order_by("id")
    held = rows.select_related("cadet").select_for_update(of=("self",), no_key=True)
    return {enrollment.cadet_id: enrollment.cadet for enrollment in held}


def _known_scans(day: TrainingDay, cadet_ids: Sequence[int]) -> dict[int, dict[uuid.UUID, Scan]]:
    known: dict[int, dict[uuid.UUID, Scan]] = {}
    for scan in Scan.objects.filter(training_day=day, cadet_id__in=cadet_ids):
        known.setdefault(scan.cadet_id, {})[scan.nonce] = scan
    return known


# --- Writing ----------------------------------------------------------------------------------------------------------


def _write(desk: _Desk, *, actor: Principal, decisions: Sequence[_Decision]) -> dict[int, AttendanceRecord]:
    """Write what the decisions change; return the records of all cadets that they speak of."""
    cadet_ids = sorted({decision.cadet_id for decision in decisions if decision.cadet_id is not None})
    records = records_of_cadets(training_day_id=desk.day.pk, cadet_ids=cadet_ids)
    scans = _scans_write(desk, actor=actor, cadet_ids=cadet_ids)
    states: dict[int, rules.RecordState] = {}
    late_from = rules.late_from(date=desk.day.date, late_after=desk.day.late_after)
    for cadet_id in sorted({scan.cadet_id for scan in scans}):
        stored = _state_of(records.get(cadet_id))
        state = rules.record_after_scans(
            stored, before=desk.before(cadet_id), after=desk.after(cadet_id), late_from=late_from
        )
        if state != stored:
            states[cadet_id] = state
    written = _records_write(desk.day, actor=actor, states=states, records=records)
    _audit_scans(desk, actor=actor, scans=scans, records=records, written=written)
    _audit_refusals(desk, actor=actor, decisions=decisions)
    if written:
        _tell(desk, written=written, created=sum(cadet_id not in records for cadet_id in written))
    return {**records, **written}


def _scans_write(desk: _Desk, *, actor: Principal, cadet_ids: Sequence[int]) -> list[Scan]:
    """Write and return the scans that are new, that an earlier showing of their code replaces, or that give another
    effect than before.
    """
    changed: list[Scan] = []
    for cadet_id in cadet_ids:
        effects, known = desk.effects(cadet_id), desk.known.get(cadet_id, {})
        for nonce, use in desk.uses[cadet_id].items():
            scan = known.get(nonce)
            if scan is None or scan.scan_id != use.scan_id:
                scan = Scan(
                    nonce=nonce,
                    training_day=desk.day,
                    cadet_id=cadet_id,
                    scan_id=use.scan_id,
                    scanned_at=use.scanned_at,
                    received_at=desk.received_at,
                    scanned_by_id=actor.user_id,
                )
            elif scan.effect == effects[nonce]:
                continue
            scan.effect = effects[nonce]
            changed.append(scan)
    if changed:
        Scan.objects.bulk_create(
            changed,
            update_conflicts=True,
            unique_fields=["nonce"],
            update_fields=["scan_id", "scanned_at", "received_at", "scanned_by", "effect"],
        )
    return changed


def _state_of(record: AttendanceRecord | None) -> rules.RecordState | None:
    if record is None:
        return None
    return rules.RecordState(
        status=record.status, time_in=record.time_in, time_out=record.time_out, source=record.source
    )


def _records_write(
    day: TrainingDay,
    *,
    actor: Principal,
    states: Mapping[int, rules.RecordState],
    records: Mapping[int, AttendanceRecord],
) -> dict[int, AttendanceRecord]:
    """Write the records of these cadets and return them as they are now. The author of a status is kept with it."""
    if not states:
        return {}

    def author(cadet_id: int, state: rules.RecordState) -> int | None:
        return actor.user_id if state.source == rules.SCAN else records[cadet_id].recorded_by_id

    rows = sorted(states.items())
    written = AttendanceRecord.objects.raw(
        _UPSERT,
        {
            "day": day.pk,
            "cadets": [cadet_id for cadet_id, _ in rows],
            "status": [state.status for _, state in rows],
            "time_in": [state.time_in for _, state in rows],
            "time_out": [state.time_out for _, state in rows],
            "source": [state.source for _, state in rows],
            "recorded_by": [author(cadet_id, state) for cadet_id, state in rows],
        },
    )
    return {record.cadet_id: record for record in written}


def _audit_scans(
    desk: _Desk,
    *,
    actor: Principal,
    scans: Sequence[Scan],
    records: Mapping[int, AttendanceRecord],
    written: Mapping[int, AttendanceRecord],
) -> None:
    """One entry for all that a call took: the scans, and the records that they changed."""
    if not scans:
        return

    def facts(cadet_id: int, record: AttendanceRecord) -> dict[str, object]:
        return {
            "cadet_id": cadet_id,
            "status": record.status,
            "time_in": record.time_in,
            "time_out": record.time_out,
            "source": record.source,
        }

    audit_record(
        actor_id=actor.user_id,
        action="scan.record",
        target=_target(desk.day),
        before={"records": [facts(cadet_id, records[cadet_id]) for cadet_id in written if cadet_id in records]},
        after={
            "records": [facts(cadet_id, record) for cadet_id, record in written.items()],
            "scans": [
                {
                    "scan_id": scan.scan_id,
                    "cadet_id": scan.cadet_id,
                    "scanned_at": scan.scanned_at,
                    "effect": scan.effect,
                }
                for scan in scans
            ],
        },
    )


def _audit_refusals(desk: _Desk, *, actor: Principal, decisions: Sequence[_Decision]) -> None:
    """One entry for each; none for a retry, which is answered as before. Never the code, which may be somebody's."""
    for decision in decisions:
        refusal = decision.refusal
        if refusal is None and decision.nonce is not None and not decision.is_retry:
            effect = desk.effects(decision.cadet_id)[decision.nonce]
            refusal = effect if effect in _WITHOUT_EFFECT else None
        if refusal is not None:
            audit_record(
                actor_id=actor.user_id,
                action="scan.refuse",
                target=_target(desk.day),
                after={
                    "code": refusal,
                    "scan_id": decision.scan_id,
                    "cadet_id": decision.cadet_id,
                    "scanned_at": decision.at,
                },
            )


def _tell(desk: _Desk, *, written: Mapping[int, AttendanceRecord], created: int) -> None:
    """Move the cache and tell each cadet of the own record, and the staff of the day."""
    # The cache first: who is woken by the event fetches at once, and must not find what was cached before it.
    cache.touch(grades_version(desk.day.term_id), *(standing_version(cadet_id) for cadet_id in written))
    told: list[tuple[Event, Sequence[str]]] = []
    for cadet_id, record in written.items():
        user_id = desk.cadets[cadet_id].user_id
        if user_id is not None:
            marked = AttendanceMarked(
                training_day_id=desk.day.pk,
                date=desk.day.date,
                status=record.status,
                time_in=record.time_in,
                time_out=record.time_out,
                remarks=record.remarks,
                source=record.source,
            )
            told.append((marked, [f"user:{user_id}"]))
    with connection.cursor() as cursor:
        # Kept until the commit, and last of all locks: what is counted now includes all that was told before.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [_COUNTING, desk.day.pk])
    day_changed = AttendanceDayChanged(
        training_day_id=desk.day.pk,
        created=created,
        changed=len(written) - created,
        removed=0,
        by_status=counts_by_status(AttendanceRecord, training_day_id=desk.day.pk),
    )
    publish_many([*told, (day_changed, STAFF_HEARS)])


def _target(day: TrainingDay) -> str:
    return f"training_day:{day.pk}"
