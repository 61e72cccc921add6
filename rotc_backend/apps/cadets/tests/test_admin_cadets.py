"""Cadets, enrollments, lists and staff in the admin site: what their pages write is what the services write."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from PIL import Image

from apps.accounts.models import AuditEntry, User
from apps.accounts.tests import factories as accounts
from apps.accounts.tests.factories import Person
from apps.cadets.models import Cadet, Company, Enrollment, Platoon, StaffProfile, Term
from apps.cadets.services.cadets import cadet_create
from apps.cadets.tests import factories
from apps.cadets.tests.expectations import recorded, told
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.events.models import Event
from apps.pictures.models import Picture
from apps.pictures.tests.factories import pictures_worked
from tests.admin_pages import Site, refusals, said

pytestmark = pytest.mark.django_db
BEA = {"student_id": "2026-0007", "last_name": "Reyes", "first_name": "Bea", "year_level": "1", "course": "BS Forestry"}


@pytest.fixture
def site(admin: Person) -> Site:
    return Site(admin.user)


def picture() -> SimpleUploadedFile:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), "olive").save(content, "PNG")
    return SimpleUploadedFile("photo.png", content.getvalue(), "image/png")


def trail_of(action: str) -> AuditEntry:
    return AuditEntry.objects.get(action=action)


# --- Cadets -----------------------------------------------------------------------------------------------------------


def test_a_new_cadet_is_the_same_as_one_that_the_service_makes(site: Site, admin: Person) -> None:
    assert site.add(Cadet, **BEA).status_code == 302
    made = Cadet.objects.get(student_id="2026-0007")
    by_page = trail_of("cadet.create")
    assert by_page.actor == admin.user
    event = Event.objects.get()
    by_page_data, by_page_after = event.data, by_page.after or {}
    AuditEntry.objects.filter(action="cadet.create").delete()
    fields = {name: getattr(made, name) for name in by_page_after}
    made.delete()
    other = cadet_create(actor=admin.principal, fields=fields)
    assert trail_of("cadet.create").after == by_page_after
    newer = Event.objects.latest("pk")
    assert newer.data == {**by_page_data, "id": other.pk}
    assert (newer.type, newer.recipients) == (event.type, event.recipients)


def test_names_are_cleaned_as_the_api_cleans_them(site: Site) -> None:
    assert site.add(Cadet, **{**BEA, "last_name": "De  la   Pen\u0303a"}).status_code == 302
    assert Cadet.objects.get().last_name == "De la Pe\u00f1a"


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"student_id": "2026-0001"}, "student_id", "belongs to a cadet already"),
        ({"student_id": "no number"}, "student_id", "Write letters, digits"),
        ({"contact_number": "call me"}, "contact_number", "Write digits"),
        ({"birthdate": "2199-01-01"}, "birthdate", "day in the past"),
        ({"last_name": "Re\u200byes"}, "last_name", "without invisible characters"),
        ({"year_level": "6"}, "year_level", "less than or equal to 5"),
    ],
)
def test_what_is_refused_is_said_beside_its_field_and_nothing_is_written(
    site: Site, wrong: dict[str, str], field: str, words: str
) -> None:
    factories.cadet("2026-0001")
    answer = site.add(Cadet, **{**BEA, **wrong})
    assert words in " ".join(refusals(answer)[field])
    assert b"errornote" in answer.content
    assert Cadet.objects.count() == 1
    assert (recorded("cadet"), told()) == ([], [])


def test_a_change_is_audited_with_what_differs_and_told(site: Site, liza: CadetPerson, admin: Person) -> None:
    assert site.change(liza.cadet, course="BS Forestry", religion="Islam").status_code == 302
    entry = trail_of("cadet.change")
    assert (entry.actor, entry.target) == (admin.user, f"cadet:{liza.cadet.pk}")
    assert (entry.before, entry.after) == (
        {"course": "", "religion": ""},
        {"course": "BS Forestry", "religion": "Islam"},
    )
    assert [kind for kind, _ in told()] == ["cadet.changed"]
    assert Cadet.objects.get(pk=liza.cadet.pk).version == 2


@pytest.mark.parametrize("changes", [{"course": "BS Forestry"}, {"user": ""}], ids=["a field", "the account"])
def test_what_was_made_from_an_older_state_is_refused(site: Site, liza: CadetPerson, changes: dict[str, str]) -> None:
    opened = site.fields_of(liza.cadet)
    site.change(liza.cadet, address="Maigo")
    before = told()
    answer = site.change(liza.cadet, opened, **changes)
    assert "Somebody has changed this since you opened the page" in refusals(answer)["__all__"][0]
    cadet = Cadet.objects.get(pk=liza.cadet.pk)
    assert (cadet.course, cadet.address, cadet.user_id) == ("", "Maigo", liza.user.pk)
    assert told() == before


def test_an_account_is_linked_and_taken_away_on_the_form(site: Site) -> None:
    cadet, account = factories.cadet(), accounts.user("Bea")
    assert site.change(cadet, user=account.pk, course="BS Forestry").status_code == 302
    assert Cadet.objects.get(pk=cadet.pk).user == account
    assert recorded("cadet") == ["cadet.change", "cadet.link_account"]
    other = accounts.user("Fatima")
    assert site.change(cadet, user=other.pk).status_code == 302
    assert Cadet.objects.get(pk=cadet.pk).user == other
    assert site.change(cadet, user="").status_code == 302
    assert Cadet.objects.get(pk=cadet.pk).user is None
    assert recorded("cadet")[2:] == ["cadet.unlink_account", "cadet.link_account", "cadet.unlink_account"]


def test_an_account_that_does_not_fit_is_refused_beside_the_field_and_nothing_is_written(
    site: Site, instructor: StaffPerson, liza: CadetPerson
) -> None:
    cadet = factories.cadet()
    for account, words in ((instructor.user, "does not fit"), (liza.user, "belongs to another record")):
        answer = site.change(cadet, user=account.pk, course="BS Forestry")
        assert words in refusals(answer)["user"][0]
    again = Cadet.objects.get(pk=cadet.pk)
    assert (again.user, again.course, again.version) == (None, "", 1)
    assert (recorded("cadet"), told()) == ([], [])


def test_a_photo_is_sent_shown_and_removed(site: Site, liza: CadetPerson, media: Path) -> None:
    assert site.client.get(reverse("admin:cadets_cadet_photo", args=[liza.cadet.pk])).status_code == 404
    assert site.change(liza.cadet, picture=picture(), course="BS Forestry").status_code == 302
    assert recorded("cadet") == ["cadet.change", "cadet.send_photo"]
    assert "is being prepared" in site.page_of(liza.cadet)
    assert pictures_worked() == ["done"]
    address = reverse("admin:cadets_cadet_photo", args=[liza.cadet.pk])
    assert address in site.page_of(liza.cadet)
    shown = site.client.get(address)
    assert (shown.status_code, shown["Content-Type"]) == (200, "image/jpeg")
    assert b"".join(shown.streaming_content).startswith(b"\xff\xd8")  # type: ignore[attr-defined]
    assert "left without a photo" in said(site.confirm("remove_photo", liza.cadet))
    assert site.client.get(address).status_code == 404


def test_a_file_that_is_no_photo_is_refused_beside_the_field(site: Site, liza: CadetPerson, media: Path) -> None:
    answer = site.change(liza.cadet, picture=SimpleUploadedFile("x.png", b"%PDF-1.7"), course="BS Forestry")
    assert refusals(answer)["picture"]
    assert Cadet.objects.get(pk=liza.cadet.pk).course == ""
    assert told() == []


def test_a_photo_for_an_older_state_is_refused(site: Site, liza: CadetPerson, media: Path) -> None:
    opened = site.fields_of(liza.cadet)
    site.change(liza.cadet, address="Maigo")
    answer = site.change(liza.cadet, opened, picture=picture())
    assert "Somebody has changed this" in refusals(answer)["__all__"][0]
    assert not Picture.objects.exists()


def test_archiving_asks_first_and_also_closes_the_account(site: Site, liza: CadetPerson, omar: CadetPerson) -> None:
    asked = site.act("archive", liza.cadet)
    assert "Archive cadets and close their accounts" in asked.content.decode()
    assert (recorded("cadet"), told()) == ([], [])
    assert "1 cadet archived." in said(site.confirm("archive", liza.cadet))
    assert Cadet.objects.get(pk=liza.cadet.pk).archived_at is not None
    assert User.objects.get(pk=liza.user.pk).archived_at is not None
    assert recorded("cadet") == ["cadet.archive"]
    assert "Nothing to do" in said(site.act("archive", liza.cadet))
    assert "1 cadet restored." in said(site.act("restore", liza.cadet, omar.cadet))
    assert User.objects.get(pk=liza.user.pk).archived_at is None
    assert recorded("cadet") == ["cadet.archive", "cadet.restore"]


def test_cadets_are_found_by_number_and_by_names_with_and_without_accents(site: Site) -> None:
    pena = factories.cadet("2026-0042", last_name="Pe\u00f1a", first_name="Jos\u00e9 Ni\u00f1o")
    factories.cadet("2026-0043", last_name="Reyes", first_name="Bea")
    for words in ("2026-0042", "pena", "PE\u00d1A, jose", "nino pe", "0042 Pe\u00f1a"):
        assert site.list_of(Cadet, q=words) == [pena], words
    assert site.list_of(Cadet, q="pena bea") == []


def test_cadets_are_filtered_by_company_of_the_current_term_and_by_archive(
    site: Site, term: Term, alpha: Company, bravo: Company
) -> None:
    first, second, third = factories.cadet(), factories.cadet(), factories.cadet()
    for cadet, company, place in (
        (first, alpha, term),
        (second, bravo, term),
        (second, alpha, factories.former_term()),
    ):
        factories.enroll(cadet, company=company, term=place)
    assert site.list_of(Cadet, company=alpha.pk) == [first]
    assert site.list_of(Cadet, company="none") == [third]
    assert site.list_of(Cadet, company="1 OR 1") == []
    Cadet.objects.filter(pk=first.pk).update(archived_at=term.created_at)
    assert site.list_of(Cadet, company=alpha.pk) == []
    assert site.list_of(Cadet, archived="yes") == [first]
    assert len(site.list_of(Cadet, archived="all")) == 3


def test_the_page_of_a_cadet_leads_to_all_that_belongs_to_it(site: Site, liza: CadetPerson) -> None:
    page = site.page_of(liza.cadet)
    for name in ("attendancerecord", "excuseletter", "examscore", "meritdemerit", "gradesheet", "enrollment"):
        assert f"/{name}/?q={liza.cadet.student_id}" in page
    assert reverse("admin:cadets_enrollment_change", args=[liza.enrollment.pk]) in page
    assert f"{reverse('admin:cadets_enrollment_add')}?cadet={liza.cadet.pk}" in page


# --- Enrollments ------------------------------------------------------------------------------------------------------


def test_cadets_are_enrolled_in_the_current_term_together(
    site: Site, term: Term, bravo: Company, liza: CadetPerson
) -> None:
    new = factories.cadet()
    before = told()
    assert "Choose" not in said(site.act("enroll", new, liza.cadet))
    assert told() == before
    answer = site.confirm("enroll", new, liza.cadet, company=bravo.pk, level="MS2")
    assert "enrolled in this term already" in said(answer)
    assert "1 cadet enrolled." in said(answer)
    enrollment = Enrollment.objects.get(cadet=new)
    assert (enrollment.term, enrollment.company, enrollment.level) == (term, bravo, "MS2")
    assert recorded("enrollment") == ["enrollment.create"]
    assert Enrollment.objects.get(cadet=liza.cadet).company != bravo


def test_an_enrollment_is_made_on_its_page(site: Site, term: Term, alpha: Company) -> None:
    cadet = factories.cadet()
    opened = site.client.get(reverse("admin:cadets_enrollment_add"), {"cadet": cadet.pk})
    assert f'<option value="{term.pk}" selected>' in opened.content.decode()
    given = {"cadet": cadet.pk, "term": term.pk, "company": alpha.pk, "rank": "CDT", "level": "MS1"}
    answer = site.add(Enrollment, **given, status="ongoing")
    assert answer.status_code == 302, answer.context["errors"]
    made = Enrollment.objects.get()
    assert (made.company, made.enrolled_on) == (alpha, factories.today())
    assert [kind for kind, _ in told()] == ["enrollment.created"]
    again = site.add(Enrollment, **given, status="ongoing")
    assert "enrolled in this term already" in refusals(again)["cadet"][0]
    Term.objects.update(closed_at=term.created_at)
    closed = site.add(Enrollment, **{**given, "cadet": factories.cadet().pk}, status="ongoing")
    assert "closed" in refusals(closed)["term"][0]
    assert recorded("enrollment") == ["enrollment.create"]


def test_an_enrollment_is_changed_in_an_open_term_only(site: Site, liza: CadetPerson, bravo: Company) -> None:
    opened = site.fields_of(liza.enrollment)
    assert {"cadet", "term"} & set(opened) == set()
    assert site.change(liza.enrollment, company=bravo.pk, status="dropped").status_code == 302
    entry = trail_of("enrollment.change")
    assert entry.after == {"company_id": bravo.pk, "status": "dropped"}
    assert [kind for kind, _ in told()] == ["enrollment.changed"]
    assert "Somebody has changed" in refusals(site.change(liza.enrollment, opened, position="Guide"))["__all__"][0]
    outside = site.change(liza.enrollment, enrolled_on="2001-01-01")
    assert "Write a day of the term" in refusals(outside)["enrolled_on"][0]
    Term.objects.update(closed_at=liza.enrollment.created_at)
    assert "closed" in refusals(site.change(liza.enrollment, position="Guide"))["__all__"][0]
    assert recorded("enrollment") == ["enrollment.change"]


def test_an_archived_company_is_offered_to_who_is_in_it_alone(site: Site, liza: CadetPerson, bravo: Company) -> None:
    Company.objects.filter(name__in=("Alpha", "Bravo")).update(archived_at=bravo.created_at)
    page = site.page_of(liza.enrollment)
    assert f'<option value="{liza.enrollment.company_id}" selected>' in page
    assert ">Bravo</option>" not in page
    assert site.change(liza.enrollment, position="Guide").status_code == 302


def test_places_are_changed_together(
    site: Site, liza: CadetPerson, omar: CadetPerson, bravo: Company, admin: Person
) -> None:
    nothing = site.confirm("change_place", liza.enrollment)
    assert "Choose what to change." in nothing.content.decode()
    assert recorded("enrollment") == []
    answer = site.confirm("change_place", liza.enrollment, omar.enrollment, company=bravo.pk, status="completed")
    assert "2 enrollments changed." in said(answer)
    assert set(Enrollment.objects.values_list("company", "status", "level")) == {(bravo.pk, "completed", "MS1")}
    assert recorded("enrollment") == ["enrollment.change"] * 2
    assert set(AuditEntry.objects.filter(action="enrollment.change").values_list("actor", flat=True)) == {admin.user.pk}


# --- Lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [Company, Platoon])
def test_a_list_is_extended_renamed_archived_and_restored(site: Site, model: Any) -> None:
    noun = model._meta.model_name
    assert site.add(model, name="Echo", position="60").status_code == 302
    echo = model.objects.get(name="Echo")
    opened = site.fields_of(echo)
    assert site.change(echo, name="Echo Two").status_code == 302
    assert "Somebody has changed" in refusals(site.change(echo, opened, name="Other"))["__all__"][0]
    assert "archived." in said(site.act("archive", echo))
    assert "Nothing to do" in said(site.act("archive", echo))
    assert "restored." in said(site.act("restore", echo))
    assert recorded(noun) == [f"{noun}.{action}" for action in ("create", "change", "archive", "restore")]
    assert [kind for kind, _ in told()] == [f"{noun}.changed"] * 4
    assert model.objects.get(pk=echo.pk).name == "Echo Two"


@pytest.mark.parametrize(("name", "words"), [("ALPHA", "is in the list"), ("Al:pha", "without a colon")])
def test_a_name_that_cannot_be_is_refused_beside_its_field(site: Site, alpha: Company, name: str, words: str) -> None:
    before = Company.objects.count()
    answer = site.add(Company, name=name, position="1")
    assert words in refusals(answer)["name"][0]
    assert (Company.objects.count(), recorded("company")) == (before, [])


def test_how_many_are_enrolled_now_is_shown(site: Site, liza: CadetPerson, alpha: Company) -> None:
    factories.enroll(factories.cadet(), term=factories.former_term(), company=alpha)
    (shown,) = [row for row in site.list_of(Company) if row == alpha]
    assert shown.enrolled == 1


# --- Staff ------------------------------------------------------------------------------------------------------------

RAMON = {"rank": "Sgt", "last_name": "Villanueva", "first_name": "Ramon", "email": "ramon@rotc.example"}


def test_a_staff_profile_is_made_linked_changed_and_archived(site: Site, admin: Person) -> None:
    account = accounts.user("Ramon", role="training_staff")  # type: ignore[arg-type]
    answer = site.add(StaffProfile, **RAMON, function="instructor", user=account.pk)
    assert answer.status_code == 302, answer.context["errors"]
    profile = StaffProfile.objects.get()
    assert profile.user == account
    opened = site.fields_of(profile)
    assert site.change(profile, function="commandant").status_code == 302
    assert trail_of("staff.change").after == {"function": "commandant"}
    assert "Somebody has changed" in refusals(site.change(profile, opened, afpsn="1"))["__all__"][0]
    assert site.change(profile, user="").status_code == 302
    assert b"Archive staff and close their accounts" in site.act("archive", profile).content
    assert "archived." in said(site.confirm("archive", profile))
    assert "restored." in said(site.act("restore", profile))
    actions = ("create", "link_account", "change", "unlink_account", "archive", "restore")
    assert recorded("staff") == [f"staff.{action}" for action in actions]


def test_an_address_that_is_taken_is_refused_beside_its_field(site: Site, instructor: StaffPerson) -> None:
    answer = site.add(StaffProfile, **{**RAMON, "email": instructor.profile.email.upper()}, function="instructor")
    assert "belongs to another staff profile" in refusals(answer)["email"][0]
    assert recorded("staff") == []


def test_staff_are_found_without_regard_to_accents_also_archived_ones(site: Site, admin: Person) -> None:
    profile = factories.staff_profile(last_name="Nu\u00f1ez", afpsn="O-1234")
    factories.staff_profile(last_name="Reyes")
    assert site.list_of(StaffProfile, q="nunez o-1234") == [profile]
    StaffProfile.objects.filter(pk=profile.pk).update(archived_at=profile.created_at)
    assert site.list_of(StaffProfile, q="nunez") == []
    assert site.list_of(StaffProfile, q="nunez", archived="all") == [profile]


def test_an_account_shows_whose_it_is(site: Site, liza: CadetPerson, instructor: StaffPerson) -> None:
    for person, row in ((liza, liza.cadet), (instructor, instructor.profile)):
        name = row._meta.model_name
        assert reverse(f"admin:cadets_{name}_change", args=[row.pk]) in site.page_of(person.user)
