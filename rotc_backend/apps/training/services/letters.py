"""Excuse letters. One that is approved and the records that it excuses are one write."""

import datetime as dt
from dataclasses import dataclass

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction

from apps.accounts.rules import Principal
from apps.accounts.services import ToSend, audit_record, mails_queue
from apps.cadets.models import Cadet, Term
from apps.cadets.rules import DECIDING_FUNCTIONS, grades_version, standing_version
from apps.cadets.selectors import cadet_of_user, enrollment_of, staff_function_of, term_by_id, term_current
from apps.cadets.services.terms import term_hold_open
from apps.events.services import publish
from apps.messaging.services import notification_create
from apps.pictures.models import Picture, SentFile
from apps.pictures.rules import FILE_READY, FILE_REFUSED
from apps.pictures.services import Use, picture_drop, picture_keep, picture_submit
from apps.training import rules
from apps.training.events import LetterDecided, LetterFileChanged, LetterSubmitted, LetterWithdrawn
from apps.training.models import AttendanceRecord, AttendanceSource, ExcuseLetter, LetterState, TrainingDay
from apps.training.selectors.letters import NO_LETTER, letters_for_day
from apps.training.selectors.people import cadets_named
from apps.training.services.attendance import attendance_excuse
from apps.training.services.holds import training_days_hold
from apps.training.services.records import STAFF_HEARS
from core import cache
from core.clock import now
from core.errors import Conflict, FieldError, NotFound, PermissionRefused, ValidationFailed
from core.messages import Event
from core.models import apply_changes, lock_row
from core.uploads import LONGEST_SIDE_OF_DOCUMENT, Document, document_checked, file_kept_by_commit, file_store

_FOLDER = "excuse-letters"
_PURPOSE = "letter_file"
_REFUSALS = {
    "letter_decided": "This letter has been decided already, perhaps by somebody else just now. Read it again.",
    "letter_withdrawn": "The cadet has withdrawn this letter. There is nothing left to decide.",
}


def letter_submit(
    *,
    actor: Principal,
    date_absent: dt.date,
    reason: str,
    training_day_id: int | None = None,
    upload: UploadedFile | None = None,
) -> ExcuseLetter:
    """Hand in one's own letter for a date of the current term, of one of its training days or of all.

    1  may this letter be written?     2  check the file; store a document, outside the transaction
    3  ask again, and write; a picture is written down with it, and becomes the file when the worker has prepared it

    Raises NotFound (`no_cadet_record`, `no_current_term`, `not_enrolled`), Conflict (`term_closed`, `letter_pending`,
    `term_not_current` when another term became so meanwhile), ValidationFailed (`outside_term` and `other_date`,
    `unknown_training_day`, `day_cancelled`; for the file as `document_checked`), ContentTooLarge, and Unavailable
    (`storage_unavailable`).
    """
    absence = _Absence(
        cadet=cadet_of_user(user_id=actor.user_id),
        term=term_current(),
        date=date_absent,
        training_day_id=training_day_id,
    )
    if upload is None:
        return _submit(actor, absence, reason)
    with transaction.atomic():
        _refuse_impossible(absence)
    document = document_checked(upload)
    named = {"file_name": _file_name(upload.name or "", document), "file_type": document.content_type}
    if document.content is None:
        with transaction.atomic():
            picture = picture_keep(actor=actor, purpose=_PURPOSE, upload=upload)
            letter = _submit(actor, absence, reason, file_sent=SentFile.PROCESSING.value, **named)
            picture_submit(picture=picture, record_id=letter.pk)
            return letter
    stored = file_store(folder=_FOLDER, extension=document.extension, content=document.content)
    with file_kept_by_commit(stored):
        return _submit(actor, absence, reason, file=stored, **named)


