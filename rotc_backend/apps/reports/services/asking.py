"""What people ask of reports: to make one, to stop it, to try again, to remove it."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.text import slugify

from apps.accounts.models import User
from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.cadets.models import Company, Enrollment, Term
from apps.cadets.selectors import term_current
from apps.events.services import publish
from apps.grading.selectors.grades import enrollment_by_id, enrollment_of_user
from apps.reports import rules
from apps.reports.events import ReportDeleted
from apps.reports.jobs import ReportPerform
from apps.reports.models import Kind, Report, State
from apps.reports.selectors import report_visible_to
from apps.reports.services.certificates import certificate_issue
from apps.reports.services.ends import hearers, report_end, told_of
from apps.training.models import TrainingDay
from core.after_commit import enqueue
from core.clock import manila_date, now
from core.errors import Conflict, FieldError, NotFound, PermissionRefused, ValidationFailed
from core.uploads import file_discard_on_commit

_LONGEST_NAME = 100


def report_create(
    *,
    actor: Principal,
    kind: str,
    file_format: str = rules.PDF,
    client_id: str = "",
    site: str = "",
    **parameters: Any,
) -> tuple[Report, bool]:
    """Have a report made; returns it and whether it is new. `parameters` are some of rules.PARAMETERS.

    The same `client_id` of the same account is the same report. `site` is the address of this system as the asker knows
    it, which certificates name. Raises PermissionRefused, NotFound (also `no_current_term`, `not_enrolled`,
    `no_cadet_record`), ValidationFailed (`required`, `not_for_this_kind`, `unknown_…`, `in_the_future`), Conflict
    (`too_many_reports`, `client_id_used`), and what `certificate_issue` raises.
    """
    if kind not in rules.kinds_of(is_admin=actor.is_admin, is_staff_member=actor.is_staff_member):
        raise PermissionRefused(_words_for(actor))
    given = {name: value for name, value in parameters.items() if value is not None}
    _refuse_odd(kind, file_format, given)
    with transaction.atomic():
        if client_id and (known := _known(actor, client_id, kind, file_format)):
            return known, False
        _refuse_many(actor)
        facts = _facts(actor, kind, given)
        return _queued(
            actor_id=actor.user_id, kind=kind, file_format=file_format, client_id=client_id, site=site, **facts
        )


def report_cancel(*, actor: Principal, report_id: int) -> Report:
    """Stop a report that waits or is being written; its worker notices within a second or two, and stores nothing.

    Raises NotFound and Conflict (`report_ended`).
    """
    report_visible_to(principal=actor, report_id=report_id)
    with transaction.atomic():
        report = _locked(report_id)
        _refuse_daily(actor, report)
        if not report.is_under_way:
            raise Conflict("This report has ended; there is nothing to stop.", code="report_ended")
        report_end(
            report=report,
            actor_id=actor.user_id,
            state=State.CANCELLED,
            code="cancelled",
            detail="Somebody stopped it.",
        )
    return report_visible_to(principal=actor, report_id=report_id)


def report_retry(*, actor: Principal, report_id: int) -> Report:
    """Have a report made again that has failed, was cancelled, or whose file is gone.

    It says what is so by then. Raises NotFound, PermissionRefused, and Conflict (`report_not_ended`).
    """
    report = report_visible_to(principal=actor, report_id=report_id)
    if report.kind not in rules.kinds_of(is_admin=actor.is_admin, is_staff_member=actor.is_staff_member):
        raise PermissionRefused("Your role may no longer ask for this.")
    with transaction.atomic():
        requeue(report_id=report_id, actor_id=actor.user_id)
    return report_visible_to(principal=actor, report_id=report_id)


def report_delete(*, actor: Principal, report_id: int) -> None:
    """Remove a report and its file, whatever state it is in. A certificate that it printed stays valid.

    Raises NotFound, and PermissionRefused for staff and a daily report of the schedule, which belongs to all.
    """
    report_visible_to(principal=actor, report_id=report_id)
    with transaction.atomic():
        report = _locked(report_id)
        _refuse_daily(actor, report)
        if report.file:
            file_discard_on_commit(report.file)
        audit_record(
            actor_id=actor.user_id,
            action="report.delete",
            target=f"report:{report_id}",
            before={**told_of(report), "state": report.state},
        )
        publish(event=ReportDeleted(report_id=report_id), recipients=hearers(report))
        report.delete()


def requeue(*, report_id: int, actor_id: int | None) -> None:
    """In the caller's transaction. Raises Conflict (`report_not_ended`)."""
    queued = Report.objects.filter(pk=report_id, state__in=rules.REPEATABLE).update(
        state=State.QUEUED,
        queued_at=now(),
        started_at=None,
        finished_at=None,
        rows_done=0,
        rows_total=None,
        attempt=0,
        problem="",
        problem_code="",
    )
    if not queued:
        raise Conflict("This report is ready, or under way already.", code="report_not_ended")
    audit_record(actor_id=actor_id, action="report.retry", target=f"report:{report_id}")
    enqueue(ReportPerform(report_id=report_id))


