import datetime as dt
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from PIL import Image

from apps.accounts.models import AuditEntry, Role, User
from apps.accounts.tests import factories as accounts
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet, StaffFunction, Term
from apps.cadets.tests import factories as cadets
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.messaging.models import Notification
from apps.pictures.tests.factories import pictures_worked
from apps.training.models import ExcuseLetter
from apps.training.services.letters import letter_submit
from apps.training.tests import factories
from apps.training.tests.problems import fields_of, problem_of
from core.clock import now
from core.uploads import file_store

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/excuse-letters"
STAFF = ["role:admin", "role:training_staff"]
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"

Media = Callable[[], list[Path]]


def given(**fields: Any) -> dict[str, Any]:
    return {"date_absent": str(cadets.today()), "reason": "Fever since Thursday.", **fields}


def submit(person: Person, file: SimpleUploadedFile | None = None, **fields: Any) -> Any:
    if file is None:
        return person.client.post(PATH, given(**fields))
    return person.client.post(PATH, given(file=file, **fields), format="multipart")


def pdf(name: str = "certificate.pdf", content: bytes = PDF) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, content_type="application/octet-stream")


def nothing_was_written() -> bool:
    audited = AuditEntry.objects.filter(action__startswith="letter").exists()
    return not (ExcuseLetter.objects.exists() or Event.objects.exists() or audited)


# --- Submit -----------------------------------------------------------------------------------------------------------


def test_a_cadet_hands_in_a_letter(cadet: CadetPerson) -> None:
    answer = submit(cadet)
    assert answer.status_code == 201
    body = answer.json()
    letter = ExcuseLetter.objects.get()
    assert (letter.cadet, letter.term) == (cadet.cadet, cadets.term())
    assert body == {
        "id": letter.pk,
        "cadet_id": cadet.cadet.pk,
        "student_id": cadet.cadet.student_id,
        "cadet_name": cadet.cadet.full_name,
        "company": {"id": cadets.company().pk, "name": "Alpha"},
        "term_id": letter.term_id,
        "date_absent": str(cadets.today()),
        "training_day_id": None,
        "reason": "Fever since Thursday.",
        "has_file": False,
        "file_state": None,
        "file_name": "",
        "file_type": "",
        "state": "pending",
        "decided_by_name": None,
        "decided_at": None,
        "decision_note": "",
        "version": 1,
        "created_at": body["created_at"],
        "updated_at": body["updated_at"],
    }
    assert answer["ETag"] == '"v1"'
    assert cadet.client.get(answer["Location"]).json() == body


def test_the_cadet_and_the_staff_hear_of_it_without_the_reason(cadet: CadetPerson) -> None:
    body = submit(cadet).json()
    event = Event.objects.get()
    assert (event.type, event.recipients) == ("letter.submitted", [f"user:{cadet.user.pk}", *STAFF])
    told = ("id", "cadet_id", "date_absent", "training_day_id", "state", "version")
    assert event.data == {name: body[name] for name in told}
    entry = AuditEntry.objects.get(action="letter.submit")
    assert (entry.actor, entry.target) == (cadet.user, f"letter:{body['id']}")
    assert "Fever" not in str(entry.after)


def test_a_letter_may_name_a_training_day_of_its_date(cadet: CadetPerson) -> None:
    day = factories.day(3)
    assert submit(cadet, date_absent=str(day.date), training_day_id=day.pk).json()["training_day_id"] == day.pk


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"date_absent": "2001-01-01"}, "date_absent", "outside_term"),
        ({"date_absent": "yesterday"}, "date_absent", "invalid"),
        ({"reason": ""}, "reason", "blank"),
        ({"reason": "x" * 2001}, "reason", "max_length"),
        ({"reason": "\x00"}, "reason", "null_characters_not_allowed"),
        ({"training_day_id": 10**9}, "training_day_id", "unknown_training_day"),
        ({"training_day_id": 2**63}, "training_day_id", "max_value"),
        ({"cadet_id": 1}, "cadet_id", "unknown_field"),
        ({"state": "approved"}, "state", "unknown_field"),
    ],
)
def test_a_field_that_needs_correction_is_named_and_nothing_is_written(
    cadet: CadetPerson, change: dict[str, Any], field: str, code: str
) -> None:
    assert fields_of(submit(cadet, **change)) == {field: code}
    assert nothing_was_written()


