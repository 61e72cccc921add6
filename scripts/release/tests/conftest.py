import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = tuple[int, str]
Listen = Callable[..., str]


def health(*, version: str = "1.0.0", commit: str | None = "0123456789abcdef", status: int = 200) -> Answer:
    """An answer of health by a release."""
    return status, json.dumps({"status": "healthy", "version": version, "commit": commit})


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Start a server that gives the answers one after the other, the last one for ever; returns its address.

    `connections` collects the client's port of each request.
    """
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(
        *answers: Answer, connections: list[int] | None = None, certificate: Path | None = None, port: int = 0
    ) -> str:
        waiting = list(answers)
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with lock:
                    status, text = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                    if connections is not None:
                        connections.append(self.client_address[1])
                content = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's signature
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that refuses the certificate is what the test is about."""

        server = Server(("127.0.0.1", port), Handler)
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            # Without a handshake in accept(), which would hold up the accepting thread.
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            scheme = "https"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        running.append((server, thread))
        return f"{scheme}://127.0.0.1:{server.server_address[1]}"

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that accepts connections and never says anything."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=50)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


@pytest.fixture
def free_port() -> int:
    """A port where nothing listens. Held open by nobody, so a test must use it at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def self_signed(tmp_path: Path) -> Path:
    """Key and certificate, signed by nobody whom anybody knows, for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "self-signed.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture
def plain_environment(tmp_path: Path) -> dict[str, str]:
    """This process's environment without accounts or a target."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("SMOKE_", "PYTEST_"))}
