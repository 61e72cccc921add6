"""The page of a certificate: its frozen facts in words."""

import datetime as dt
from typing import Any

from apps.cadets.models import StaffFunction
from apps.reports import rules
from apps.reports.models import Report
from apps.reports.selectors import state_of_certificate
from apps.reports.services.contents.parts import day_words, origin_of
from apps.reports.services.documents import CertificatePage, Progress
from core.errors import Conflict


def certificate(report: Report, progress: Progress) -> CertificatePage:
    made = report.certificate
    assert made is not None  # noqa: S101 - asking() has issued it
    if state_of_certificate(made) != rules.VALID:
        raise Conflict(
            "This certificate is no longer in force, so it is not printed again. Ask for a new one.",
            code="certificate_not_in_force",
        )
    facts: dict[str, Any] = made.facts
    progress(rules.READING, 1, 1)
    level = f"the Reserve Officers\u2019 Training Corps program, military science level {facts['level']},"
    term = f"in the {facts['semester']}, School Year {facts['school_year']}."
    lines, shown = [f"has completed {level}", term], [("Final equivalent", facts["equivalent"])]
    if made.type == rules.MERIT:
        lines, shown = [f"for conduct in {level}", term], [("Merits earned", str(facts["merits"]))]
    return CertificatePage(
        heading=rules.HEADING,
        title=f"Certificate of {made.get_type_display()}",
        lead="This is given to" if made.type == rules.MERIT else "This certifies that",
        name=facts["name"],
        lines=lines,
        facts=[*shown, ("Remark", facts["remark"])],
        given=f"Decided on {day_words(dt.date.fromisoformat(facts['decided_on']))}",
        code=rules.code_shown(made.code),
        address=f"{report.site}/certificates/{made.code}" if report.site else "",
        places=[(what, StaffFunction(function).label) for what, function in rules.KINDS[report.kind].signatories],
        origin=origin_of(report),
    )