def test_text_in_place_of_a_file_is_refused(cadet: CadetPerson) -> None:
    body = given(file="certificate.pdf")
    assert fields_of(cadet.client.post(PATH, body)) == {"file": "unknown_field"}
    assert fields_of(cadet.client.post(PATH, body, format="multipart")) == {"file": "invalid"}
    assert nothing_was_written()


def test_a_training_day_has_to_be_on_the_date_and_to_take_place(cadet: CadetPerson) -> None:
    day = factories.day(3)
    assert fields_of(submit(cadet, training_day_id=day.pk)) == {"date_absent": "other_date"}
    former = factories.day(200, term=cadets.former_term())
    assert fields_of(submit(cadet, training_day_id=former.pk)) == {"training_day_id": "unknown_training_day"}
    cancelled = factories.day(0, cancelled_at=now(), cancel_reason="Storm")
    assert fields_of(submit(cadet, training_day_id=cancelled.pk)) == {"training_day_id": "day_cancelled"}
    assert nothing_was_written()


def test_a_date_has_one_pending_letter_of_a_cadet(cadet: CadetPerson, stranger: CadetPerson) -> None:
    first = submit(cadet).json()["id"]
    assert problem_of(submit(cadet, reason="Again")) == (409, "letter_pending")
    assert submit(cadet, date_absent=str(cadets.today() - dt.timedelta(days=1))).status_code == 201
    assert submit(stranger).status_code == 201
    cadet.client.post(f"{PATH}/{first}/withdraw")
    assert submit(cadet).status_code == 201
    assert ExcuseLetter.objects.count() == 4


def test_a_letter_needs_an_open_term_that_the_cadet_is_enrolled_in(cadet: CadetPerson, admin: Person) -> None:
    Term.objects.update(closed_at=now())
    assert problem_of(submit(cadet)) == (409, "term_closed")
    Term.objects.update(closed_at=None, is_current=False)
    assert problem_of(submit(cadet)) == (404, "no_current_term")
    Term.objects.update(is_current=True)
    cadet.enrollment.delete()
    assert problem_of(submit(cadet)) == (404, "not_enrolled")
    Cadet.objects.update(user=None)
    assert problem_of(submit(cadet)) == (404, "no_cadet_record")
    assert nothing_was_written()


def test_only_cadets_hand_in_letters(admin: Person, instructor: StaffPerson) -> None:
    cadets.term()
    for person in (admin, instructor):
        assert problem_of(submit(person)) == (403, "permission_denied")
    assert nothing_was_written()


# --- The file ---------------------------------------------------------------------------------------------------------


def test_a_letter_comes_with_a_file(
    cadet: CadetPerson, stranger: CadetPerson, instructor: StaffPerson, admin: Person, media: Media
) -> None:
    answer = submit(cadet, pdf("../../Médical certificate.PDF"))
    assert answer.status_code == 201
    body = answer.json()
    assert (body["has_file"], body["file_type"]) == (True, "application/pdf")
    assert body["file_name"] == "Médical certificate.pdf"
    (stored,) = media()
    assert (stored.read_bytes(), stored.parent.name, "certificate" in stored.name) == (PDF, "excuse-letters", False)
    for person in (cadet, instructor, admin):
        file: Any = person.client.get(f"{PATH}/{body['id']}/file", HTTP_ACCEPT="application/pdf")
        assert (file.status_code, b"".join(file.streaming_content)) == (200, PDF)
        assert (file["Content-Type"], file["Cache-Control"]) == ("application/pdf", "no-store")
        assert file["X-Content-Type-Options"] == "nosniff"
        assert file["Content-Disposition"].startswith("attachment")
    assert problem_of(stranger.client.get(f"{PATH}/{body['id']}/file")) == (404, "not_found")


def photographed(content: bytes | None = None) -> Any:
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    picture = io.BytesIO()
    Image.effect_noise((300, 200), 60).save(picture, "JPEG", exif=exif)
    return pdf("letter.png", picture.getvalue() if content is None else content)


