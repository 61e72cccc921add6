import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest

SERVICE = Path(__file__).resolve().parent.parent.parent
TOKEN = jwt.encode({"sub": "7"}, "k" * 64, algorithm="HS512")
CANARIES = {
    "body": "canary-in-the-body",
    "query": "canary-in-the-query",
    "cookie": "canary-in-a-cookie",
    "header": "canary-in-a-header",
    "url password": "canary-in-an-address",
    "token": TOKEN,
    "local variable": "canary-in-a-local-variable",
}

# Runs in a process of its own: the SDK cannot be taken out of a process again.
_PROGRAM = """
import json, logging, os
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
from django.conf import settings
from django.test import RequestFactory
import sentry_sdk

settings.ROOT_URLCONF = "core.tests.urls"
canaries = json.loads(os.environ["CANARIES"])
requests = RequestFactory()
requests.cookies["sessionid"] = canaries["cookie"]
request = requests.post(
    f"/api/failing?token={canaries['query']}",
    {"password": canaries["body"]},
    headers={"Authorization": f"Bearer {canaries['header']}", "X-Request-ID": "id-of-the-request"},
)
answered = []
# The whole way that gunicorn takes: the SDK begins its scope and its trace at the WSGI application.
b"".join(application(request.environ, lambda status, headers: answered.append(status)))
assert answered == ["500 Internal Server Error"], answered
logging.getLogger("rgms.x").info("GET /ws/notifications/?token=%s", canaries["token"])

def fail():
    secret = canaries["local variable"]
    raise RuntimeError(f"cannot reach redis://:{canaries['url password']}@cache:6379 with {canaries['token']}")

try:
    fail()
except RuntimeError:
    logging.getLogger("rgms.x").exception("failed with Bearer %s", canaries["header"])
sentry_sdk.flush(timeout=10)
"""


class Receiver:
    """What Sentry would have received: the items of all envelopes, and every byte of them as text."""

    def __init__(self) -> None:
        self.items: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.text = ""
        self.keys: set[str] = set()
        self.port = 0

    def take(self, body: bytes, authorization: str) -> None:
        self.text += body.decode()
        self.keys.add(authorization)
        lines = [json.loads(line) for line in body.splitlines() if line]
        self.items += zip(lines[1::2], lines[2::2], strict=True)

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [payload for header, payload in self.items if header["type"] == kind]


@contextmanager
def receiver_running() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            match self.headers.get("Content-Encoding"):
                case "gzip":
                    body = gzip.decompress(body)
                case "br":  # chosen by the SDK where the library happens to be installed
                    import brotli  # type: ignore[import-untyped]

                    body = brotli.decompress(body)
            receiver.take(body, self.headers.get("X-Sentry-Auth", ""))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def received() -> Iterator[Receiver]:
    with receiver_running() as receiver:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(SERVICE), str(SERVICE.parent), os.environ.get("PYTHONPATH", "")]),
            "SENTRY_DSN": f"http://0123456789abcdef@127.0.0.1:{receiver.port}/7",
            "SENTRY_TRACES_SAMPLE_RATE": "1.0",
            "DJANGO_ENV": "testing",
            "RENDER_GIT_COMMIT": "1f4ce0de" * 5,
            "RENDER_SERVICE_NAME": "rotc-django-web",
            "CANARIES": json.dumps(CANARIES),
        }
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env=environment,
            cwd=SERVICE,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        yield receiver


def test_an_error_of_a_request_and_an_error_in_a_log_are_reported(received: Receiver) -> None:
    events = received.of_kind("event")
    reasons = {event["exception"]["values"][-1]["value"].split(" ")[0] for event in events}
    assert reasons == {"another", "cannot"}
    assert len(events) == 2  # the line of the request's log is no third report of the same error
    assert all("sentry_key=0123456789abcdef" in key for key in received.keys)


@pytest.mark.parametrize("place", sorted(CANARIES))
def test_no_secret_leaves_with_a_report(received: Receiver, place: str) -> None:
    assert received.items
    assert CANARIES[place] not in received.text


def test_a_report_says_which_release_environment_and_service_it_came_from(received: Receiver) -> None:
    for event in received.of_kind("event") + received.of_kind("transaction"):
        assert event["release"] == "rgms@" + "1f4ce0de" * 5
        assert event["environment"] == "testing"
        assert event["server_name"] == "rotc-django-web"


def test_the_path_stays_and_everything_personal_goes(received: Receiver) -> None:
    (request,) = [event["request"] for event in received.of_kind("event") if event.get("request")]
    assert request["url"].endswith("/api/failing")
    assert not {"query_string", "cookies", "headers", "data"} & set(request)
    for event in received.of_kind("event"):
        assert not event.get("user")
        for value in event["exception"]["values"]:
            assert all("vars" not in frame for frame in value["stacktrace"]["frames"])


def test_traces_are_scrubbed_like_errors(received: Receiver) -> None:
    transactions = received.of_kind("transaction")
    assert transactions
    for transaction in transactions:
        assert not {"query_string", "cookies", "headers", "data"} & set(transaction.get("request", {}))
