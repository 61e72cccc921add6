import json
import logging
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from core import errors
from core.tests.urls import FAILURES

pytestmark = pytest.mark.urls("core.tests.urls")

EXPECTED = {
    # name of the failure: status, code
    "domain_error": (400, "domain_error"),
    "validation_failed": (400, "validation_failed"),
    "token_missing": (401, "token_missing"),
    "token_expired": (401, "token_expired"),
    "credentials_wrong": (401, "credentials_wrong"),
    "permission_denied": (403, "permission_denied"),
    "not_found": (404, "not_found"),
    "conflict": (409, "term_closed"),
    "precondition_failed": (412, "version_changed"),
    "precondition_required": (428, "if_match_missing"),
    "content_too_large": (413, "content_too_large"),
    "database_away": (503, "database_unavailable"),
    "database_gone": (503, "database_unavailable"),
    "body_too_big": (413, "content_too_large"),
    "too_many_requests": (429, "too_many_requests"),
    "unavailable": (503, "queue_unavailable"),
    "rest_validation": (400, "validation_failed"),
    "rest_rows": (400, "validation_failed"),
    "rest_list": (400, "validation_failed"),
    "rest_parse": (400, "body_malformed"),
    "rest_authentication": (401, "token_missing"),
    "rest_not_authenticated": (401, "token_missing"),
    "rest_permission": (403, "permission_denied"),
    "rest_not_found": (404, "not_found"),
    "rest_method": (405, "method_not_allowed"),
    "rest_not_acceptable": (406, "not_acceptable"),
    "rest_media_type": (415, "unsupported_media_type"),
    "rest_throttled": (429, "too_many_requests"),
    "rest_throttled_for_unknown_time": (429, "too_many_requests"),
    "rest_api_exception": (500, "error"),
    "django_404": (404, "not_found"),
    "django_permission": (403, "permission_denied"),
    "ours": (500, "internal_error"),
}
MEMBERS = {"type", "title", "status", "detail", "code", "instance", "request_id", "errors"}


@pytest.fixture
def client() -> APIClient:
    return APIClient(raise_request_exception=False)


def problem_in(response: Any) -> dict[str, Any]:
    assert response.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(response.content)
    assert set(body) == MEMBERS
    assert body["status"] == response.status_code
    assert body["type"] == f"urn:rgms:problem:{body['code']}"
    assert body["request_id"] == response.headers["X-Request-ID"]
    assert body["title"]
    assert body["detail"]
    return body


@pytest.mark.parametrize("name", sorted(FAILURES))
def test_every_failure_is_told_as_a_problem_document(client: APIClient, name: str) -> None:
    response = client.get(f"/api/v1/fail/{name}?token=hunter2")
    problem = problem_in(response)
    assert (response.status_code, problem["code"]) == EXPECTED[name]
    assert problem["instance"] == f"/api/v1/fail/{name}"
    assert b"hunter2" not in response.content


def test_every_domain_error_is_among_the_failures_tried() -> None:
    def below(error: type[errors.DomainError]) -> set[type[errors.DomainError]]:
        return {error}.union(*(below(child) for child in error.__subclasses__() if child.__module__ == "core.errors"))

    assert below(errors.DomainError) <= {type(failure) for failure in FAILURES.values()}


def test_a_domain_errors_own_words_and_fields_reach_the_caller(client: APIClient) -> None:
    problem = problem_in(client.get("/api/v1/fail/validation_failed"))
    assert problem["detail"] == "Two rows are wrong."
    assert problem["title"] == "Some fields need correction"
    assert problem["errors"] == [{"field": "rows.3.status", "code": "unknown", "detail": "Write present or late."}]


def test_what_the_framework_quotes_from_the_body_is_not_repeated(client: APIClient) -> None:
    assert b"secret" not in client.get("/api/v1/fail/rest_parse").content
    assert b"inner reason" not in client.get("/api/v1/fail/django_permission").content
    assert b"Cadet matches" not in client.get("/api/v1/fail/django_404").content


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("token_missing", 'Bearer realm="rgms"'),
        ("rest_not_authenticated", 'Bearer realm="rgms"'),
        ("token_expired", 'Bearer realm="rgms", error="invalid_token", error_description="token_expired"'),
        ("credentials_wrong", None),
        ("permission_denied", None),
    ],
)
def test_a_refused_token_is_explained_in_the_header_as_rfc_6750_has_it(
    client: APIClient, name: str, header: str | None
) -> None:
    assert client.get(f"/api/v1/fail/{name}").headers.get("WWW-Authenticate") == header


@pytest.mark.parametrize(
    ("name", "seconds"), [("too_many_requests", "7"), ("rest_throttled", "7"), ("rest_throttled_for_unknown_time", "1")]
)
def test_who_asks_too_often_is_told_for_how_long_to_wait(client: APIClient, name: str, seconds: str) -> None:
    assert client.get(f"/api/v1/fail/{name}").headers["Retry-After"] == seconds


