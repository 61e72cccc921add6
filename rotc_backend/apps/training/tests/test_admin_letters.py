"""Excuse letters and scans in the admin site: read, and letters decided."""

import uuid

import pytest
from django.test import Client

from apps.cadets.tests import factories as cadets
from apps.messaging.models import Notification
from apps.training.models import AttendanceRecord, ExcuseLetter, Scan
from apps.training.tests import factories
from core.clock import now
from core.uploads import file_store
from tests.admin_pages import NOTHING, Site, address_of, said, written

pytestmark = pytest.mark.django_db
DECIDED = ("state", "decided_by_id", "decision_note")


@pytest.fixture
def site(admin) -> Site:
    return Site(admin.user)


def letter_for(who, day, **fields):
    return factories.letter(who.cadet, day.date, training_day=day, **fields)


def stored(letter):
    return ExcuseLetter.objects.filter(pk=letter.pk).values_list(*DECIDED).get()


def test_approving_excuses_the_day_and_tells_the_cadet(site, admin, cadet):
    day = factories.day()
    letter = letter_for(cadet, day)
    asked = site.act("approve", letter)
    assert "Fever." in asked.content.decode(), "what is decided stands on the page that asks"
    assert stored(letter)[0] == "pending"
    assert "1 excuse letter approved." in said(site.confirm("approve", letter, note="Certificate seen."))
    assert stored(letter) == ("approved", admin.user.pk, "Certificate seen.")
    assert AttendanceRecord.objects.get(cadet=cadet.cadet).status == "excused"
    assert Notification.objects.get().recipient == cadet.user
    audited, told = written()
    assert "letter.approve" in audited
    assert {"letter.decided", "attendance.marked"} <= set(told)


def test_rejecting_needs_a_reason_and_leaves_attendance(site, admin, cadet):
    day = factories.day()
    letter = letter_for(cadet, day)
    assert "note" in site.confirm("reject", letter, note=" ").context["form"].errors
    assert stored(letter)[0] == "pending"
    assert written() == NOTHING
    assert "1 excuse letter rejected." in said(site.confirm("reject", letter, note="Not signed."))
    assert stored(letter) == ("rejected", admin.user.pk, "Not signed.")
    assert not AttendanceRecord.objects.exists()
    audited, told = written()
    assert audited[0] == "letter.reject"
    assert told[0] == "letter.decided"


def test_the_page_of_a_letter_offers_to_decide_it_until_it_is_settled(site, admin, cadet, stranger):
    day = factories.day()
    pending = letter_for(cadet, day)
    page = site.client.get(address_of(ExcuseLetter, "change", pending.pk)).content.decode()
    assert [name for name in ("approve", "reject") if f'name="action" value="{name}"' in page] == ["approve", "reject"]
    withdrawn = letter_for(stranger, day, state="withdrawn")
    assert 'name="action"' not in site.client.get(address_of(ExcuseLetter, "change", withdrawn.pk)).content.decode()


@pytest.mark.parametrize("state", ["approved", "rejected", "withdrawn"])
def test_what_is_settled_is_not_decided_again_and_the_others_are(site, admin, cadet, stranger, state):
    day = factories.day()
    author = {} if state == "withdrawn" else {"decided_by": admin.user, "decided_at": now()}
    settled = letter_for(cadet, day, state=state, **author)
    pending = letter_for(stranger, day)
    answer = site.confirm("reject", settled, pending, note="Not signed.")
    assert "1 excuse letter rejected." in said(answer)
    assert str(cadet.cadet) in said(answer)
    assert stored(settled)[0] == state
    assert stored(pending)[0] == "rejected"
    assert written()[0].count("letter.reject") == 1


def test_no_letter_of_a_closed_term_is_approved(site, cadet):
    day = factories.day()
    letter = letter_for(cadet, day)
    day.term.closed_at = now()
    day.term.save()
    assert "frozen" in said(site.confirm("approve", letter, note=""))
    assert stored(letter)[0] == "pending"
    assert not AttendanceRecord.objects.exists()
    assert written() == NOTHING


def test_a_letter_is_read_with_its_file_and_never_edited(site, cadet, media):
    stored_file = file_store(folder="excuse-letters", extension="pdf", content=b"%PDF-1.4 certificate")
    with_file = letter_for(
        cadet, factories.day(), file=stored_file, file_name="certificate.pdf", file_type="application/pdf"
    )
    file_address = address_of(ExcuseLetter, "file", with_file.pk)
    page = site.client.get(address_of(ExcuseLetter, "change", with_file.pk))
    assert file_address in page.content.decode()
    answer = site.client.get(file_address)
    assert b"".join(answer.streaming_content) == b"%PDF-1.4 certificate"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert site.client.post(address_of(ExcuseLetter, "change", with_file.pk), {"state": "approved"}).status_code == 403
    assert site.client.get(address_of(ExcuseLetter, "add")).status_code == 403
    assert stored(with_file)[0] == "pending"
    for path in media():
        path.unlink()
    assert "no longer in the storage" in said(site.client.get(file_address, follow=True))


def test_a_letter_without_a_file_and_an_unknown_one_have_none_to_open(site, cadet):
    letter = letter_for(cadet, factories.day())
    assert site.client.get(address_of(ExcuseLetter, "file", letter.pk)).status_code == 404
    assert site.client.get(address_of(ExcuseLetter, "file", letter.pk + 1)).status_code == 404


def test_staff_and_cadets_open_no_file_here(cadet, commandant):
    letter = letter_for(cadet, factories.day())
    for user in (cadet.user, commandant.user):
        client = Client()
        client.force_login(user)
        assert client.get(address_of(ExcuseLetter, "file", letter.pk)).status_code == 302


def test_letters_are_found_by_the_cadet_and_by_words_of_the_reason(site, cadet, stranger):
    day = factories.day()
    letter = letter_for(cadet, day, reason="Dengue")
    letter_for(stranger, day)
    for query in ({"q": "dengue"}, {"q": "macaraeg"}, {"q": cadet.cadet.student_id}):
        assert site.list_of(ExcuseLetter, **query) == [letter]


def test_scans_are_shown_by_day_and_never_edited(site, admin, cadet):
    day = factories.day(0)
    scan = Scan.objects.create(
        nonce=uuid.uuid4(),
        scan_id=uuid.uuid4(),
        training_day=day,
        cadet=cadet.cadet,
        scanned_at=now(),
        scanned_by=admin.user,
        effect="time_in",
    )
    assert site.list_of(Scan, day=day.pk) == [scan]
    assert site.list_of(Scan, day=day.pk + 1) == []
    assert site.list_of(Scan, q=cadets.cadet().student_id) == []
    assert str(scan.scan_id) in site.client.get(address_of(Scan, "change", scan.pk)).content.decode()
    assert site.client.post(address_of(Scan, "change", scan.pk), {"effect": "time_out"}).status_code == 403
    assert site.client.get(address_of(Scan, "add")).status_code == 403
