import io
import json
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler

from core.content_types import utf8_asgi, utf8_wsgi, without_charset

pytestmark = pytest.mark.urls("core.tests.urls")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("application/json", "application/json"),
        ("application/json; charset=zlib", "application/json"),
        ("application/json;CHARSET = utf-8 ;x=1", "application/json;x=1"),
        ("multipart/form-data; boundary=charset; charset=idna", "multipart/form-data; boundary=charset"),
        ("charset=zlib", "charset=zlib"),
        ("", ""),
    ],
)
def test_only_the_charset_is_taken_away(given: str, kept: str) -> None:
    assert without_charset(given) == kept


def ask(content_type: str, query: str, body: bytes = b"") -> tuple[str, dict[str, Any]]:
    answered: list[str] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/v1/sheets",
        "QUERY_STRING": query,
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
    }
    chunks = utf8_wsgi(WSGIHandler())(environ, lambda status, headers: answered.append(status))
    return answered[0], json.loads(b"".join(chunks))


@pytest.mark.parametrize(
    "charset", ["zlib", "rot13", "hex", "base64", "idna", "punycode", "undefined", "no-such", "latin-1"]
)
def test_no_charset_fails_the_service(charset: str) -> None:
    body = json.dumps({"title": "é", "rows": []}, ensure_ascii=False).encode()
    status, answer = ask(f"application/json; charset={charset}", "search=%41", body)
    assert (status, answer["title"]) == ("200 OK", "é")


def test_a_query_of_too_many_parameters_is_refused_as_a_problem() -> None:
    status, answer = ask("application/json; charset=utf-8", "&".join(f"a={n}" for n in range(1100)), b"{}")
    assert status.startswith("400")
    assert answer["request_id"]


async def test_the_channels_service_reads_utf8_alone_too() -> None:
    seen: list[Any] = []

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.append(scope["headers"])

    headers = [(b"content-type", b"text/plain; charset=zlib"), (b"x-other", b"charset=1")]
    await utf8_asgi(application)({"type": "http", "headers": headers}, None, None)
    assert seen == [[(b"content-type", b"text/plain"), (b"x-other", b"charset=1")]]
