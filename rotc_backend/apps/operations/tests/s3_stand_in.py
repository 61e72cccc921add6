"""A local server that speaks the part of S3's HTTP interface that backups use, and checks its signatures (SigV4).

PUT /bucket/key      GET /bucket/key      DELETE /bucket/key      GET /bucket?list-type=2&prefix=…
"""

import datetime as dt
import hashlib
import hmac
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w{64})"
)
_MUST_BE_SIGNED = {"host", "x-amz-content-sha256", "x-amz-date"}
_LONGEST_AGE = dt.timedelta(minutes=15)


@dataclass(kw_only=True)
class S3StandIn:
    access_key: str = "AKIDEXAMPLE"
    secret_key: str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    region: str = "us-west-2"
    bucket: str = "rotc-backups"
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    fail_next: list[int] = field(default_factory=list)  # statuses with which the next requests fail
    longest_page: int = 1000
    port: int = 0

    def url(self, **changes: str) -> str:
        own = {"access": self.access_key, "secret": self.secret_key, "bucket": self.bucket, "region": self.region}
        parts = {**own, **changes}
        account = f"{quote(parts['access'], safe='')}:{quote(parts['secret'], safe='')}"
        return f"s3+http://{account}@127.0.0.1:{self.port}/{parts['bucket']}/unit?region={parts['region']}"


@contextmanager
def s3_running() -> Iterator[S3StandIn]:
    store = S3StandIn()
    handler = type("Handler", (_Handler,), {"store": store})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        store.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield store
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    store: S3StandIn
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if key := self._key(body):
            self.store.objects[key] = body
            self._send(200, b"", ETag=f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"')

    def do_GET(self) -> None:
        key = self._key(b"")
        if key is None:
            return
        if not key:
            self._list(dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True)))
        elif key in self.store.objects:
            self._send(200, self.store.objects[key])
        else:
            self._refuse(404, "NoSuchKey")

    def do_DELETE(self) -> None:
        if key := self._key(b""):
            self.store.objects.pop(key, None)
            self._send(204, b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        self.store.requests.append(format % args)

    def _key(self, body: bytes) -> str | None:
        """The object that a permitted request is about, "" for the bucket itself; None after a refusal."""
        if self.store.fail_next:
            self._refuse(self.store.fail_next.pop(0), "InternalError")
            return None
        if problem := self._problem(body):
            self._refuse(403, problem)
            return None
        bucket, _, key = unquote(urlsplit(self.path).path).removeprefix("/").partition("/")
        if bucket != self.store.bucket:
            self._refuse(404, "NoSuchBucket")
            return None
        return key

    def _problem(self, body: bytes) -> str:
        found = _AUTHORIZATION.fullmatch(self.headers.get("Authorization", ""))
        if found is None:
            return "AccessDenied"
        access_key, day, region, names, signature = found.groups()
        date, digest = self.headers["x-amz-date"], self.headers["x-amz-content-sha256"]
        age = abs(dt.datetime.now(dt.UTC) - dt.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC))
        expected = self._signature(self._canonical(names, digest), date=date, day=day, region=region)
        wrong = {
            "InvalidAccessKeyId": access_key != self.store.access_key,
            "AuthorizationHeaderMalformed": region != self.store.region,
            "RequestTimeTooSkewed": age > _LONGEST_AGE or not date.startswith(day),
            "AccessDenied": not set(names.split(";")) >= _MUST_BE_SIGNED,
            "XAmzContentSHA256Mismatch": digest != hashlib.sha256(body).hexdigest(),
            "SignatureDoesNotMatch": not hmac.compare_digest(expected, signature),
        }
        return next((code for code, is_so in wrong.items() if is_so), "")

    def _signature(self, canonical: str, *, date: str, day: str, region: str) -> str:
        scope = f"{day}/{region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{self.store.secret_key}".encode()
        for part in (day, region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.new(key, text.encode(), "sha256").hexdigest()

    def _canonical(self, names: str, digest: str) -> str:
        parts = urlsplit(self.path)
        query = sorted(parse_qsl(parts.query, keep_blank_values=True))
        return "\n".join(
            [
                self.command,
                quote(unquote(parts.path), safe="/-_.~"),
                "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query),
                *(f"{name}:{' '.join(self.headers[name].split())}" for name in names.split(";")),
                "",
                names,
                digest,
            ]
        )

    def _list(self, asked: dict[str, str]) -> None:
        prefix, after = asked.get("prefix", ""), asked.get("continuation-token", "")
        keys = [key for key in sorted(self.store.objects) if key.startswith(prefix) and key > after]
        shown = keys[: self.store.longest_page]
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-03-01T04:00:00.000Z</LastModified><ETag>&quot;0&quot;"
            f"</ETag><Size>{len(self.store.objects[key])}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key in shown
        )
        more = len(keys) > len(shown)
        token = f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if more else ""
        body = (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{self.store.bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(shown)}</KeyCount>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{contents}</ListBucketResult>"
        )
        self._send(200, body.encode(), **{"Content-Type": "application/xml"})

    def _refuse(self, status: int, code: str) -> None:
        body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
        self._send(status, body.encode(), **{"Content-Type": "application/xml"})

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