def test_an_error_of_ours_shows_no_trace_and_is_logged_with_one(
    client: APIClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = client.get("/api/v1/fail/ours", headers={"X-Request-ID": "find-me-again"})
    assert response.status_code == 500
    assert problem_in(response)["request_id"] == "find-me-again"
    for word in (b"Traceback", b"RuntimeError", b"hunter2", b"urls.py"):
        assert word not in response.content
    assert "RuntimeError: the password is hunter2" in caplog.text


def test_a_method_that_is_not_offered_is_answered_with_those_that_are(client: APIClient) -> None:
    response = client.delete("/api/v1/sheets")
    assert problem_in(response)["code"] == "method_not_allowed"
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST, OPTIONS"


def test_a_form_the_service_does_not_offer_or_read_is_refused(client: APIClient) -> None:
    response = client.get("/api/v1/numbers", headers={"Accept": "text/csv"})
    assert (response.status_code, problem_in(response)["code"]) == (406, "not_acceptable")
    response = client.post("/api/v1/sheets", data="a=1", content_type="application/x-www-form-urlencoded")
    assert (response.status_code, problem_in(response)["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("body", ["{bad", '{"title": }', "\ufeff{}x", "nul"])
def test_a_body_that_is_not_json_is_named_as_such(client: APIClient, body: str) -> None:
    response = client.post("/api/v1/sheets", data=body, content_type="application/json")
    assert (response.status_code, problem_in(response)["code"]) == (400, "body_malformed")


@pytest.mark.parametrize("body", ["[" * 100_000, '{"a":' * 100_000, "[" * 50_000 + "]" * 50_000])
def test_a_body_that_is_nested_too_deeply_is_malformed(client: APIClient, body: str) -> None:
    response = client.post("/api/v1/sheets", data=body, content_type="application/json")
    assert (response.status_code, problem_in(response)["code"]) == (400, "body_malformed")


def test_a_field_whose_name_has_no_encoding_is_named_all_the_same(client: APIClient) -> None:
    response = client.post("/api/v1/mirror", data='{"\\ud800": 1}', content_type="application/json")
    assert [error["field"] for error in problem_in(response)["errors"]] == ["\\ud800"]


def test_a_parameter_named_format_is_the_operations_own(client: APIClient) -> None:
    assert client.get("/api/v1/numbers?format=csv").status_code == 200


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"title": "required", "rows": "required"}),
        ([], {"body": "invalid"}),
        ("text", {"body": "invalid"}),
        ({"title": "longer than five", "rows": []}, {"title": "max_length"}),
        ({"title": "a", "rows": {"x": 1}}, {"rows": "not_a_list"}),
        (
            {"title": "a", "rows": [{"status": "late"}, {"status": "gone"}, {}]},
            {"rows.1.status": "invalid_choice", "rows.2.status": "required"},
        ),
        ({"title": "a", "rows": [{"status": "late", "tags": [1, "x"]}]}, {"rows.0.tags.1": "invalid"}),
        ({"title": "no", "rows": []}, {"body": "invalid"}),
    ],
)
def test_each_wrong_field_is_named_by_its_path_in_the_body(
    client: APIClient, body: Any, fields: dict[str, str]
) -> None:
    response = client.post("/api/v1/sheets", data=body)
    problem = problem_in(response)
    assert response.status_code == 400
    assert {error["field"]: error["code"] for error in problem["errors"]} == fields
    assert all(error["detail"] for error in problem["errors"])
    assert all(field in problem["detail"] for field in fields)


def test_a_wrong_row_of_a_list_at_the_top_of_the_body_is_named_by_its_number(client: APIClient) -> None:
    response = client.post("/api/v1/rows", data=[{"status": "late"}, {"status": "gone"}])
    assert [error["field"] for error in problem_in(response)["errors"]] == ["1.status"]


@pytest.mark.parametrize(("name", "field"), [("rest_rows", "rows.1.status"), ("rest_list", "1.status")])
def test_rows_that_a_view_refuses_as_a_list_are_numbered_too(client: APIClient, name: str, field: str) -> None:
    assert [error["field"] for error in problem_in(client.get(f"/api/v1/fail/{name}"))["errors"]] == [field]


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing", "/api/v1", "/api/v1/", "/api/v1/nothing/here/"])
def test_an_unknown_path_of_the_interface_is_answered_in_json(client: APIClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, problem_in(response)["code"]) == (404, "not_found")
    assert client.post(path, data={}).status_code == 404


def test_an_unknown_path_elsewhere_is_answered_with_a_page() -> None:
    response = Client().get("/nothing/here")
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(("name", "status"), [("failing", 500), ("forbidden", 403), ("malformed", 400)])
def test_what_fails_outside_rest_views_is_json_under_api_and_a_page_elsewhere(
    client: APIClient, name: str, status: int
) -> None:
    inside, outside = client.get(f"/api/{name}"), client.get(f"/{name}")
    assert inside.status_code == outside.status_code == status
    problem_in(inside)
    assert outside.headers["Content-Type"].startswith("text/html")
    for response in (inside, outside):
        assert b"hunter2" not in response.content
        assert b"Traceback" not in response.content


def test_a_host_that_is_not_ours_is_refused_as_a_problem_and_logged_as_no_error_of_ours(
    client: APIClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="django"):
        response = client.get("/api/v1/numbers", headers={"Host": "elsewhere.example"})
    assert caplog.text == ""
    assert (response.status_code, problem_in(response)["code"]) == (400, "request_malformed")