def test_a_photographed_letter_is_written_anew_in_the_background(
    cadet: CadetPerson, stranger: CadetPerson, instructor: StaffPerson, media: Media
) -> None:
    answer = submit(cadet, photographed())
    body = answer.json()
    assert (answer.status_code, answer["ETag"]) == (201, '"v1"')
    assert (body["file_name"], body["file_type"]) == ("letter.jpg", "image/jpeg")
    assert (body["has_file"], body["file_state"], media()) == (False, "processing", [])
    address = f"{PATH}/{body['id']}"
    assert problem_of(instructor.client.get(f"{address}/file")) == (409, "file_processing")
    assert pictures_worked() == ["done"]
    for person in (cadet, instructor):
        shown = person.client.get(address)
        assert (shown.json()["has_file"], shown.json()["file_state"], shown["ETag"]) == (True, "ready", '"v2"')
        file: Any = person.client.get(f"{address}/file")
        content = b"".join(file.streaming_content)
        assert (file["Content-Type"], content[:3]) == ("image/jpeg", b"\xff\xd8\xff")
        assert b"SecretCamera" not in content
    assert problem_of(stranger.client.get(f"{address}/file")) == (404, "not_found")
    (stored,) = media()
    assert stored.parent.name == "excuse-letters"
    event = Event.objects.latest("pk")
    assert (event.type, event.data) == (
        "letter.file_changed",
        {"id": body["id"], "cadet_id": cadet.cadet.pk, "file_state": "ready", "version": 2},
    )
    assert sorted(event.recipients) == ["role:admin", "role:training_staff", f"user:{cadet.user.pk}"]
    assert AuditEntry.objects.filter(action="letter.file_ready", target=f"letter:{body['id']}").count() == 1


def test_a_photographed_letter_that_cannot_be_decoded_stays_without_its_file(
    cadet: CadetPerson, instructor: StaffPerson, media: Media
) -> None:
    half = photographed().read()[:9000]
    address = f"{PATH}/{submit(cadet, photographed(half)).json()['id']}"
    assert pictures_worked() == ["refused"]
    shown = instructor.client.get(address).json()
    assert (shown["has_file"], shown["file_state"], shown["state"]) == (False, "refused", "pending")
    assert problem_of(instructor.client.get(f"{address}/file")) == (404, "file_refused")
    (note,) = cadet.client.get("/api/v1/notifications").json()["results"]
    assert "your excuse letter for" in note["body"]
    assert media() == []


def test_the_picture_of_a_withdrawn_letter_is_dropped(cadet: CadetPerson, media: Media) -> None:
    address = f"{PATH}/{submit(cadet, photographed()).json()['id']}"
    assert cadet.client.post(f"{address}/withdraw").json()["file_state"] is None
    assert pictures_worked() == []
    assert media() == []


def test_a_letter_decided_meanwhile_still_gets_its_picture(cadet: CadetPerson, admin: Person, media: Media) -> None:
    address = f"{PATH}/{submit(cadet, photographed()).json()['id']}"
    assert admin.client.post(f"{address}/approve", {}).status_code == 200
    assert pictures_worked() == ["done"]
    assert admin.client.get(address).json()["file_state"] == "ready"


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"MZ\x90 not a letter", "file_type"), (b"%PDF-1.4 cut off", "file_malformed"), (b"", "empty")],
)
def test_a_file_is_judged_by_its_content(cadet: CadetPerson, media: Media, content: bytes, code: str) -> None:
    assert fields_of(submit(cadet, pdf(content=content))) == {"file": code}
    assert media() == []
    assert nothing_was_written()


def test_a_file_that_is_too_large_is_refused(cadet: CadetPerson, media: Media) -> None:
    answer = submit(cadet, pdf(content=PDF + b" " * (20 * 1024 * 1024)))
    assert problem_of(answer) == (413, "content_too_large")
    assert media() == []


def test_no_file_is_stored_for_a_letter_that_is_refused(cadet: CadetPerson, media: Media) -> None:
    assert submit(cadet).status_code == 201
    assert problem_of(submit(cadet, pdf())) == (409, "letter_pending")
    assert media() == []


