"""Whether the data is sound: what no constraint of the database can promise, or what a restore could break."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.apps import apps
from django.db import connection, models
from django_celery_beat.models import CrontabSchedule

from apps.cadets.models import Term
from apps.grading.selectors import sheet_findings
from apps.operations import rules
from apps.operations.models import ScheduledRun
from apps.operations.selectors.running import crontab_of, migrations
from core import after_commit, clock
from core.messages import Event

FINDINGS_SHOWN = 20  # of each check
OLD_JOB_SECONDS = 3600
FINDINGS_COUNTED = 1000  # of each foreign key: whoever has lost more rows than that needs a backup, not their number


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is not as it must be. `id` names the row or the object inside `table`."""

    check: str
    table: str
    id: str
    detail: str
    remedy: str


def integrity() -> dict[str, Any]:
    """Run every check. Those about what is written all the time read by single statements, or they would cry wolf."""
    findings: list[Finding] = []
    checks = []
    for name, check in CHECKS.items():
        found = list(check(name))
        checks.append({"name": name, "sound": not found, "count": len(found)})
        findings += found[:FINDINGS_SHOWN]
    return {
        "sound": not findings,
        "checked_at": clock.iso(clock.now()),
        "checks": checks,
        "findings": [asdict(finding) for finding in findings],
    }


