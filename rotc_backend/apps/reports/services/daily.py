"""The daily reports of the schedule: one of the unit, and one of each company."""

import datetime as dt

from django.db import transaction

from apps.cadets.models import Company
from apps.reports.models import Report, State
from apps.reports.services.asking import daily_queued, requeue


def daily_report_make(*, day: dt.date) -> list[Report]:
    """Have the daily reports of a day in Manila made, the unit's first; the same ones however often it is called.

    Companies are those in use that have somebody enrolled in a term of that day. One that has failed or was cancelled
    is begun again; whose file is no longer kept stays so. `report.ready` tells the staff of each.
    """
    enrolled = {"enrollments__term__starts_on__lte": day, "enrollments__term__ends_on__gte": day}
    companies = Company.objects.filter(archived_at=None, **enrolled).distinct().order_by("position", "name", "pk")
    reports = []
    for company in [None, *companies]:
        with transaction.atomic():
            report, new = daily_queued(day=day, company=company)
            if not new and report.state in {State.FAILED, State.CANCELLED}:
                requeue(report_id=report.pk, actor_id=None)
                report.refresh_from_db()
        reports.append(report)
    return reports