def test_the_file_goes_when_the_letter_cannot_be_written(cadet: CadetPerson, media: Media) -> None:
    from django.db import IntegrityError, connection

    # The last statement of the transaction fails: its events cannot be written.
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE event ADD CONSTRAINT none_for_now CHECK (type <> 'letter.submitted') NOT VALID")
    try:
        with pytest.raises(IntegrityError):
            submit(cadet, pdf())
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE event DROP CONSTRAINT none_for_now")
    assert media() == []
    assert nothing_was_written()


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda: Term.objects.update(is_current=False), (409, "term_not_current")),
        (lambda: Term.objects.update(ends_on=cadets.today() - dt.timedelta(days=1)), (400, "validation_failed")),
        (lambda: Cadet.objects.update(archived_at=now()), (404, "no_cadet_record")),
        (lambda: Cadet.objects.update(user=None), (404, "no_cadet_record")),
    ],
)
def test_what_changed_while_the_file_was_stored_counts(
    cadet: CadetPerson, media: Media, monkeypatch: pytest.MonkeyPatch, change: Any, refusal: tuple[int, str]
) -> None:
    def store(**given: Any) -> str:
        name = file_store(**given)
        change()
        return name

    monkeypatch.setattr("apps.training.services.letters.file_store", store)
    assert problem_of(submit(cadet, pdf())) == refusal
    assert media() == []
    assert nothing_was_written()


def test_the_file_stays_when_something_fails_after_the_commit(
    cadet: CadetPerson, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    def tell(*_: Any) -> None:
        transaction.on_commit(stop)

    monkeypatch.setattr("apps.training.services.letters._tell", tell)
    upload: Any = pdf()
    with pytest.raises(KeyboardInterrupt):
        letter_submit(actor=cadet.principal, date_absent=cadets.today(), reason="Fever", upload=upload)
    (stored,) = media()
    assert str(stored).endswith(ExcuseLetter.objects.get().file)


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("C:\\scans\\sick note.pdf", "sick note.pdf"),
        ("..pdf", "letter.pdf"),
        ("x" * 240 + ".pdf", "x" * 100 + ".pdf"),
        ("line\tbreak.docx", "linebreak.pdf"),
    ],
)
def test_the_name_of_a_file_is_made_fit_to_be_shown(
    cadet: CadetPerson, media: Media, given_name: str, kept: str
) -> None:
    file: Any = pdf()
    file._name = given_name  # the upload's own setter would tidy it, which a client does not
    assert submit(cadet, file).json()["file_name"] == kept


def test_a_letter_without_a_file_has_none_to_fetch(cadet: CadetPerson) -> None:
    letter = submit(cadet).json()["id"]
    assert problem_of(cadet.client.get(f"{PATH}/{letter}/file")) == (404, "letter_without_file")


def test_a_form_without_a_file_and_a_broken_form(cadet: CadetPerson) -> None:
    answer = cadet.client.post(PATH, {**given(), "training_day_id": ""}, format="multipart")
    assert (answer.status_code, answer.json()["training_day_id"]) == (201, None)
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=x"):
        broken = cadet.client.post(PATH, b"--y\r\n", content_type=content_type)
        assert broken.status_code == 400
    assert problem_of(cadet.client.post(PATH, "x", content_type="text/plain"))[0] == 415


# --- See --------------------------------------------------------------------------------------------------------------


def test_staff_see_every_letter_newest_first_and_a_cadet_the_own_ones(
    cadet: CadetPerson, stranger: CadetPerson, instructor: StaffPerson, admin: Person
) -> None:
    own, other = submit(cadet).json()["id"], submit(stranger).json()["id"]
    for person in (instructor, admin):
        assert [row["id"] for row in person.client.get(PATH).json()["results"]] == [other, own]
        assert person.client.get(f"{PATH}/{own}").status_code == 200
    assert [row["id"] for row in cadet.client.get(PATH).json()["results"]] == [own]
    assert cadet.client.get(PATH, {"cadet": stranger.cadet.pk}).json()["count"] == 0
    assert problem_of(cadet.client.get(f"{PATH}/{other}")) == (404, "not_found")
    assert problem_of(cadet.client.post(f"{PATH}/{other}/withdraw")) == (404, "not_found")