def _rows(statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def _constraints_validated(check: str) -> Iterator[Finding]:
    for table, name in _rows(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace "
        "WHERE NOT convalidated AND n.nspname IN ('public', 'ops') ORDER BY 1, 2"
    ):
        yield Finding(
            check=check,
            table=table,
            id=name,
            detail="The constraint was added without looking at the rows that were there before.",
            remedy=f'Correct the rows that break it, then: ALTER TABLE {table} VALIDATE CONSTRAINT "{name}";',
        )


def _indexes_valid(check: str) -> Iterator[Finding]:
    for table, name in _rows(
        "SELECT indrelid::regclass::text, indexrelid::regclass::text FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE NOT indisvalid AND n.nspname IN ('public', 'ops') ORDER BY 1, 2"
    ):
        yield Finding(
            check=check,
            table=table,
            id=name,
            detail="The index is incomplete; a unique one does not keep its promise.",
            remedy=f"REINDEX INDEX CONCURRENTLY {name};",
        )


def _references_exist(check: str) -> Iterator[Finding]:
    """Every foreign key of our own tables, asked of the rows: a restore can load rows before its constraints."""
    quote = connection.ops.quote_name
    for model in apps.get_models(include_auto_created=True):
        if not model.__module__.startswith("apps.") or not model._meta.managed:
            continue
        for field in model._meta.local_fields:
            if not isinstance(field, models.ForeignKey):
                continue
            target = field.remote_field.model
            own, other = quote(model._meta.db_table), quote(target._meta.db_table)
            key_column, column, target_column = (
                quote(one.column or "") for one in (model._meta.pk, field, field.target_field)
            )
            statement = (
                f"SELECT r.{key_column}, r.{column} FROM {own} r "  # noqa: S608 - names of our own models
                f"WHERE r.{column} IS NOT NULL "
                f"AND NOT EXISTS (SELECT FROM {other} t WHERE t.{target_column} = r.{column}) LIMIT {FINDINGS_COUNTED}"
            )
            for key, value in _rows(statement):
                yield Finding(
                    check=check,
                    table=model._meta.db_table,
                    id=str(key),
                    detail=f"{field.column} names {value}, which is not in {target._meta.db_table}.",
                    remedy="Restore the missing row from a backup, or delete this one.",
                )


def _event_positions_dense(check: str) -> Iterator[Finding]:
    ((heads, head, least, greatest, count),) = _rows(
        "SELECT (SELECT count(*) FROM event_head), (SELECT position FROM event_head), min(position), max(position), "
        "count(position) FROM event"
    )
    to_head = "UPDATE event_head SET epoch = gen_random_uuid()"  # clients of the old epoch fetch their state again
    if heads != 1:
        yield Finding(
            check=check,
            table="event_head",
            id="-",
            detail="The head row is missing, so no event can be delivered.",
            remedy="Run `manage.py migrate`, which puts it back.",
        )
    elif greatest is not None and greatest != head:
        yield Finding(
            check=check,
            table="event_head",
            id=str(head),
            detail=f"The head stands at {head}, the last event at {greatest}.",
            remedy=f"{to_head}, position = {max(head, greatest)};",
        )
    if count and greatest - least + 1 != count:
        yield Finding(
            check=check,
            table="event",
            id=f"{least}-{greatest}",
            detail=f"{greatest - least + 1 - count} positions between {least} and {greatest} have no event.",
            remedy=f"{to_head};",
        )


def _slots_once(check: str) -> Iterator[Finding]:
    """A slot is one row, so it can run twice only under a wrong scheduled time, or if its uniqueness was lost."""
    for job, slot, count in _rows(
        "SELECT job, slot, count(*) FROM ops.scheduled_run GROUP BY job, slot HAVING count(*) > 1"
    ):
        yield Finding(
            check=check,
            table="ops.scheduled_run",
            id=f"{job} {clock.iso(slot)}",
            detail=f"The slot was run {count} times.",
            remedy="Delete the later rows and restore the unique constraint scheduled_run_job_slot.",
        )
    # By the schedule of its time: a row keeps the crontab that gave its slot, which a later release may have changed.
    scheduled = ScheduledRun.objects.filter(trigger=ScheduledRun.Trigger.SCHEDULE).exclude(crontab="")
    for text in scheduled.order_by("crontab").values_list("crontab", flat=True).distinct():
        fields = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
        crontab = crontab_of(CrontabSchedule(**dict(zip(fields, text.split(), strict=True))).schedule)
        for run in scheduled.filter(crontab=text).order_by("slot"):
            if not crontab.holds(run.slot):
                yield Finding(
                    check=check,
                    table="ops.scheduled_run",
                    id=str(run.pk),
                    detail=f"{run.job} ran for {clock.iso(run.slot)}, a time that its schedule {text} does not hold.",
                    remedy="Look whether the slot before it ran as well: two schedulers may disagree on the schedule.",
                )


def _slots_ended(check: str) -> Iterator[Finding]:
    """A run that nobody will take up again: its lease is long over and its message is gone."""
    closing = "UPDATE ops.scheduled_run SET finished_at = now(), outcome = 'failed'"
    over = clock.now() - dt.timedelta(seconds=rules.OVERDUE_SECONDS)
    for run in ScheduledRun.objects.filter(finished_at=None, lease_until__lt=over).order_by("slot"):
        yield Finding(
            check=check,
            table="ops.scheduled_run",
            id=str(run.pk),
            detail=f"{run.job} of {clock.iso(run.slot)} has not come to its end. {run.detail}".strip(),
            remedy=f"Run the job again in the admin site under Periodic tasks, then: {closing} WHERE id = {run.pk};",
        )


def _migrations_applied(check: str) -> Iterator[Finding]:
    found: Mapping[str, list[str]] = migrations()
    for name in found["unapplied"]:
        yield Finding(
            check=check,
            table="django_migrations",
            id=name,
            detail="This code expects a migration that the database does not have.",
            remedy="python manage.py migrate --noinput",
        )


def _names_unambiguous(check: str) -> Iterator[Finding]:
    for name, count in _rows(
        "SELECT lower(username), count(*) FROM accounts_user GROUP BY 1 HAVING count(*) > 1 ORDER BY 1"
    ):
        yield Finding(
            check=check,
            table="accounts_user",
            id=name,
            detail=f"{count} accounts differ in upper and lower case only.",
            remedy="Rename or archive all but one in the admin site.",
        )


def _accounts_linked_once(check: str) -> Iterator[Finding]:
    for user_id, cadet_id, staff_id in _rows(
        "SELECT c.user_id, c.id, s.id FROM cadets_cadet c JOIN cadets_staffprofile s ON s.user_id = c.user_id "
        "ORDER BY c.user_id"
    ):
        yield Finding(
            check=check,
            table="accounts_user",
            id=str(user_id),
            detail=f"The account is linked to cadet {cadet_id} and to staff profile {staff_id}.",
            remedy="Take one link away: DELETE /api/v1/cadets/{id}/account or /api/v1/staff/{id}/account.",
        )


def _attendance_within_terms(check: str) -> Iterator[Finding]:
    """Records that no grade counts: the day lies outside its term, or its cadet is not enrolled there."""
    for key, date, start, end in _rows(
        "SELECT d.id, d.date, t.starts_on, t.ends_on FROM training_trainingday d "
        "JOIN cadets_term t ON t.id = d.term_id "
        "WHERE d.cancelled_at IS NULL AND d.date NOT BETWEEN t.starts_on AND t.ends_on "
        "ORDER BY d.id LIMIT %s",
        [FINDINGS_COUNTED],
    ):
        yield Finding(
            check=check,
            table="training_trainingday",
            id=str(key),
            detail=f"The day {date} lies outside its term, {start} to {end}.",
            remedy="Correct the day's date or the term's: PATCH /api/v1/training-days/{id} or /api/v1/terms/{id}.",
        )
    for key, cadet_id, term_id in _rows(
        "SELECT r.id, r.cadet_id, d.term_id FROM training_attendancerecord r "
        "JOIN training_trainingday d ON d.id = r.training_day_id WHERE NOT EXISTS (SELECT FROM cadets_enrollment e "
        "WHERE e.cadet_id = r.cadet_id AND e.term_id = d.term_id) ORDER BY r.id LIMIT %s",
        [FINDINGS_COUNTED],
    ):
        yield Finding(
            check=check,
            table="training_attendancerecord",
            id=str(key),
            detail=f"Cadet {cadet_id} has a record in term {term_id} without an enrollment there.",
            remedy="Enroll the cadet in that term, or take the record away.",
        )


def _sheets_verified(check: str) -> Iterator[Finding]:
    """Every frozen sheet in itself, and against the records those of the term that was closed last."""
    found = list(sheet_findings(live=False))
    last = Term.objects.exclude(closed_at=None).order_by("-closed_at").first()
    if last is not None:
        found += sheet_findings(term_id=last.pk)
    for one in dict.fromkeys(found):
        yield Finding(check=check, table=one.table, id=one.id, detail=one.detail, remedy=one.remedy)


# Where the rows lie that an event tells of; only such as are never deleted.
_SOURCES: Mapping[str, tuple[str, str]] = {  # beginning of the type -> (field of the event, table)
    "adjustment.": ("id", "grading_adjustment"),
    "announcement.": ("id", "messaging_announcement"),
    "attendance.": ("training_day_id", "training_trainingday"),
    "cadet.": ("id", "cadets_cadet"),
    "company.": ("id", "cadets_company"),
    "enrollment.": ("id", "cadets_enrollment"),
    "grade.changed": ("enrollment_id", "cadets_enrollment"),
    "grade.released": ("sheet_id", "grading_gradesheet"),
    "import.": ("import_id", "imports_importrun"),
    "letter.": ("id", "training_excuseletter"),
    "merit.": ("id", "grading_meritdemerit"),
    "message.created": ("id", "messaging_message"),
    "platoon.": ("id", "cadets_platoon"),
    "room.": ("id", "messaging_room"),
    "staff.": ("id", "cadets_staffprofile"),
    "staff_attendance.": ("training_day_id", "training_trainingday"),
    "term.closed": ("term_id", "cadets_term"),
    "term.created": ("id", "cadets_term"),
    "training_day.": ("id", "training_trainingday"),
    "user.": ("id", "accounts_user"),
}


def _events_have_sources(check: str) -> Iterator[Finding]:
    """An event and what it tells of are written by one transaction: one without the other was written past it."""
    remedy = (
        "Restore what it tells of from a backup; or let clients fetch their state again: "
        "UPDATE event_head SET epoch = gen_random_uuid();"
    )
    for (unknown,) in _rows("SELECT DISTINCT type FROM event WHERE NOT (type = ANY(%s))", [sorted(Event.registry)]):
        yield Finding(
            check=check, table="event", id=unknown, detail=f"No event of this code is called {unknown}.", remedy=remedy
        )
    # One statement for all, since an event may be written between two.
    parts = " UNION ALL ".join(
        f"SELECT event.id, event.type, event.data ->> '{field}', '{table}' FROM event "  # noqa: S608 - names from above
        f"WHERE event.type LIKE '{beginning}%%' AND event.data ? '{field}' AND NOT EXISTS "
        f"(SELECT FROM {table} AS source WHERE source.id = (event.data ->> '{field}')::bigint)"
        for beginning, (field, table) in _SOURCES.items()
    )
    statement = f"SELECT * FROM ({parts}) AS lost ORDER BY 1 LIMIT %s"  # noqa: S608 - the same
    for key, kind, named, table in _rows(statement, [FINDINGS_COUNTED]):
        yield Finding(
            check=check,
            table="event",
            id=str(key),
            detail=f"{kind} tells of {named}, which is not in {table}.",
            remedy=remedy,
        )


def _jobs_taken(check: str) -> Iterator[Finding]:
    """Jobs that no worker has come to the end of, though they were sent again and again."""
    look = "Look whether the worker and the job sync-attendance run. If the job is worth nothing any more:"
    for key, task, sends in _rows(
        "SELECT id, task, sends FROM ops.outbox WHERE created_at < clock_timestamp() - make_interval(secs => %s) "
        "AND due_at < clock_timestamp() - make_interval(secs => %s) ORDER BY id LIMIT %s",
        [OLD_JOB_SECONDS, rules.OVERDUE_SECONDS, FINDINGS_COUNTED],
    ):
        known = "" if after_commit.task_known(task) else " This release does not know the task."
        yield Finding(
            check=check,
            table="ops.outbox",
            id=str(key),
            detail=f"{task} was sent {sends} times, is overdue, and is not done.{known}",
            remedy=f"{look} DELETE FROM ops.outbox WHERE id = {key};",  # noqa: S608 - for a person to read
        )


CHECKS: dict[str, Callable[[str], Iterator[Finding]]] = {
    "constraints_validated": _constraints_validated,
    "indexes_valid": _indexes_valid,
    "references_exist": _references_exist,
    "usernames_unambiguous": _names_unambiguous,
    "event_positions_dense": _event_positions_dense,
    "events_have_sources": _events_have_sources,
    "jobs_taken": _jobs_taken,
    "slots_once": _slots_once,
    "slots_ended": _slots_ended,
    "migrations_applied": _migrations_applied,
    "accounts_linked_once": _accounts_linked_once,
    "attendance_within_terms": _attendance_within_terms,
    "sheets_verified": _sheets_verified,
}
