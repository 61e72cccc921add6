"""The daily report: yesterday's attendance and discipline, for the unit and for every company."""

import datetime as dt
from collections import Counter

from apps.accounts.models import Role, Status, User
from apps.accounts.services import ToSend, mails_queue
from apps.grading.selectors.daily import UNIT, DayFacts, DayHeld, Discipline, day_facts
from apps.messaging.services import notification_create
from apps.operations.rules import Outcome
from apps.reports.services.daily import daily_report_make
from apps.training.rules import STATUSES, UNMARKED
from core.clock import manila_date

_BODY_LENGTH = 4000  # characters of a notification


def daily_reports(*, slot: dt.datetime) -> Outcome:
    """Tell the staff what happened on the day in Manila before the slot's. For the transaction that ends the run.

    Everybody of the staff gets a notification and, unless declined, an e-mail: the unit first, then each company. The
    documents to print are made by the worker afterwards; `report.ready` tells of each.
    """
    day = manila_date(slot) - dt.timedelta(days=1)
    facts = day_facts(day=day)
    parts = report_parts(facts)
    body = "\n\n".join("\n".join([name, *lines]) for name, lines in parts)[:_BODY_LENGTH]
    staff = User.objects.filter(
        role__in=(Role.ADMIN, Role.TRAINING_STAFF), status=Status.APPROVED, archived_at=None
    ).order_by("pk")
    ids = list(staff.values_list("pk", flat=True))
    for recipient_id in ids:
        notification_create(
            actor_id=None, recipient_id=recipient_id, title=f"Daily report for {day:%d %B %Y}", body=body
        )
    context = {"day": f"{day:%d %B %Y}", "parts": [{"name": name, "lines": lines} for name, lines in parts]}
    mails_queue(
        kind="daily_report",
        mails=[
            ToSend(recipient_id=recipient_id, event=f"daily_report:{day}:{recipient_id}", context=context)
            for recipient_id in ids
        ],
    )
    made = daily_report_make(day=day)
    total = facts.unit_discipline
    return Outcome(
        succeeded=True,
        counts={
            "training_days": sum(not held.cancelled for held in facts.held),
            "companies": len(parts) - 1,
            "absent": sum(held.unit["absent"] for held in facts.held),
            "merits": total.merits,
            "demerits": total.demerits,
            "recipients": len(ids),
            "reports": len(made),
        },
    )


def report_parts(facts: DayFacts) -> list[tuple[str, list[str]]]:
    """(whose, its lines): the unit's part, then one for each company that anything is known of."""
    unit = [_held_line(held, held.unit) for held in facts.held] or ["There was no training day."]
    parts = [(UNIT, [*unit, _discipline_line(facts.unit_discipline)])]
    for name in facts.companies:
        lines = [_held_line(held, held.companies[name]) for held in facts.held if name in held.companies]
        parts.append((name, [*lines, _discipline_line(facts.discipline.get(name, Discipline()))]))
    return parts


def _held_line(held: DayHeld, counts: Counter[str]) -> str:
    if held.cancelled:
        return f"{held.title}: cancelled."
    words = ", ".join(f"{counts[status]} {status}" for status in (*STATUSES, UNMARKED) if counts[status])
    return f"{held.title}: {words or 'nobody was expected'}."


def _discipline_line(one: Discipline) -> str:
    if one == Discipline():
        return "No merit or demerit was issued or revoked."
    revoked = f" Revoked: {one.revoked}." if one.revoked else ""
    return (
        f"Merits: {one.merits} ({one.merit_points} points). Demerits: {one.demerits} ({one.demerit_points} points)."
        f"{revoked}"
    )
