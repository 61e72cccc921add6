"""What people ask of imports: to take a file, to apply what was checked, to stop."""

from django.db import transaction

from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.cadets.models import Term
from apps.cadets.selectors import term_current
from apps.imports import rules
from apps.imports.jobs import ImportRunPerform
from apps.imports.models import ImportFile, ImportRun, Kind, OnDuplicate, State
from apps.imports.selectors import import_visible_to, ready_since
from apps.imports.services.ends import LEASES, run_end
from apps.training.models import TrainingDay
from core.after_commit import enqueue
from core.clock import now
from core.errors import Conflict, FieldError, PermissionRefused, ValidationFailed
from core.spreadsheets.reading import spreadsheet_refuse_hopeless


def import_create(
    *,
    actor: Principal,
    kind: str,
    file_name: str,
    content: bytes,
    term_id: int | None = None,
    training_day_id: int | None = None,
    on_duplicate: str = OnDuplicate.UPDATE,
    dry_run: bool = True,
) -> ImportRun:
    """Take a file; the worker checks it and, without `dry_run`, applies it if no row is refused.

    Scores and cadets go into the current term unless `term_id` names another. Raises PermissionRefused, NotFound
    (`no_current_term`), Conflict (`too_many_imports`), ContentTooLarge, and ValidationFailed: `required`,
    `not_for_this_kind`, `unknown_term`, `unknown_training_day`, and what spreadsheet_refuse_hopeless says of a file.
    """
    if not rules.may_import(kind=kind, is_admin=actor.is_admin, is_staff_member=actor.is_staff_member):
        raise PermissionRefused("Only administrators import cadets." if actor.is_staff_member else "Ask the staff.")
    term_id, training_day_id = _where(kind=kind, term_id=term_id, training_day_id=training_day_id)
    spreadsheet_refuse_hopeless(content)
    with transaction.atomic():
        unfinished = ImportRun.objects.filter(created_by_id=actor.user_id, state__in=rules.UNFINISHED)
        if unfinished.count() >= rules.MOST_UNFINISHED:
            raise Conflict(
                f"You have {rules.MOST_UNFINISHED} imports that are not finished. Apply or cancel some of them first.",
                code="too_many_imports",
            )
        run = ImportRun.objects.create(
            kind=kind,
            term_id=term_id,
            training_day_id=training_day_id,
            on_duplicate=on_duplicate,
            dry_run=dry_run,
            file_name=rules.file_name_of(file_name),
            file_bytes=len(content),
            created_by_id=actor.user_id,
            asked_by_id=actor.user_id,
        )
        run.refresh_from_db()
        ImportFile.objects.create(run=run, content=content)
        audit_record(
            actor_id=actor.user_id,
            action="import.create",
            target=f"import:{run.pk}",
            after={
                "kind": kind,
                "term_id": term_id,
                "training_day_id": training_day_id,
                "on_duplicate": on_duplicate,
                "dry_run": dry_run,
                "file_name": run.file_name,
                "file_bytes": run.file_bytes,
            },
        )
        enqueue(ImportRunPerform(run_id=run.pk))
    return run


def import_apply(*, actor: Principal, run_id: int) -> ImportRun:
    """Let the worker carry out what it has checked. It plans anew, since the world may have changed.

    Raises NotFound, PermissionRefused, and Conflict: `import_not_ready` while it waits or runs, `import_ended`,
    `import_expired`.
    """
    run = import_visible_to(principal=actor, run_id=run_id)
    if not rules.may_import(kind=run.kind, is_admin=actor.is_admin, is_staff_member=actor.is_staff_member):
        raise PermissionRefused("Your role may no longer import this.")
    with transaction.atomic():
        present = now()
        ready = ImportRun.objects.filter(pk=run_id, state=State.READY, finished_at__gte=ready_since(present))
        # One of two who press at once: the other finds it queued.
        queued = ready.update(
            state=State.QUEUED,
            dry_run=False,
            asked_by_id=actor.user_id,
            queued_at=present,
            finished_at=None,
            started_at=None,
            rows_done=0,
            rows_total=None,
            counts={},
            attempt=0,
            cancel_requested_at=None,
        )
        if not queued:
            raise _not_ready(ImportRun.objects.get(pk=run_id))
        audit_record(
            actor_id=actor.user_id,
            action="import.confirm",
            target=f"import:{run_id}",
            before={"counts": run.counts},
            after={"kind": run.kind, "dry_run": False},
        )
        enqueue(ImportRunPerform(run_id=run_id))
    return import_visible_to(principal=actor, run_id=run_id)


def import_cancel(*, actor: Principal, run_id: int) -> ImportRun:
    """Stop an import. One that waits, or is ready, is cancelled at once; one that runs stops within a second or two.

    Raises NotFound and Conflict (`import_ended`).
    """
    import_visible_to(principal=actor, run_id=run_id)
    with transaction.atomic():
        run = ImportRun.objects.select_for_update(no_key=True).get(pk=run_id)
        if run.state not in rules.UNFINISHED:
            raise _ended(run)
        if LEASES.is_held(row_id=run_id):
            if run.cancel_requested_at is None:
                run.cancel_requested_at = now()
                run.save(update_fields=["cancel_requested_at"])
                audit_record(
                    actor_id=actor.user_id,
                    action="import.ask_cancel",
                    target=f"import:{run_id}",
                    after={"kind": run.kind, "phase": run.phase},
                )
        else:
            run_end(
                run=run,
                actor_id=actor.user_id,
                state=State.CANCELLED,
                code="cancelled",
                detail="Cancelled before anything was saved.",
            )
    return import_visible_to(principal=actor, run_id=run_id)


def _where(*, kind: str, term_id: int | None, training_day_id: int | None) -> tuple[int | None, int | None]:
    """(term, training day) that a file of this kind goes into."""
    if kind == Kind.ATTENDANCE:
        if term_id is not None:
            raise _wrong("term_id", "not_for_this_kind", "Attendance belongs to a training day. Leave the term out.")
        if training_day_id is None:
            raise _wrong("training_day_id", "required", "Say which training day the attendance is of.")
        if not TrainingDay.objects.filter(pk=training_day_id).exists():
            raise _wrong("training_day_id", "unknown_training_day", "There is no training day with this id.")
        return None, training_day_id
    if training_day_id is not None:
        raise _wrong("training_day_id", "not_for_this_kind", "Only attendance belongs to a training day. Leave it out.")
    if term_id is None:
        return term_current().pk, None
    if not Term.objects.filter(pk=term_id).exists():
        raise _wrong("term_id", "unknown_term", "There is no term with this id.")
    return term_id, None


def _wrong(field: str, code: str, detail: str) -> ValidationFailed:
    return ValidationFailed(detail, errors=[FieldError(field=field, code=code, detail=detail)])


def _not_ready(run: ImportRun) -> Conflict:
    if run.state in rules.UNDER_WAY:
        return Conflict("This import is waiting or running already. Look at it again soon.", code="import_not_ready")
    if run.state == State.READY:
        return Conflict(
            f"This import was checked more than {rules.READY_HOURS} hours ago. Send the file again.",
            code="import_expired",
        )
    return _ended(run)


def _ended(run: ImportRun) -> Conflict:
    return Conflict(
        f"This import has ended: {run.get_state_display().lower()}. Send the file again to import it.",
        code="import_ended",
    )
