import pytest
from rest_framework.test import APIClient

pytestmark = pytest.mark.urls("core.tests.urls")


@pytest.mark.parametrize(
    ("query", "page", "page_size", "rows"),
    [
        ("", 1, 50, list(range(50))),
        ("page=3", 3, 50, [100]),
        ("page=2&page_size=3", 2, 3, [3, 4, 5]),
        ("page_size=200", 1, 200, list(range(101))),
        ("page=4", 4, 50, []),
        ("page=1000000&page_size=1", 1_000_000, 1, []),
    ],
)
def test_a_page_holds_its_rows_and_says_which_it_is(query: str, page: int, page_size: int, rows: list[int]) -> None:
    body = APIClient().get(f"/api/v1/numbers?{query}").json()
    assert body == {"count": 101, "page": page, "page_size": page_size, "results": rows}


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("page=0", ["page"]),
        ("page=-1", ["page"]),
        ("page=1.5", ["page"]),
        ("page=", ["page"]),
        ("page=two", ["page"]),
        ("page=%D9%A3", ["page"]),  # a digit, but not one that is written in an address
        ("page=1000001", ["page"]),
        ("page=" + "9" * 5000, ["page"]),
        ("page_size=0", ["page_size"]),
        ("page_size=201", ["page_size"]),
        ("page=x&page_size=y", ["page", "page_size"]),
    ],
)
def test_a_page_out_of_range_is_refused_and_the_parameter_named(query: str, fields: list[str]) -> None:
    response = APIClient().get(f"/api/v1/numbers?{query}")
    assert response.status_code == 400
    problem = response.json()
    assert problem["code"] == "validation_failed"
    assert [(error["field"], error["code"]) for error in problem["errors"]] == [
        (field, "out_of_range") for field in fields
    ]


def test_every_row_stands_on_exactly_one_page() -> None:
    rows: list[int] = []
    for page in range(1, 17):
        rows += APIClient().get(f"/api/v1/numbers?page={page}&page_size=7").json()["results"]
    assert rows == list(range(101))
