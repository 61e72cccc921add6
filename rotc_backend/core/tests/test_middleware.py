import logging
import re
import uuid
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection
from django.test import Client
from rest_framework.test import APIClient

pytestmark = [pytest.mark.urls("core.tests.urls"), pytest.mark.django_db]

TIMING = re.compile(r'app;dur=([\d.]+), db;dur=([\d.]+);desc="(\d+) (query|queries)", cache;dur=([\d.]+)')


@pytest.fixture
def client() -> APIClient:
    return APIClient(raise_request_exception=False)


def timing(response: Any) -> tuple[float, float, int, float]:
    """(application ms, database ms, queries, cache ms) of Server-Timing."""
    found = TIMING.fullmatch(response.headers["Server-Timing"])
    assert found is not None, response.headers["Server-Timing"]
    assert found[4] == ("query" if found[3] == "1" else "queries")
    return float(found[1]), float(found[2]), int(found[3]), float(found[5])


@pytest.mark.parametrize("given", ["abcd1234", "A.b_c-9" * 9, "6f1d1f5e0c7a4bb2a0f3c2f9f6a1d7e4", "6f1d1f5e-0c7a-4bb2"])
def test_a_well_formed_request_id_of_the_caller_is_kept(client: APIClient, given: str) -> None:
    assert client.get("/api/v1/numbers", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "short", "x" * 65, "with space", "new\nline--", 'quote"quote', "ünïcödé-id"])
def test_any_other_is_replaced_by_one_of_ours(client: APIClient, given: str) -> None:
    answers = [client.get("/api/v1/numbers", headers={"X-Request-ID": given}) for _ in range(2)]
    ids = [answer.headers["X-Request-ID"] for answer in answers]
    assert len(set(ids)) == 2
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in ids)


def test_every_answer_has_a_request_id(client: APIClient) -> None:
    for path in ("/api/v1/numbers", "/api/nothing", "/nothing", "/failing", "/api/v1/fail/ours"):
        assert client.get(path).headers["X-Request-ID"]


@pytest.mark.parametrize("queries", [0, 1, 3])
def test_server_timing_tells_the_number_of_queries_and_how_long_they_took(client: APIClient, queries: int) -> None:
    application, database, counted, cached = timing(client.get(f"/api/v1/queries/{queries}"))
    assert counted == queries
    assert 20 * queries <= database <= application
    assert database < 20 * queries + 500
    assert cached == 0


def test_server_timing_tells_how_long_the_cache_took(client: APIClient) -> None:
    application, _, _, cached = timing(client.get(f"/api/v1/queries/0?cached={uuid.uuid4().hex}"))
    assert 0 < cached <= application


def test_one_request_is_never_charged_for_another(client: APIClient) -> None:
    assert timing(client.get("/api/v1/queries/2"))[2] == 2
    assert timing(client.get("/api/v1/queries/1"))[2] == 1


def test_a_failure_is_timed_too_and_a_page_is_not(client: APIClient) -> None:
    assert timing(client.get("/api/v1/fail/ours"))[2] == 0
    assert "Server-Timing" not in client.get("/nothing").headers


def test_cache_status_tells_of_a_cached_read_and_of_nothing_else(client: APIClient) -> None:
    key = uuid.uuid4().hex
    assert client.get(f"/api/v1/queries/0?cached={key}").headers["Cache-Status"] == "rgms; fwd=uri-miss; stored"
    assert client.get(f"/api/v1/queries/0?cached={key}").headers["Cache-Status"] == "rgms; hit"
    assert "Cache-Status" not in client.get("/api/v1/queries/0").headers


@pytest.mark.parametrize("path", ["/api/v1/numbers", "/api/nothing", "/api/v1/fail/ours", "/api/failing"])
def test_an_answer_of_the_interface_is_kept_by_no_cache(client: APIClient, path: str) -> None:
    assert client.get(path).headers["Cache-Control"] == "no-store"


def test_a_view_that_says_more_about_caching_is_left_alone(client: APIClient) -> None:
    assert client.get("/api/v1/public").headers["Cache-Control"] == "public, max-age=300"


def test_a_slash_at_the_end_changes_nothing_and_redirects_nobody(client: APIClient) -> None:
    for end in ("", "/", "//"):
        assert client.get(f"/api/v1/numbers{end}").json()["count"] == 101
        answer = client.post(f"/api/v1/sheets{end}", data={"title": "a", "rows": []})
        assert (answer.status_code, answer.json()) == (200, {"title": "a", "rows": []})


def request_lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "rgms.request"]


def test_a_request_is_logged_once_without_its_query(client: APIClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        client.get("/api/v1/queries/2?password=hunter2")
    (line,) = request_lines(caplog)
    assert line.getMessage() == "GET /api/v1/queries/2 200"
    assert line.route == "api/v1/queries/<int:queries>"  # type: ignore[attr-defined]  # an extra
    assert line.database_queries == 2  # type: ignore[attr-defined]
    assert line.user_id is None  # type: ignore[attr-defined]
    assert "hunter2" not in caplog.text


def test_an_error_of_ours_is_logged_as_an_error(client: APIClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        client.get("/api/v1/fail/ours")
        client.get("/api/v1/fail/not_found")
    assert [line.levelname for line in request_lines(caplog)] == ["ERROR", "INFO"]


def test_the_log_line_names_who_asked_if_the_view_had_to_know(caplog: pytest.LogCaptureFixture) -> None:
    user = get_user_model().objects.create(username="Lucia", status="approved", role="admin")
    client = Client()
    client.force_login(user)
    with caplog.at_level(logging.INFO):
        assert client.get("/asked-user").content == b"True"
    assert request_lines(caplog)[-1].user_id == user.pk  # type: ignore[attr-defined]


def test_the_log_line_itself_never_asks_the_database_who_it_was(caplog: pytest.LogCaptureFixture) -> None:
    # It once did: with a cookie of the admin site and the database away, even health answered 500.
    client = Client()
    client.force_login(get_user_model().objects.create(username="Lucia", status="approved", role="admin"))

    def away(*arguments: Any) -> None:
        raise DatabaseError("away")

    with caplog.at_level(logging.INFO), connection.execute_wrapper(away):
        assert client.get("/api/v1/public").status_code == 200
        assert client.get("/api/nothing").status_code == 404
    assert [line.user_id for line in request_lines(caplog)] == [None, None]  # type: ignore[attr-defined]
