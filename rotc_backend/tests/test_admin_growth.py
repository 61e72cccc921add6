"""Lists and pages of the admin site cost the same with few rows and with many: no query for each row."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import models
from pytest_django import DjangoDbBlocker

from tests.admin_pages import OWN, Visitor, address_of, queries_shown, rows_of
from tests.cast import ADMIN, world_standing
from tests.crowd import crowd_add

pytestmark = pytest.mark.django_db
FEW, MANY = 10, 60
# Lists that never have more rows, and why.
FIXED_LISTS: Mapping[str, str] = {
    "training.AttendanceRecord": "its page is full with few already: each of them on each day",
}


@dataclass(frozen=True)
class Cost:
    """SQL of a model's list, with how many rows it shows, and of the page of its first row."""

    listed: int
    of_list: list[str]
    of_row: list[str]


@pytest.fixture(scope="module")
def costs(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Mapping[int, Mapping[str, Cost]]]:
    measured = {}
    with django_db_blocker.unblock(), world_standing() as world:
        visitor = Visitor(world.people[ADMIN].user)
        ContentType.objects.get_for_models(*OWN.values())  # a process reads them once
        for first, size in ((0, FEW), (FEW, MANY)):
            crowd_add(world, first=first, count=size - first)
            measured[size] = {label: _cost(visitor, model) for label, model in OWN.items()}
        yield measured


def _cost(visitor: Visitor, model: type[models.Model]) -> Cost:
    shown = visitor.open(address_of(model, "changelist"))
    assert shown.status == 200, model
    row = rows_of(model).first()
    assert row is not None, f"no row of {model}"
    page = visitor.open(address_of(model, "change", row.pk))
    assert page.status == 200, model
    return Cost(len(shown.answer.context["cl"].result_list), shown.queries, page.queries)


@pytest.mark.parametrize("label", sorted(OWN))
def test_a_list_costs_the_same_however_many_rows_it_shows(costs: Mapping[int, Mapping[str, Cost]], label: str) -> None:
    few, many = costs[FEW][label], costs[MANY][label]
    if label not in FIXED_LISTS:
        assert many.listed > few.listed, "the list has to grow, or nothing is proven"
    assert len(many.of_list) == len(few.of_list), queries_shown(label, many.of_list)


@pytest.mark.parametrize("label", sorted(OWN))
def test_the_page_of_a_row_costs_the_same_however_much_belongs_to_it(
    costs: Mapping[int, Mapping[str, Cost]], label: str
) -> None:
    few, many = costs[FEW][label], costs[MANY][label]
    assert len(many.of_row) == len(few.of_row), queries_shown(label, many.of_row)
