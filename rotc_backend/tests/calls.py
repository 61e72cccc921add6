"""For each operation, a request that is complete and valid: whoever is refused is refused for who asks."""

import io
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from apps.accounts.tests.factories import PASSWORD
from apps.reports.models import Report
from apps.training.services.codes import attendance_code_issue
from core.clock import iso, now
from tests.cast import ADMIN, ANONYMOUS, CADET, DAY, POLICY, PRIVILEGED_STAFF, SCORES_FILE, STAFF, World
from tests.routes import shape

Build = Callable[[World, str], Any]
FIRST = '"v1"'  # the entity tag of a row that nobody has changed


@dataclass(frozen=True, kw_only=True)
class Call:
    """`body`, `query` and `ids` (which replace ids of the world) are made from the world and who asks.

    `form` sends the body as multipart, `version` goes into If-Match, `prepare` is done before by other hands.
    `succeeds` is the status for whoever is permitted.
    """

    succeeds: int
    body: Build | None = None
    query: Build | None = None
    ids: Build | None = None
    form: bool = False
    version: str = ""
    prepare: Build | None = None


BANDS = [{"lower_bound": "90.00", "equivalent": "1.50"}, {"lower_bound": "75.00", "equivalent": "3.00"}]
NEW_PASSWORD = "seven lanterns over the lake"


def _credentials(world: World, person: str) -> dict[str, str]:
    name = CADET if person == ANONYMOUS else person
    return {"username": world.people[name].user.username, "password": PASSWORD}


def _refresh(world: World, person: str) -> dict[str, str]:
    return {"refresh": world.people[CADET if person == ANONYMOUS else person].refresh}


def _acceptance(world: World, _: str) -> dict[str, str]:
    path = f"/api/v1/users/{world.ids['spare_user_id']}/invitation"
    answer = world.client(ADMIN).post(path, {"send_email": False})
    return {"token": answer.json()["link"].partition("#token=")[2], "password": NEW_PASSWORD}


def _companion(world: World, person: str) -> dict[str, str]:
    """Somebody to whom this person has not written yet."""
    return {"username": world.people[STAFF if person == PRIVILEGED_STAFF else PRIVILEGED_STAFF].user.username}


def _letter(world: World, _: str) -> dict[str, str]:
    return {"date_absent": str(world.today - 3 * DAY), "reason": "Dengue; the certificate follows."}


def picture(_: World, __: str) -> dict[str, Any]:
    """A small photo, as a form carries it."""
    from PIL import Image

    content = io.BytesIO()
    Image.new("RGB", (8, 8), "olive").save(content, format="PNG")
    return {"file": SimpleUploadedFile("photo.png", content.getvalue(), content_type="image/png")}


def _scores_file(_: World, __: str) -> dict[str, Any]:
    return {"file": SimpleUploadedFile("scores.csv", SCORES_FILE, content_type="text/csv"), "kind": "scores"}


def _scan(world: World, _: str) -> dict[str, Any]:
    """A fresh code of the cadet's, as a scanner sends it."""
    issued = attendance_code_issue(
        actor=world.people[CADET].principal, training_day_id=int(world.ids["day_of_today_id"])
    )
    return {"scan_id": str(uuid.uuid4()), "code": issued.code}


def _today(world: World, _: str) -> dict[str, int | str]:
    """Codes are given on the day itself only."""
    return {"training_day_id": world.ids["day_of_today_id"]}


def _report_in(state: str) -> Build:
    """The cadet's report, put into another state."""
    return lambda world, _: Report.objects.filter(pk=world.ids["report_id"]).update(state=state)


def fixed(**body: Any) -> Build:
    """The same body whoever asks."""
    return lambda _world, _person: body


_LISTS = {
    f"{method} /api/v1/{entries}{rest}": call
    for entries, entry in (("companies", "company_id"), ("platoons", "platoon_id"))
    for method, rest, call in (
        ("POST", "", Call(succeeds=201, body=fixed(name="Engineers", position=70))),
        ("PATCH", f"/{{{entry}}}", Call(succeeds=200, body=fixed(position=5), version=FIRST)),
        ("POST", f"/{{{entry}}}/archive", Call(succeeds=200)),
        ("POST", f"/{{{entry}}}/restore", Call(succeeds=200)),
    )
}
_USERS = {
    f"POST /api/v1/users/{{user_id}}/{action}": Call(succeeds=200)
    for action in ("approve", "archive", "restore", "unlock")
}
_ARCHIVES = {
    f"POST /api/v1/{path}/{action}": Call(succeeds=200)
    for path in ("cadets/{cadet_id}", "staff/{staff_id}", "announcements/{announcement_id}")
    for action in ("archive", "restore")
}