def letter_withdraw(*, actor: Principal, letter_id: int) -> ExcuseLetter:
    """Take back one's own letter while nobody has decided it.

    Raises NotFound, also for another's, and Conflict (`letter_decided`, `letter_withdrawn`).
    """
    cadet = cadet_of_user(user_id=actor.user_id)
    with transaction.atomic():
        letter = lock_row(ExcuseLetter.objects.filter(pk=letter_id, cadet=cadet), missing=NO_LETTER)
        _refuse_settled(letter)
        changes = {"state": LetterState.WITHDRAWN.value}
        if letter.file_sent == SentFile.PROCESSING:
            picture_drop(purpose=_PURPOSE, record_id=letter.pk)
            changes["file_sent"] = ""
        before, after = apply_changes(letter, changes)
        audit_record(
            actor_id=actor.user_id, action="letter.withdraw", target=_target(letter), before=before, after=after
        )
        withdrawn = LetterWithdrawn(id=letter.pk, cadet_id=cadet.pk, state=letter.state, version=letter.version)
        _tell(cadet, withdrawn)
    return letter


def letter_approve(*, actor: Principal, letter_id: int, note: str = "") -> ExcuseLetter:
    """Approve a letter and mark its day, or every day of its date, `excused`; tell the cadet.

    A day that is cancelled or does not exist yet is marked when it takes place: see `approved_letters_apply`. Raises
    PermissionRefused (`permission_denied`, `own_letter`), NotFound, and Conflict (`letter_decided`,
    `letter_withdrawn`, `term_closed`).
    """
    _refuse_undeciding(actor)
    with transaction.atomic():
        found = _letter(letter_id)
        term_hold_open(term_id=found.term_id)
        days = TrainingDay.objects.filter(term_id=found.term_id, date=found.date_absent, cancelled_at=None)
        if found.training_day_id is not None:
            days = days.filter(pk=found.training_day_id)
        held = training_days_hold(days)
        cache.touch(grades_version(found.term_id))
        letter = _decide(actor, letter_id, LetterState.APPROVED, note)
        people = cadets_named(term_id=letter.term_id, ids=[letter.cadet_id], student_ids=[])
        for day in held:
            attendance_excuse(actor_id=actor.user_id, training_day=day, people=people)
        _notify(actor, letter)
    return letter


def letter_reject(*, actor: Principal, letter_id: int, note: str) -> ExcuseLetter:
    """Reject a letter with a word why; tell the cadet. Attendance stays as it is, so the term may be closed.

    Raises PermissionRefused, NotFound and Conflict as `letter_approve`.
    """
    _refuse_undeciding(actor)
    with transaction.atomic():
        letter = _decide(actor, letter_id, LetterState.REJECTED, note)
        _notify(actor, letter)
    return letter


def approved_letters_apply(*, actor_id: int | None, training_day: TrainingDay) -> int:
    """Excuse on a day all whose letters for it are approved; return how many records that wrote.

    For a day that has come to take place on its date: created, moved there, or reinstated. The caller holds it. Nothing
    happens to a cancelled one, nor to a record that somebody wrote after the letter was decided: that is a correction
    of the excuse, made in knowledge of it.
    """
    if training_day.cancelled_at is not None:
        return 0
    by_people = AttendanceRecord.objects.filter(training_day=training_day).exclude(source=AttendanceSource.SYNC)
    written = dict(by_people.values_list("cadet_id", "updated_at"))
    cadet_ids = [
        cadet_id
        for cadet_id, decided_at in letters_for_day(training_day=training_day).values_list("cadet_id", "decided_at")
        if cadet_id not in written or (decided_at is not None and written[cadet_id] <= decided_at)
    ]
    if not cadet_ids:
        return 0
    people = cadets_named(term_id=training_day.term_id, ids=cadet_ids, student_ids=[])
    return attendance_excuse(actor_id=actor_id, training_day=training_day, people=people)


# --- Submitting -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Absence:
    """Who was or will be absent, and when. Without a training day: from every one of that date."""

    cadet: Cadet
    term: Term
    date: dt.date
    training_day_id: int | None