def daily_queued(*, day: dt.date, company: Company | None) -> tuple[Report, bool]:
    """A daily report of the schedule, in the caller's transaction; the same one however often it is asked for."""
    client_id = rules.daily_client_id(day=day, company_id=company.pk if company else None)
    known = Report.objects.filter(requested_by=None, client_id=client_id).first()
    if known is not None:
        return known, False
    return _queued(
        actor_id=None,
        kind=Kind.DAILY,
        file_format=rules.PDF,
        client_id=client_id,
        site="",
        **_named(kind=Kind.DAILY, day=day, company=company),
    )


# --- What is asked for ------------------------------------------------------------------------------------------------


def _words_for(actor: Principal) -> str:
    if actor.is_staff_member:
        return "Only administrators have master lists and certificates made."
    return "A cadet can have the own grade slip made. Ask the staff for anything else."


def _refuse_odd(kind: str, file_format: str, given: Mapping[str, Any]) -> None:
    its = rules.KINDS[kind]
    errors = [
        FieldError(field=name, code="not_for_this_kind", detail=f"{its.title}: leave this out.")
        for name in given
        if name not in its.takes
    ]
    errors += [
        FieldError(field=name, code="required", detail=f"{its.title}: say which.")
        for name in sorted(its.needs)
        if name not in given
    ]
    if file_format not in its.formats:
        errors.append(
            FieldError(
                field="file_format",
                code="not_for_this_kind",
                detail=f"{its.title}: there is {', '.join(its.formats).upper()}.",
            )
        )
    if errors:
        named = ", ".join(error.field for error in errors)
        raise ValidationFailed(f"Correct these fields and send the request again: {named}.", errors=errors)


def _known(actor: Principal, client_id: str, kind: str, file_format: str) -> Report | None:
    # One at a time for an account: of two requests with one number the second finds the first one's report.
    _lock_account(actor)
    report = Report.objects.filter(requested_by_id=actor.user_id, client_id=client_id).first()
    if report is not None and (report.kind, report.file_format) != (kind, file_format):
        raise Conflict("You have used this client_id for another report. Take a new one.", code="client_id_used")
    return report


def _lock_account(actor: Principal) -> None:
    list(User.objects.select_for_update(no_key=True).filter(pk=actor.user_id).values_list("pk"))


def _refuse_many(actor: Principal) -> None:
    open_ones = Report.objects.filter(requested_by_id=actor.user_id, state__in=rules.UNDER_WAY)
    if open_ones.count() >= rules.MOST_UNDER_WAY:
        raise Conflict(
            f"{rules.MOST_UNDER_WAY} reports of yours are under way. Wait for some of them, or cancel them.",
            code="too_many_reports",
        )


