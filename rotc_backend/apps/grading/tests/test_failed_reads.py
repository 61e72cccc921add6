"""A failed read is an error. It is never a zero, never a grade, and never kept in the cache."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections

from apps.accounts.tests.factories import Person
from apps.cadets.tests.factories import CadetPerson, StaffPerson
from apps.grading.models import GradeSheet
from apps.grading.tests import factories

pytestmark = pytest.mark.django_db(transaction=True)

OWN = "/api/v1/cadets/me/standing"
TABLES = [
    "grading_examscore",
    "grading_meritdemerit",
    "grading_adjustment",
    "grading_gradingpolicy",
    "training_trainingday",
    "training_attendancerecord",
]


@contextmanager
def unreadable(table: str) -> Iterator[None]:
    """Nobody can read `table`: another connection holds it, and this one does not wait for long."""
    other = connections.create_connection("default")
    try:
        with other.cursor() as holder, connection.cursor() as own:
            holder.execute("BEGIN")
            holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            own.execute("SET lock_timeout = '100ms'")
            try:
                yield
            finally:
                own.execute("RESET lock_timeout")
                holder.execute("ROLLBACK")
    finally:
        other.close()


def graded(person: CadetPerson) -> None:
    factories.attend(person.enrollment, factories.days(15), ["present"] * 15)
    factories.scores(person.enrollment, "100", "100", "100")


def is_error(answer: Any) -> bool:
    body = answer.json()
    return (
        answer.status_code == 503
        and body["code"] == "database_unavailable"
        and not {"total", "equivalent", "results", "attendance"} & set(body)
    )


@pytest.mark.parametrize("table", TABLES)
def test_a_standing_whose_inputs_cannot_be_read_is_an_error(liza: CadetPerson, table: str) -> None:
    graded(liza)
    client = liza.client
    factories.token_read_lately(client)
    with unreadable(table):
        assert is_error(client.get(OWN))
    answer = client.get(OWN)  # nothing of it was kept
    assert (answer.status_code, answer.json()["total"], answer.json()["equivalent"]) == (200, "100.00", "1.00")


@pytest.mark.parametrize("table", TABLES)
def test_so_are_a_sheet_and_a_closing_and_nothing_is_frozen(
    admin: Person, instructor: StaffPerson, liza: CadetPerson, table: str
) -> None:
    graded(liza)
    term = f"/api/v1/terms/{liza.enrollment.term_id}"
    client, closer = instructor.client, admin.client
    factories.token_read_lately(closer)
    with unreadable(table):
        assert is_error(client.get(f"{term}/grades"))
        assert is_error(closer.post(f"{term}/close"))
    assert not GradeSheet.objects.exists()
    line = client.get(f"{term}/grades").json()["results"][0]
    assert (line["total"], line["provisional"]) == ("100.00", True)


def test_a_frozen_sheet_that_cannot_be_read_is_an_error_and_not_computed_anew(admin: Person, liza: CadetPerson) -> None:
    graded(liza)
    admin.client.post(f"/api/v1/terms/{liza.enrollment.term_id}/close")
    client = liza.client
    factories.token_read_lately(client)
    with unreadable("grading_gradesheet"):
        assert is_error(client.get(OWN))
    assert client.get(OWN).json()["sheet"] is not None
