"""Files of cadets that are brought in at the same moment, each on a connection of its own."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from apps.accounts.models import AuditEntry, Role
from apps.accounts.rules import Principal
from apps.accounts.tests import factories as accounts
from apps.accounts.tests.factories import Person
from apps.cadets import rules
from apps.cadets.models import Cadet, Enrollment, Term
from apps.cadets.services.cadets import cadet_archive, cadet_change, cadet_create
from apps.cadets.services.enrollments import enrollment_change, enrollment_create
from apps.cadets.services.imports import cadets_import
from apps.cadets.tests import factories, tables
from apps.cadets.tests.expectations import at_once
from apps.events.models import Event
from core.errors import Conflict
from core.tables import RowFate

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 60
NEW = [f"2026-{place:05}" for place in range(ROWS)]


@pytest.fixture
def colleague(db: None) -> Person:
    return accounts.signed_in(accounts.user("corazon", role=Role.ADMIN))


@pytest.fixture
def people(term: Term) -> list[Cadet]:
    return [factories.enrolled(number).cadet for number in NEW]


def bringing(actor: Principal, term: Term, numbers: Sequence[str], **cells: Any) -> Callable[[], list[RowFate]]:
    lines = [{"student_id": number, "name": "Cruz, Ana", "company": "Alpha", **cells} for number in numbers]
    factories.company()
    return partial(tables.bringing(cadets_import, rules.CADET_COLUMNS, actor=actor, term_id=term.pk), *lines)


def errors(results: Sequence[Any]) -> list[str]:
    found = [result for result in results if isinstance(result, Exception)]
    return [str(getattr(error, "code", None) or type(error).__name__) for error in found]


@pytest.mark.parametrize("attempt", range(3))
def test_of_two_imports_of_one_file_one_adds_and_the_other_finds_all_unchanged(
    admin: Person, colleague: Person, term: Term, attempt: int
) -> None:
    done = at_once(bringing(admin.principal, term, NEW), bringing(colleague.principal, term, NEW[::-1]))
    assert errors(done) == []
    assert sorted(fate for fates in done for fate in set(tables.fates(fates))) == ["create", "unchanged"]
    assert set(Cadet.objects.values_list("version", flat=True)) == {1}
    assert Cadet.objects.count() == Enrollment.objects.count() == ROWS
    audited = Counter(AuditEntry.objects.values_list("action", flat=True))
    assert (audited["cadet.create"], audited["enrollment.create"], audited["cadet.change"]) == (ROWS, ROWS, 0)
    assert Event.objects.filter(type="cadet.created").count() == ROWS


@pytest.mark.parametrize("attempt", range(3))
def test_two_files_of_the_same_cadets_end_as_one_of_them(
    admin: Person, colleague: Person, term: Term, people: list[Cadet], attempt: int
) -> None:
    done = at_once(
        bringing(admin.principal, term, NEW, course="BSA", status="dropped"),
        bringing(colleague.principal, term, NEW[::-1], course="BSF", status="deferred"),
    )
    assert errors(done) == []
    ends = set(Enrollment.objects.values_list("cadet__course", "status", "version", "cadet__version"))
    assert ends in ({("BSA", "dropped", 3, 3)}, {("BSF", "deferred", 3, 3)})


@pytest.mark.parametrize("attempt", range(3))
def test_what_people_change_by_hand_during_an_import_comes_before_it_or_after_it(
    admin: Person, colleague: Person, term: Term, people: list[Cadet], attempt: int
) -> None:
    first, last, outside = people[0], people[-1], factories.cadet("2026-99999")
    place = Enrollment.objects.get(cadet=last)
    by_hand: dict[str, Any] = {"actor": colleague.principal, "expected_version": 1}
    *others, done = at_once(
        lambda: cadet_change(**by_hand, cadet_id=first.pk, changes={"course": "BSF", "religion": "Islam"}),
        lambda: enrollment_change(**by_hand, enrollment_id=place.pk, changes={"status": "dropped"}),
        lambda: enrollment_create(actor=colleague.principal, cadet_id=outside.pk, term_id=term.pk, fields={}),
        bringing(admin.principal, term, [*NEW, outside.student_id], course="BSA", status="deferred"),
    )
    assert errors([done]) == []
    assert set(errors(others)) <= {"version_changed", "already_enrolled"}
    course, religion = Cadet.objects.values_list("course", "religion").get(pk=first.pk)
    # One that came before the file is brought to what the file says, and keeps that of which it says nothing.
    assert (course, religion) in {("BSA", "Islam"), ("BSA", "")}
    assert Enrollment.objects.get(pk=place.pk).status == "deferred"
    assert Enrollment.objects.get(cadet=outside).status == "deferred"
    assert Enrollment.objects.count() == ROWS + 1


@pytest.mark.parametrize("attempt", range(3))
def test_a_number_that_somebody_uses_meanwhile_is_found_by_one_or_refused_to_the_other(
    admin: Person, colleague: Person, term: Term, attempt: int
) -> None:
    bring = bringing(admin.principal, term, NEW)
    fields = {"student_id": NEW[-1].lower(), "last_name": "Cruz", "first_name": "Ana"}
    by_hand, done = at_once(lambda: cadet_create(actor=colleague.principal, fields=fields), bring)
    assert errors([by_hand]) in ([], ["student_id_taken"])
    if errors([done]):
        # The worker tries again after it, and then finds who is there.
        assert isinstance(done, IntegrityError)
        assert Cadet.objects.count() == 1
        assert sorted(set(tables.fates(bring()))) == ["create"]
    assert Cadet.objects.count() == Enrollment.objects.count() == ROWS


@pytest.mark.parametrize("attempt", range(3))
def test_a_file_with_a_cadet_who_is_archived_meanwhile_is_taken_whole_or_not_at_all(
    admin: Person, colleague: Person, term: Term, people: list[Cadet], attempt: int
) -> None:
    done, archived = at_once(
        bringing(admin.principal, term, NEW, course="BSA"),
        lambda: cadet_archive(actor=colleague.principal, cadet_id=people[7].pk),
    )
    assert errors([done, archived]) == []
    refused = [code for *_, code in tables.problems(done)]
    assert refused in ([], ["cadet_archived"])
    assert Cadet.objects.filter(course="BSA").count() == (0 if refused else ROWS)


@pytest.mark.parametrize("attempt", range(3))
def test_a_file_that_meets_the_closing_of_its_term_is_taken_before_or_refused(
    admin: Person, term: Term, attempt: int
) -> None:
    def close() -> None:
        with transaction.atomic():
            row = Term.objects.select_for_update(no_key=True).get(pk=term.pk)
            row.closed_at = row.created_at
            row.save(update_fields=["closed_at"])

    done, closed = at_once(bringing(admin.principal, term, NEW), close)
    assert closed is None
    assert errors([done]) in ([], ["term_closed"])
    assert Cadet.objects.count() == (0 if isinstance(done, Conflict) else ROWS)