def _facts(actor: Principal, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of the report: what it is of, its title, the name of its file."""
    match kind:
        case Kind.GRADE_SLIP:
            enrollment = _own_or_named(actor, given)
            return _named(kind=kind, enrollment=enrollment, term=enrollment.term)
        case Kind.CERTIFICATE:
            enrollment = enrollment_by_id(enrollment_id=given[rules.ENROLLMENT])
            certificate_type = given.get(rules.CERTIFICATE_TYPE, rules.COMPLETION)
            certificate = certificate_issue(actor=actor, enrollment_id=enrollment.pk, certificate_type=certificate_type)
            named = _named(kind=kind, enrollment=enrollment, term=enrollment.term, extra=certificate_type)
            return {**named, "certificate": certificate}
        case Kind.ATTENDANCE_DAY:
            day = TrainingDay.objects.select_related("term").filter(pk=given[rules.TRAINING_DAY]).first()
            if day is None:
                raise _wrong(rules.TRAINING_DAY, "unknown_training_day", "There is no training day with this id.")
            return _named(kind=kind, term=day.term, training_day=day, company=_company(given))
        case Kind.DAILY:
            if given[rules.DATE] > manila_date(now()):
                raise _wrong(rules.DATE, "in_the_future", "This day has not come yet, in Manila.")
            return _named(kind=kind, day=given[rules.DATE], company=_company(given))
    return _named(kind=kind, term=_term(given), company=_company(given))


def _own_or_named(actor: Principal, given: Mapping[str, Any]) -> Enrollment:
    if rules.ENROLLMENT not in given:
        if actor.is_staff_member:
            raise _wrong(rules.ENROLLMENT, "required", "Say whose grade slip it is.")
        return enrollment_of_user(user_id=actor.user_id, term_id=given.get(rules.TERM))
    if rules.TERM in given:
        raise _wrong(rules.TERM, "not_for_this_kind", "The enrollment says which term it is. Leave this out.")
    enrollment = enrollment_by_id(enrollment_id=given[rules.ENROLLMENT])
    if not actor.is_staff_member and not is_of(enrollment, user_id=actor.user_id):
        raise NotFound("There is no enrollment with this id.")
    return enrollment


def is_of(enrollment: Enrollment, *, user_id: int) -> bool:
    """Whether an enrollment is that of the cadet who has this account."""
    return enrollment.cadet.user_id == user_id and enrollment.cadet.archived_at is None


def _term(given: Mapping[str, Any]) -> Term:
    if rules.TERM not in given:
        return term_current()
    term = Term.objects.filter(pk=given[rules.TERM]).first()
    if term is None:
        raise _wrong(rules.TERM, "unknown_term", "There is no term with this id.")
    return term


def _company(given: Mapping[str, Any]) -> Company | None:
    if rules.COMPANY not in given:
        return None
    company = Company.objects.filter(pk=given[rules.COMPANY]).first()
    if company is None:
        raise _wrong(rules.COMPANY, "unknown_company", "There is no company with this id.")
    return company


def _wrong(field: str, code: str, detail: str) -> ValidationFailed:
    return ValidationFailed(detail, errors=[FieldError(field=field, code=code, detail=detail)])


def _named(
    *,
    kind: str,
    term: Term | None = None,
    company: Company | None = None,
    enrollment: Enrollment | None = None,
    training_day: TrainingDay | None = None,
    day: dt.date | None = None,
    extra: str = "",
) -> dict[str, Any]:
    title = rules.KINDS[kind].title + (f" of {extra}" if extra else "")
    whose = enrollment.cadet.full_name if enrollment else company.name if company else ""
    when = str(training_day or day or term)
    number = enrollment.cadet.student_id if enrollment else company.name if company else ""
    dated = training_day.date if training_day else day or (f"{term.school_year} {term.semester}" if term else "")
    return {
        "term": term,
        "company": company,
        "enrollment": enrollment,
        "training_day": training_day,
        "day": day,
        "title": rules.titles_joined([title, whose, when]),
        "file_name": slugify(f"{title} {number} {dated}")[:_LONGEST_NAME],
    }


def _queued(*, actor_id: int | None, file_format: str, file_name: str, **columns: Any) -> tuple[Report, bool]:
    report = Report.objects.create(
        requested_by_id=actor_id, file_format=file_format, file_name=f"{file_name}.{file_format}", **columns
    )
    report.refresh_from_db()
    audit_record(actor_id=actor_id, action="report.create", target=f"report:{report.pk}", after=told_of(report))
    enqueue(ReportPerform(report_id=report.pk))
    return report, True


def _locked(report_id: int) -> Report:
    report = Report.objects.select_for_update(no_key=True).filter(pk=report_id).first()
    if report is None:  # removed a moment ago
        raise NotFound("There is no report with this id, or it is somebody else's.")
    return report


def _refuse_daily(actor: Principal, report: Report) -> None:
    if report.requested_by_id is None and not actor.is_admin:
        raise PermissionRefused("The daily reports of the schedule belong to all of the staff. Ask an administrator.")