CALLS: Mapping[str, Call] = {
    **_LISTS,
    **_USERS,
    **_ARCHIVES,
    "POST /api/v1/operations/backups": Call(succeeds=202),
    "POST /api/v1/operations/probe": Call(succeeds=202),
    "POST /api/v1/operations/dead-letters/{dead_letter_id}/retry": Call(succeeds=200),
    "POST /api/v1/operations/dead-letters/{dead_letter_id}/dismiss": Call(succeeds=200),
    "PATCH /api/v1/auth/me/mail-preferences": Call(succeeds=200, body=fixed(daily_reports=False)),
    # Accounts
    "POST /api/v1/auth/login": Call(succeeds=200, body=_credentials),
    "POST /api/v1/auth/refresh": Call(succeeds=200, body=_refresh),
    "POST /api/v1/auth/logout": Call(succeeds=204),
    "PATCH /api/v1/auth/me": Call(
        succeeds=200, body=fixed(email="new@rotc.example", current_password=PASSWORD), version=FIRST
    ),
    "POST /api/v1/auth/password": Call(succeeds=200, body=fixed(current_password=PASSWORD, new_password=NEW_PASSWORD)),
    "POST /api/v1/auth/register": Call(succeeds=201, body=fixed(username="rowena", password=NEW_PASSWORD)),
    "POST /api/v1/auth/password-reset": Call(succeeds=202, body=fixed(username="liza")),
    "POST /api/v1/auth/invitations/accept": Call(succeeds=204, body=_acceptance),
    "POST /api/v1/users": Call(succeeds=201, body=fixed(username="rowena", role="training_staff")),
    "PATCH /api/v1/users/{user_id}": Call(succeeds=200, body=fixed(first_name="Liza"), version=FIRST),
    "POST /api/v1/users/{user_id}/invitation": Call(succeeds=200, body=fixed(send_email=False)),
    # Terms, cadets, staff
    "POST /api/v1/terms": Call(
        succeeds=201,
        body=fixed(school_year="2030-2031", semester="1st", starts_on="2030-08-01", ends_on="2030-12-20"),
    ),
    "PATCH /api/v1/terms/{term_id}": Call(
        succeeds=200, body=lambda world, _: {"ends_on": str(world.today + 90 * DAY)}, version=FIRST
    ),
    "POST /api/v1/terms/{term_id}/make-current": Call(succeeds=200),
    "POST /api/v1/cadets": Call(
        succeeds=201, body=fixed(student_id="2025-0099", last_name="Torres", first_name="Nadia")
    ),
    "PATCH /api/v1/cadets/{cadet_id}": Call(succeeds=200, body=fixed(course="BS Forestry"), version=FIRST),
    "PUT /api/v1/cadets/{cadet_id}/photo": Call(succeeds=200, body=picture, form=True),
    "DELETE /api/v1/cadets/{cadet_id}/photo": Call(succeeds=204),
    "PUT /api/v1/cadets/{cadet_id}/account": Call(
        succeeds=200,
        ids=lambda world, _: {"cadet_id": world.ids["unlinked_cadet_id"]},
        body=lambda world, _: {"user_id": world.ids["spare_user_id"]},
    ),
    "DELETE /api/v1/cadets/{cadet_id}/account": Call(succeeds=204),
    "POST /api/v1/cadets/{cadet_id}/enrollments": Call(
        succeeds=201,
        ids=lambda world, _: {"cadet_id": world.ids["unlinked_cadet_id"]},
        body=lambda world, _: {"company_id": world.ids["company_id"]},
    ),
    "PATCH /api/v1/enrollments/{enrollment_id}": Call(succeeds=200, body=fixed(rank="CDT SGT"), version=FIRST),
    "PATCH /api/v1/cadets/me": Call(succeeds=200, body=fixed(contact_number="0917 555 0101"), version=FIRST),
    "PUT /api/v1/cadets/me/photo": Call(succeeds=200, body=picture, form=True),
    "DELETE /api/v1/cadets/me/photo": Call(succeeds=204),
    "POST /api/v1/staff": Call(
        succeeds=201, body=fixed(last_name="Torres", first_name="Nadia", email="torres@rotc.example")
    ),
    "PATCH /api/v1/staff/{staff_id}": Call(succeeds=200, body=fixed(rank="Sgt"), version=FIRST),
    "PUT /api/v1/staff/{staff_id}/account": Call(
        succeeds=200,
        ids=lambda world, _: {"staff_id": world.ids["unlinked_staff_id"]},
        body=lambda world, _: {"user_id": world.ids["spare_staff_user_id"]},
    ),
    "DELETE /api/v1/staff/{staff_id}/account": Call(succeeds=204),
    # Training
    "POST /api/v1/training-days": Call(
        succeeds=201, body=lambda world, _: {"date": str(world.today + DAY), "title": "Facings"}
    ),
    "PATCH /api/v1/training-days/{training_day_id}": Call(
        succeeds=200, body=fixed(location="Parade ground"), version=FIRST
    ),
    "POST /api/v1/training-days/{training_day_id}/cancel": Call(succeeds=200, body=fixed(reason="Typhoon")),
    "POST /api/v1/training-days/{cancelled_day_id}/reinstate": Call(succeeds=200),
    "POST /api/v1/training-days/{training_day_id}/attendance": Call(
        succeeds=200, body=fixed(records=[{"student_id": "2025-0001", "status": "late"}])
    ),
    "PUT /api/v1/training-days/{training_day_id}/attendance/{cadet_id}": Call(succeeds=200, body=fixed(status="late")),
    "DELETE /api/v1/training-days/{training_day_id}/attendance/{cadet_id}": Call(succeeds=204),
    "POST /api/v1/training-days/{training_day_id}/staff-attendance": Call(
        succeeds=200, body=lambda world, _: {"records": [{"staff_id": world.ids["staff_id"], "status": "late"}]}
    ),
    "PUT /api/v1/training-days/{training_day_id}/staff-attendance/{staff_id}": Call(
        succeeds=200, body=fixed(status="late")
    ),
    "DELETE /api/v1/training-days/{training_day_id}/staff-attendance/{staff_id}": Call(succeeds=204),
    "POST /api/v1/excuse-letters": Call(succeeds=201, body=_letter),
    "POST /api/v1/excuse-letters/{letter_id}/approve": Call(succeeds=200, body=fixed(note="Get well soon.")),
    "POST /api/v1/excuse-letters/{letter_id}/reject": Call(succeeds=200, body=fixed(note="No certificate.")),
    "POST /api/v1/excuse-letters/{letter_id}/withdraw": Call(succeeds=200),
    "GET /api/v1/training-days/{training_day_id}/attendance-code": Call(succeeds=200, ids=_today),
    "GET /api/v1/training-days/{training_day_id}/attendance-code/image": Call(succeeds=200, ids=_today),
    "POST /api/v1/training-days/{training_day_id}/scans": Call(succeeds=200, ids=_today, body=_scan),
    "POST /api/v1/training-days/{training_day_id}/scans/batch": Call(
        succeeds=200,
        ids=_today,
        body=lambda world, person: {"scans": [{**_scan(world, person), "scanned_at": iso(now())}]},
    ),
    # Imports
    "POST /api/v1/imports": Call(succeeds=202, body=_scores_file, form=True),
    "POST /api/v1/imports/{import_id}/apply": Call(succeeds=202),
    "POST /api/v1/imports/{import_id}/cancel": Call(succeeds=200),
    # Reports
    "POST /api/v1/reports": Call(
        succeeds=202, body=lambda world, _: {"kind": "grade_slip", "enrollment_id": world.ids["enrollment_id"]}
    ),
    "DELETE /api/v1/reports/{report_id}": Call(succeeds=204),
    "DELETE /api/v1/reports/{list_report_id}": Call(succeeds=204),
    "POST /api/v1/reports/{report_id}/cancel": Call(succeeds=200, prepare=_report_in("queued")),
    "POST /api/v1/reports/{report_id}/retry": Call(succeeds=202, prepare=_report_in("failed")),
    "POST /api/v1/certificates/{code}/revoke": Call(succeeds=200, body=fixed(reason="It was somebody else's exam.")),
    # Grades
    "PUT /api/v1/enrollments/{enrollment_id}/scores/{exam}": Call(succeeds=200, body=fixed(score="91.50")),
    "DELETE /api/v1/enrollments/{enrollment_id}/scores/{exam}": Call(succeeds=204),
    "POST /api/v1/terms/{term_id}/scores": Call(
        succeeds=200, body=fixed(records=[{"student_id": "2025-0001", "exam": "midterm", "score": "77.25"}])
    ),
    "POST /api/v1/merits": Call(
        succeeds=201,
        body=lambda world, _: {
            "enrollment_id": world.ids["enrollment_id"],
            "kind": "merit",
            "points": 5,
            "reason": "First aid",
        },
    ),
    "POST /api/v1/merits/{merit_id}/revoke": Call(succeeds=200, body=fixed(reason="The other cadet was meant.")),
    "POST /api/v1/adjustments": Call(
        succeeds=201,
        body=lambda world, _: {
            "enrollment_id": world.ids["enrollment_id"],
            "component": "subject",
            "points": "1.25",
            "reason": "Recount",
        },
    ),
    "POST /api/v1/adjustments/{adjustment_id}/revoke": Call(succeeds=200, body=fixed(reason="Counted twice.")),
    "PATCH /api/v1/grading-policy": Call(
        succeeds=200, body=fixed(attended_statuses=["present", "excused"]), version=FIRST
    ),
    "PUT /api/v1/terms/{term_id}/grading-policy": Call(succeeds=201, body=fixed(**{**POLICY, "bands": BANDS})),
    "PATCH /api/v1/terms/{past_term_id}/grading-policy": Call(
        succeeds=200, body=fixed(attended_statuses=["present", "excused"]), version=FIRST
    ),
    "POST /api/v1/terms/{term_id}/close": Call(succeeds=200),
    "POST /api/v1/terms/{closed_term_id}/reopen": Call(succeeds=200, body=fixed(reason="A score was missing.")),
    "POST /api/v1/grade-sheets/{sheet_id}/verify": Call(succeeds=200),
    # Messages
    "POST /api/v1/notifications": Call(succeeds=201, body=fixed(recipient="liza", title="Formation", body="At seven.")),
    "POST /api/v1/notifications/{notification_id}/read": Call(succeeds=200),
    "DELETE /api/v1/notifications/{notification_id}": Call(succeeds=204),
    "POST /api/v1/rooms/direct": Call(succeeds=201, body=_companion),
    "POST /api/v1/rooms/{room_id}/messages": Call(succeeds=201, body=fixed(body="Present.", client_id="client-7")),
    "POST /api/v1/rooms/{room_id}/read": Call(
        succeeds=200, body=lambda world, _: {"message_id": world.ids["message_id"]}
    ),
    "POST /api/v1/rooms/{direct_room_id}/read": Call(
        succeeds=200, body=lambda world, _: {"message_id": world.ids["direct_message_id"]}
    ),
    "PATCH /api/v1/messages/{message_id}": Call(succeeds=200, body=fixed(body="At half past six.")),
    "DELETE /api/v1/messages/{message_id}": Call(succeeds=204),
    "POST /api/v1/announcements": Call(
        succeeds=201,
        body=lambda world, _: {"kind": "activity", "title": "Planting", "text": "Gloves.", "date": str(world.today)},
    ),
    "PATCH /api/v1/announcements/{announcement_id}": Call(succeeds=200, body=fixed(title="Planting"), version=FIRST),
    "POST /api/v1/announcements/{announcement_id}/photos": Call(succeeds=201, body=picture, form=True),
    "DELETE /api/v1/announcements/{announcement_id}/photos/{photo_id}": Call(succeeds=204),
}
_BY_SHAPE = {shape(operation): call for operation, call in CALLS.items()}


def call_of(operation: str) -> Call:
    """The call of "METHOD /path", whatever its parameters are called; reading takes nothing but the address.

    Raises KeyError for a write that has none.
    """
    if operation in CALLS:
        return CALLS[operation]
    if operation.startswith("GET "):
        return Call(succeeds=200)
    return _BY_SHAPE[shape(operation)]