def _submit(actor: Principal, absence: _Absence, reason: str, **file: str) -> ExcuseLetter:
    """`file` are the columns of the letter that tell of its file."""
    with transaction.atomic():
        _refuse_impossible(absence)
        try:
            with transaction.atomic():
                letter = ExcuseLetter.objects.create(
                    cadet=absence.cadet,
                    term=absence.term,
                    date_absent=absence.date,
                    training_day_id=absence.training_day_id,
                    reason=reason,
                    **file,
                )
        except IntegrityError as error:  # the same letter sent twice at once
            if "letter_one_pending_a_date" not in str(error):
                raise
            raise _pending(absence.date) from error
        letter.refresh_from_db()
        # Without the reason: the trail says that a letter was handed in, it is no second copy of it.
        audit_record(
            actor_id=actor.user_id,
            action="letter.submit",
            target=_target(letter),
            after={
                "cadet_id": letter.cadet_id,
                "date_absent": letter.date_absent,
                "training_day_id": letter.training_day_id,
                "file_name": letter.file_name,
            },
        )
        submitted = LetterSubmitted(
            id=letter.pk,
            cadet_id=letter.cadet_id,
            date_absent=letter.date_absent,
            training_day_id=letter.training_day_id,
            state=letter.state,
            version=letter.version,
        )
        _tell(absence.cadet, submitted)
    return letter


def _refuse_impossible(absence: _Absence) -> None:
    """As things are now, not as they were before a file was checked: the term is held, so it stays as it is read."""
    term_hold_open(term_id=absence.term.pk)
    term = term_by_id(term_id=absence.term.pk)
    if not term.is_current:
        raise Conflict(
            "Another term has just become the current one. Hand the letter in again.", code="term_not_current"
        )
    cadet = lock_row(Cadet.objects.filter(pk=absence.cadet.pk))  # nobody archives or unlinks the record meanwhile
    if cadet.archived_at is not None or cadet.user_id != absence.cadet.user_id:
        raise NotFound(
            "Your account was just separated from the cadet's record. Ask an administrator to link it.",
            code="no_cadet_record",
        )
    enrollment_of(cadet_id=absence.cadet.pk, term_id=term.pk)
    if not term.starts_on <= absence.date <= term.ends_on:
        raise _refused(
            "date_absent", "outside_term", f"The current term lasts from {term.starts_on} to {term.ends_on}."
        )
    if absence.training_day_id is not None:
        day = TrainingDay.objects.filter(pk=absence.training_day_id, term=term).first()
        if day is None:
            raise _refused("training_day_id", "unknown_training_day", "The current term has no training day like that.")
        if day.date != absence.date:
            raise _refused("date_absent", "other_date", f"That training day is on {day.date}.")
        if day.cancelled_at is not None:
            raise _refused("training_day_id", "day_cancelled", "That training day is cancelled; nobody is absent.")
    pending = ExcuseLetter.objects.filter(cadet=absence.cadet, date_absent=absence.date, state=LetterState.PENDING)
    if pending.exists():
        raise _pending(absence.date)


def _refused(field: str, code: str, detail: str) -> ValidationFailed:
    return ValidationFailed(detail, errors=[FieldError(field=field, code=code, detail=detail)])


def _pending(date_absent: dt.date) -> Conflict:
    return Conflict(
        f"A letter of yours for {date_absent} waits for its decision. Withdraw it before you write another.",
        code="letter_pending",
    )


def _file_name(given: str, document: Document) -> str:
    """What the cadet called the file, fit to be shown and offered for download, with the extension of its content."""
    stem = "".join(letter for letter in given.replace("\\", "/").rpartition("/")[2] if letter.isprintable())
    stem = stem.rpartition(".")[0] or stem
    return f"{stem.strip(' .')[:100] or 'letter'}.{document.extension}"


# --- When the worker has looked at a picture --------------------------------------------------------------------------


def _place(picture: Picture, name: str) -> bool:
    _file_settle(picture, {"file": name, "file_sent": ""}, state=FILE_READY)
    return True


def _refuse(picture: Picture) -> str | None:
    letter = _file_settle(picture, {"file_sent": SentFile.REFUSED.value}, state=FILE_REFUSED)
    return f"the file of your excuse letter for {letter.date_absent}"