def test_letters_are_filtered(cadet: CadetPerson, stranger: CadetPerson, instructor: StaffPerson) -> None:
    former = cadets.former_term()
    cadets.enroll(cadet.cadet, term=former, company=cadets.company("Bravo"))
    old = factories.letter(cadet.cadet, former.starts_on, term=former, state="withdrawn")
    own, other = submit(cadet).json()["id"], submit(stranger).json()["id"]

    def ids(**query: Any) -> list[int]:
        return [row["id"] for row in instructor.client.get(PATH, query).json()["results"]]

    assert ids() == [other, own, old.pk]
    assert ids(state="withdrawn") == [old.pk]
    assert ids(term=former.pk) == [old.pk]
    assert ids(cadet=cadet.cadet.pk) == [own, old.pk]
    assert ids(company=cadets.company("Bravo").pk) == [other, old.pk]
    assert ids(company=cadets.company("Alpha").pk) == [own]
    assert fields_of(instructor.client.get(PATH, {"state": "lost"})) == {"state": "invalid_choice"}


def test_the_list_takes_the_same_queries_for_few_and_for_many(
    instructor: StaffPerson, django_assert_num_queries: Any
) -> None:
    client = instructor.client
    for people in (1, 20):
        for _ in range(people):
            factories.letter(cadets.enrolled().cadet, cadets.today())
        client.get(PATH)  # reads the revocations, which a process does every two seconds
        with django_assert_num_queries(2):
            client.get(PATH)


# --- Decide -----------------------------------------------------------------------------------------------------------


def test_the_commandant_approves_and_the_cadet_is_told(cadet: CadetPerson, commandant: StaffPerson) -> None:
    letter = submit(cadet).json()["id"]
    Event.objects.all().delete()
    answer = commandant.client.post(f"{PATH}/{letter}/approve", {"note": "Get well soon."})
    assert (answer.status_code, answer["ETag"]) == (200, '"v2"')
    body = answer.json()
    assert (body["state"], body["decision_note"]) == ("approved", "Get well soon.")
    assert (body["decided_by_name"], body["decided_at"] is not None) == (commandant.user.get_full_name(), True)
    decided, notified = Event.objects.order_by("id")
    assert (decided.type, decided.recipients) == ("letter.decided", [f"user:{cadet.user.pk}", *STAFF])
    told = ("id", "cadet_id", "state", "decided_at", "decision_note", "version")
    assert decided.data == {name: body[name] for name in told}
    assert (notified.type, notified.recipients) == ("notification.created", [f"user:{cadet.user.pk}"])
    notification = Notification.objects.get()
    assert (notification.recipient, notification.title) == (cadet.user, "Excuse letter approved")
    assert "Get well soon." in notification.body
    entry = AuditEntry.objects.get(action="letter.approve")
    assert entry.actor == commandant.user
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["state"], entry.after["state"]) == ("pending", "approved")


def test_a_rejection_says_why_and_leaves_attendance_alone(cadet: CadetPerson, commandant: StaffPerson) -> None:
    day = factories.day(0)
    record = factories.record(day, cadet.cadet, "absent")
    letter = submit(cadet).json()["id"]
    assert fields_of(commandant.client.post(f"{PATH}/{letter}/reject", {})) == {"note": "required"}
    body = commandant.client.post(f"{PATH}/{letter}/reject", {"note": "Of another date."}).json()
    assert (body["state"], body["decision_note"]) == ("rejected", "Of another date.")
    record.refresh_from_db()
    assert (record.status, record.version) == ("absent", 1)
    assert "Of another date." in Notification.objects.get().body


def test_administrators_and_officers_with_a_deciding_function_decide(cadet: CadetPerson, admin: Person) -> None:
    functions = ("commandant", "assistant_commandant", "nstp_director", "rotc_coordinator", "admin_nco")
    officers = [cadets.staff_person(f"officer-{function}", function=function) for function in functions]
    for number, person in enumerate([admin, *officers]):
        letter = factories.letter(cadet.cadet, cadets.today() - dt.timedelta(days=number))
        assert person.client.post(f"{PATH}/{letter.pk}/approve", {}).status_code == 200


