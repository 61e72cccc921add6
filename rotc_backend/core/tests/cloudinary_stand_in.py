"""A local server that speaks the part of Cloudinary's HTTP interface that storage uses, and checks its signatures.

POST /v1_1/<cloud>/<kind>/upload, …/destroy       signed parameters in a form
GET  /v1_1/<cloud>/<kind>/download                signed parameters in the query, with an expiry
GET  /v1_1/<cloud>/resources/<kind>/<type>/<id>   HTTP basic authentication with key and secret
GET  /v1_1/<cloud>/resources/<kind>/<type>        likewise; prefix, max_results and next_cursor in the query
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

_UNSIGNED = frozenset({"file", "api_key", "resource_type", "cloud_name", "signature"})
_LONGEST_AGE = 3600  # seconds that a signed request stays valid


@dataclass(kw_only=True)
class CloudinaryStandIn:
    cloud_name: str
    api_key: str
    api_secret: str
    files: dict[tuple[str, str, str], bytes] = field(default_factory=dict)  # (kind, type, public id) -> content
    requests: list[str] = field(default_factory=list)
    fail_with: int | None = None
    breaks_off: bool = False  # in the middle of a file
    longest_page: int = 500
    invalidated: list[str] = field(default_factory=list)
    url: str = ""

    def signature_fits(self, parameters: dict[str, str]) -> bool:
        """Sorted `name=value` joined by `&`, with the secret behind; SHA-1, or SHA-256 if the account says so."""
        signed = sorted((name, value) for name, value in parameters.items() if name not in _UNSIGNED)
        text = "&".join(f"{name}={value}".replace("&", "%26") for name, value in signed) + self.api_secret
        given = parameters.get("signature", "")
        algorithm = "sha256" if len(given) == 64 else "sha1"
        fresh = abs(time.time() - int(parameters.get("timestamp", "0"))) < _LONGEST_AGE
        return (
            fresh
            and parameters.get("api_key") == self.api_key
            and given == hashlib.new(algorithm, text.encode()).hexdigest()
        )

    def account_fits(self, authorization: str) -> bool:
        expected = base64.b64encode(f"{self.api_key}:{self.api_secret}".encode()).decode()
        return authorization == f"Basic {expected}"


@contextmanager
def cloudinary_running() -> Iterator[CloudinaryStandIn]:
    account = CloudinaryStandIn(cloud_name="rotc", api_key="874837483274837", api_secret="a-cloud-secret_X9")
    handler = type("Handler", (_Handler,), {"account": account})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        account.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield account
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    account: CloudinaryStandIn

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parameters, file = _form(self.headers["Content-Type"], body)
        _, _, cloud, kind, action = urlsplit(self.path).path.split("/")
        if not self._accepted(cloud) or not self._signed(parameters):
            return
        place = (kind, parameters["type"], parameters["public_id"])
        if action == "upload":
            if not file:
                self._answer(400, {"error": {"message": "Empty file"}})
                return
            existing = place in self.account.files and parameters.get("overwrite") in {"0", "false"}
            if not existing:
                self.account.files[place] = file
            described = self._described(place)
            self._answer(200, {**described, "existing": True} if existing else described)
        else:
            gone = self.account.files.pop(place, None)
            if parameters.get("invalidate") in {"1", "true"}:
                self.account.invalidated.append(place[2])
            self._answer(200, {"result": "not found" if gone is None else "ok"})

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        steps = [unquote(step) for step in parts.path.split("/")[2:]]
        if not self._accepted(steps[0]):
            return
        if steps[1] == "resources":
            if not self.account.account_fits(self.headers.get("Authorization", "")):
                self._answer(401, {"error": {"message": "api_secret mismatch"}})
                return
            self._resources(steps[2], steps[3], "/".join(steps[4:]), dict(parse_qsl(parts.query)))
            return
        parameters = dict(parse_qsl(parts.query))
        if not self._signed(parameters):
            return
        if int(parameters["expires_at"]) < time.time():
            self._answer(401, {"error": {"message": "Link expired"}})
            return
        content = self.account.files.get((steps[1], parameters["type"], parameters["public_id"]))
        if content is None:
            self._answer(404, {"error": {"message": "Resource not found"}})
            return
        self._send(200, "application/octet-stream", content)

    def _resources(self, kind: str, access: str, public_id: str, asked: dict[str, str]) -> None:
        """One file, or a page of those below a prefix, whose cursor is where the next one begins."""
        if public_id:
            if (kind, access, public_id) in self.account.files:
                self._answer(200, self._described((kind, access, public_id)))
            else:
                self._answer(404, {"error": {"message": f"Resource not found - {public_id}"}})
            return
        files, prefix = sorted(self.account.files), asked["prefix"]
        found = [place for place in files if place[:2] == (kind, access) and place[2].startswith(prefix)]
        first, most = int(asked.get("next_cursor", 0)), min(int(asked["max_results"]), self.account.longest_page)
        page: dict[str, object] = {"resources": [self._described(place) for place in found[first : first + most]]}
        if len(found) > first + most:
            page["next_cursor"] = str(first + most)
        self._answer(200, page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        self.account.requests.append(format % args)

    def _accepted(self, cloud: str) -> bool:
        if self.account.fail_with is not None:
            self._answer(self.account.fail_with, {"error": {"message": "General Error"}})
            return False
        if cloud != self.account.cloud_name:
            self._answer(401, {"error": {"message": "cloud_name mismatch"}})
            return False
        return True

    def _signed(self, parameters: dict[str, str]) -> bool:
        if self.account.signature_fits(parameters):
            return True
        self._answer(401, {"error": {"message": "Invalid Signature"}})
        return False

    def _described(self, place: tuple[str, str, str]) -> dict[str, object]:
        kind, access, public_id = place
        size = len(self.account.files[place])
        return {"public_id": public_id, "resource_type": kind, "type": access, "bytes": size}

    def _answer(self, status: int, body: dict[str, object]) -> None:
        self._send(status, "application/json", json.dumps(body).encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cut = self.account.breaks_off and kind == "application/octet-stream"
        self.wfile.write(content[: len(content) // 2] if cut else content)


def _form(content_type: str, body: bytes) -> tuple[dict[str, str], bytes]:
    """(fields, file) of a multipart form."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    form = BytesParser(policy=HTTP).parsebytes(head + body)
    fields: dict[str, str] = {}
    file = b""
    for part in form.iter_parts() if isinstance(form, EmailMessage) else ():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        name = str(part.get_param("name", header="content-disposition"))
        if part.get_filename() is not None or name == "file":
            file = content
        else:
            fields[name] = content.decode()
    return fields, file