def _file_settle(picture: Picture, changes: dict[str, str], *, state: str) -> ExcuseLetter:
    letter = lock_row(ExcuseLetter.objects.filter(pk=picture.target).select_related("cadet"), missing=NO_LETTER)
    before, after = apply_changes(letter, changes)
    audit_record(
        actor_id=picture.sent_by_id, action=f"letter.file_{state}", target=_target(letter), before=before, after=after
    )
    _tell(
        letter.cadet,
        LetterFileChanged(id=letter.pk, cadet_id=letter.cadet_id, file_state=state, version=letter.version),
    )
    return letter


FILE = Use(purpose=_PURPOSE, folder=_FOLDER, longest_side=LONGEST_SIDE_OF_DOCUMENT, place=_place, refuse=_refuse)


# --- Deciding ---------------------------------------------------------------------------------------------------------


def _refuse_undeciding(actor: Principal) -> None:
    if not actor.is_admin and staff_function_of(user_id=actor.user_id) not in DECIDING_FUNCTIONS:
        raise PermissionRefused(
            "Letters are decided by administrators, the Commandant, the Assistant Commandant, the NSTP Director, the "
            "ROTC Coordinator and the Admin NCO."
        )


def _letter(letter_id: int) -> ExcuseLetter:
    letter = ExcuseLetter.objects.filter(pk=letter_id).first()
    if letter is None:
        raise NotFound(NO_LETTER)
    return letter


def _decide(actor: Principal, letter_id: int, state: LetterState, note: str) -> ExcuseLetter:
    letter = lock_row(ExcuseLetter.objects.filter(pk=letter_id).select_related("cadet"), missing=NO_LETTER)
    if letter.cadet.user_id == actor.user_id:
        raise PermissionRefused("Nobody decides the own letter. Ask another officer.", code="own_letter")
    _refuse_settled(letter)
    decided_at = now()
    before, after = apply_changes(
        letter,
        {
            "state": state.value,
            "decided_by_id": actor.user_id,
            "decided_at": decided_at,
            "decision_note": note,
        },
    )
    audit_record(
        actor_id=actor.user_id,
        action=f"letter.{'approve' if state == LetterState.APPROVED else 'reject'}",
        target=_target(letter),
        before=before,
        after=after,
    )
    decided = LetterDecided(
        id=letter.pk,
        cadet_id=letter.cadet_id,
        state=letter.state,
        decided_at=decided_at,
        decision_note=note,
        version=letter.version,
    )
    _tell(letter.cadet, decided)
    return letter


def _refuse_settled(letter: ExcuseLetter) -> None:
    refusal = rules.decision_refusal(state=letter.state)
    if refusal is not None:
        raise Conflict(_REFUSALS[refusal], code=refusal)


def _notify(actor: Principal, letter: ExcuseLetter) -> None:
    """Last in the transaction, since it locks the recipient's account."""
    if letter.cadet.user_id is None:
        return
    note = f" Note: {letter.decision_note}" if letter.decision_note else ""
    notification_create(
        actor_id=actor.user_id,
        recipient_id=letter.cadet.user_id,
        title=f"Excuse letter {letter.state}",
        body=f"Your excuse letter for {letter.date_absent} was {letter.state}.{note}",
    )
    told = {"date_absent": letter.date_absent, "state": letter.state, "note": letter.decision_note}
    caused = ToSend(recipient_id=letter.cadet.user_id, event=f"letter.decided:{letter.pk}:{letter.state}", context=told)
    mails_queue(kind="letter_decided", mails=[caused])


def _tell(cadet: Cadet, event: Event) -> None:
    # The cache first: who is woken by the event fetches at once, and must not find what was cached before it.
    cache.touch(standing_version(cadet.pk))
    own = [f"user:{cadet.user_id}"] if cadet.user_id is not None else []
    publish(event=event, recipients=[*own, *STAFF_HEARS])


def _target(letter: ExcuseLetter) -> str:
    return f"letter:{letter.pk}"