def test_nobody_else_decides(cadet: CadetPerson, stranger: CadetPerson, instructor: StaffPerson) -> None:
    clerk = cadets.staff_person("clerk", function=StaffFunction.ADMIN)
    without = accounts.signed_in(accounts.user("nobody", role=Role.TRAINING_STAFF))
    letter = factories.letter(cadet.cadet, cadets.today())
    for person in (cadet, stranger, instructor, clerk, without):
        for decision in ("approve", "reject"):
            answer = person.client.post(f"{PATH}/{letter.pk}/{decision}", {"note": "x"})
            assert problem_of(answer) == (403, "permission_denied")
    letter.refresh_from_db()
    assert (letter.state, letter.version) == ("pending", 1)
    assert not Event.objects.exists()
    assert not Notification.objects.exists()


def test_nobody_decides_the_own_letter(commandant: StaffPerson) -> None:
    own = cadets.enrolled(user=commandant.user).cadet  # was a cadet before
    letter = factories.letter(own, cadets.today())
    for decision in ("approve", "reject"):
        answer = commandant.client.post(f"{PATH}/{letter.pk}/{decision}", {"note": "x"})
        assert problem_of(answer) == (403, "own_letter")
    assert ExcuseLetter.objects.get().state == "pending"


def test_a_letter_is_decided_once(cadet: CadetPerson, commandant: StaffPerson, admin: Person) -> None:
    letter = submit(cadet).json()["id"]
    assert commandant.client.post(f"{PATH}/{letter}/approve", {}).status_code == 200
    Event.objects.all().delete()
    for person in (commandant, admin):
        for decision in ("approve", "reject"):
            answer = person.client.post(f"{PATH}/{letter}/{decision}", {"note": "x"})
            assert problem_of(answer) == (409, "letter_decided")
    assert problem_of(cadet.client.post(f"{PATH}/{letter}/withdraw")) == (409, "letter_decided")
    assert not Event.objects.exists()
    assert Notification.objects.count() == 1


def test_a_cadet_withdraws_while_nobody_has_decided(cadet: CadetPerson, commandant: StaffPerson) -> None:
    letter = submit(cadet).json()["id"]
    Event.objects.all().delete()
    body = cadet.client.post(f"{PATH}/{letter}/withdraw").json()
    assert (body["state"], body["version"]) == ("withdrawn", 2)
    event = Event.objects.get()
    assert (event.type, event.data["state"]) == ("letter.withdrawn", "withdrawn")
    assert problem_of(cadet.client.post(f"{PATH}/{letter}/withdraw")) == (409, "letter_withdrawn")
    answer = commandant.client.post(f"{PATH}/{letter}/approve", {})
    assert problem_of(answer) == (409, "letter_withdrawn")
    assert Event.objects.count() == 1


def test_in_a_closed_term_letters_are_rejected_and_withdrawn_but_not_approved(
    cadet: CadetPerson, commandant: StaffPerson
) -> None:
    letters = [factories.letter(cadet.cadet, cadets.today() - dt.timedelta(days=days)).pk for days in range(3)]
    Term.objects.update(closed_at=now())
    client = commandant.client
    assert problem_of(client.post(f"{PATH}/{letters[0]}/approve", {})) == (409, "term_closed")
    assert client.post(f"{PATH}/{letters[1]}/reject", {"note": "Too late"}).status_code == 200
    assert cadet.client.post(f"{PATH}/{letters[2]}/withdraw").status_code == 200
    assert ExcuseLetter.objects.get(pk=letters[0]).state == "pending"


def test_a_cadet_without_an_account_is_not_notified(commandant: StaffPerson) -> None:
    letter = factories.letter(cadets.enrolled().cadet, cadets.today())
    assert commandant.client.post(f"{PATH}/{letter.pk}/approve", {}).status_code == 200
    assert not Notification.objects.exists()
    assert Event.objects.get(type="letter.decided").recipients == STAFF


@pytest.mark.parametrize("number", ["999999", "9223372036854775808"])
def test_a_letter_that_is_not_there_is_not_found(admin: Person, number: str) -> None:
    for path in ("", "/file"):
        assert problem_of(admin.client.get(f"{PATH}/{number}{path}")) == (404, "not_found")
    for path in ("approve", "reject"):
        assert problem_of(admin.client.post(f"{PATH}/{number}/{path}", {"note": "x"})) == (404, "not_found")
    assert User.objects.count() == 1
