"""Every route: known to the table below, closed to strangers unless it is meant to be open."""

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

# Open to everybody, and the reason.
PUBLIC = {
    "api/health/": "the platform asks without a token",
    "api/health/live/": "the same",
    "api/schema/": "the contract is public",
    "api/docs/": "the contract is public",
    "api/v1/auth/login": "where tokens come from",
    "api/v1/auth/refresh": "its credential is in the body",
}


def api_routes() -> Iterator[tuple[str, URLPattern]]:
    def below(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, URLPattern]]:
        for entry in resolver.url_patterns:
            path = prefix + str(entry.pattern)
            if isinstance(entry, URLResolver):
                yield from below(entry, path)
            else:
                yield path, entry

    return ((path, entry) for path, entry in below(get_resolver(), "") if path.startswith("api/"))


def concrete(path: str) -> str:
    for converter, value in (("id", "1"), ("int", "1"), ("uuid", "11111111-1111-4111-8111-111111111111"), ("str", "x")):
        while f"<{converter}:" in path:
            start = path.index(f"<{converter}:")
            path = path[:start] + value + path[path.index(">", start) + 1 :]
    assert "<" not in path, path
    return f"/{path}"


def test_there_are_routes_to_test() -> None:
    found = {path for path, _ in api_routes()}
    assert set(PUBLIC) <= found
    assert len(found) > len(PUBLIC) + 5


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
@pytest.mark.parametrize("path", sorted(path for path, _ in api_routes() if path not in PUBLIC))
def test_a_stranger_is_refused(client: Client, path: str, method: str) -> None:
    answer = getattr(client, method)(concrete(path))
    assert answer.status_code == 401, answer.content
    assert answer.json()["code"] == "token_missing"


@pytest.mark.django_db
@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_a_broken_token_does_not_break_a_public_route(client: Client, path: str) -> None:
    headers = {"authorization": "Bearer undefined"}
    if path.startswith("api/v1/auth/"):
        answer = client.post(f"/{path}", "{}", content_type="application/json", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed"), answer.content
    else:
        answer = client.get(f"/{path}", headers=headers)
        assert answer.status_code == 200, answer.content
