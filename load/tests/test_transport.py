"""HTTP as the generator speaks it, over real sockets; gevent without monkey-patching, the server in a thread."""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gevent
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from load.generator.plan import Credentials
from load.generator.sessions import Sessions, SignInError
from load.generator.transport import Transport, UnansweredError
from load.results import Owner
from load.tests.fault_server import Faults, FaultServer

Talk = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Twice: a\r\nX-Twice: b\r\n\r\n{}"


def request_read(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        block = connection.recv(4096)
        if not block:
            return received
        received += block
    return received


@contextmanager
def listening(talk: Talk, *, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve each connection with `talk` in a thread of its own."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        try:
            with connection if context is None else context.wrap_socket(connection, server_side=True) as one:
                talk(one)
        except OSError:
            pass  # the client went away, which some tests are about

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def transport(port: int, *, scheme: str = "http", timeout: float = 1.0, host: str = "127.0.0.1") -> closing[Transport]:
    return closing(Transport(base_url=f"{scheme}://{host}:{port}", timeout_seconds=timeout, connections=4))


def failure(
    port: int, *, scheme: str = "http", timeout: float = 1.0, host: str = "127.0.0.1"
) -> tuple[Owner, str, bool]:
    with (
        transport(port, scheme=scheme, timeout=timeout, host=host) as client,
        pytest.raises(UnansweredError) as raised,
    ):
        client.exchange(method="GET", path="/")
    told = raised.value.failure
    return told.owner, told.kind, told.unanswered


def test_repeated_headers_are_joined_and_names_are_in_lower_case() -> None:
    def talk(connection: socket.socket) -> None:
        request_read(connection)
        connection.sendall(OK)

    with listening(talk) as port, transport(port) as client:
        answer = client.exchange(method="GET", path="/")
    assert (answer.status, answer.headers["x-twice"], answer.document()) == (200, "a, b", {})


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    asked: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        while request := request_read(connection):
            asked.append(request)
            connection.sendall(b"HTTP/1.1 301 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")

    with listening(talk) as port, transport(port) as client:
        assert client.exchange(method="GET", path="/").status == 301
    assert len(asked) == 1


def test_nothing_listening_is_the_applications_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert failure(port) == (Owner.APPLICATION, "connection refused", False)


# Reaches this machine and is none of the loopback names, as a deployment behind an edge is none.
ELSEWHERE = "0.0.0.0"  # noqa: S104 - asked, not listened on


def silent(connection: socket.socket) -> None:
    request_read(connection)
    time.sleep(1)


def test_off_loopback_what_never_connected_is_the_clients_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert failure(port, host=ELSEWHERE) == (Owner.CLIENT, "connection refused", False)
    with listening(silent) as port:
        # No TLS comes about with a server that says nothing: neither does a connection.
        assert failure(port, host=ELSEWHERE, scheme="https", timeout=0.3) == (
            Owner.CLIENT, "no connection in time", False,
        )  # fmt: skip
        assert failure(port, scheme="https", timeout=0.3) == (Owner.APPLICATION, "no answer in time", True)


def test_off_loopback_what_connected_and_was_not_answered_is_the_applications_failure() -> None:
    with listening(silent) as port:
        assert failure(port, host=ELSEWHERE, timeout=0.3) == (Owner.APPLICATION, "no answer in time", True)


def test_waiting_for_a_connection_of_the_pool_is_waiting_for_the_application() -> None:
    with listening(silent) as port:
        client = Transport(base_url=f"http://{ELSEWHERE}:{port}", timeout_seconds=0.5, connections=1)
        asked = [gevent.spawn(owner_of_failure, client) for _ in range(2)]
        gevent.joinall(asked)
        client.close()
    assert [one.value for one in asked] == [Owner.APPLICATION, Owner.APPLICATION]


def owner_of_failure(client: Transport) -> Owner:
    with pytest.raises(UnansweredError) as raised:
        client.exchange(method="GET", path="/", timeout_seconds=0.3)
    return raised.value.failure.owner


def test_an_answer_that_drips_without_end_is_no_answer_in_time() -> None:
    def talk(connection: socket.socket) -> None:
        request_read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    with listening(talk) as port:
        started = time.monotonic()
        assert failure(port, timeout=0.4) == (Owner.APPLICATION, "no answer in time", True)
    assert time.monotonic() - started < 1.5


def test_an_answer_that_is_not_http_is_the_applications_failure() -> None:
    def talk(connection: socket.socket) -> None:
        request_read(connection)
        connection.sendall(b"SSH-2.0-nonsense\r\n\r\n")

    with listening(talk) as port:
        assert failure(port) == (Owner.APPLICATION, "answer is not HTTP", False)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_busy_connection_that_closes_without_an_answer_is_not_tried_again(method: str) -> None:
    asked: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        asked.append(request_read(connection))
        connection.sendall(OK)
        asked.append(request_read(connection))

    with listening(talk) as port, transport(port) as client:
        client.exchange(method="GET", path="/")
        with pytest.raises(UnansweredError) as raised:
            client.exchange(method=method, path="/")
        assert raised.value.failure.kind == "connection closed without an answer"
    assert len(asked) == 2


def test_an_idle_connection_that_closes_under_a_read_is_tried_once_more() -> None:
    connections: list[int] = []

    def talk(connection: socket.socket) -> None:
        connections.append(1)
        request_read(connection)
        connection.sendall(OK)
        if len(connections) == 1:
            request_read(connection)
        else:
            while request_read(connection):
                connection.sendall(OK)

    with listening(talk) as port, transport(port, timeout=5) as client:
        client.exchange(method="GET", path="/")
        time.sleep(1.1)
        assert client.exchange(method="GET", path="/").status == 200
    assert len(connections) == 2


def test_a_certificate_that_nobody_signed_is_refused_and_is_the_clients_failure(tmp_path: Path) -> None:
    def talk(connection: socket.socket) -> None:
        request_read(connection)
        connection.sendall(OK)

    with listening(talk, context=self_signed(tmp_path)) as port:
        assert failure(port, scheme="https", timeout=5) == (Owner.CLIENT, "TLS failed", False)


def self_signed(directory: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    file = directory / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


# --- sessions --------------------------------------------------------------------------------------------


@contextmanager
def sessions(server: FaultServer) -> Iterator[Sessions]:
    credentials = {"admin": Credentials("admin", server.passwords["admin"])}
    client = Transport(base_url=server.base_url, timeout_seconds=2, connections=4)
    with closing(client):
        yield Sessions(transport=client, credentials=credentials)


def test_tokens_are_renewed_and_the_old_refresh_token_is_not_used_twice() -> None:
    with FaultServer() as server, sessions(server) as signed_in:
        signed_in.sign_in()
        first = signed_in.tokens["admin"]
        assert signed_in.refresh() == []
        second = signed_in.tokens["admin"]
        assert signed_in.refresh() == []
        assert len({first, second, signed_in.tokens["admin"]}) == 3
        assert server.logins == {"admin": 1}


def test_a_renewal_that_fails_is_told_without_a_token_and_keeps_the_old_one() -> None:
    with FaultServer() as server, sessions(server) as signed_in:
        signed_in.sign_in()
        before = signed_in.tokens["admin"]
        server.forget_refresh_tokens()
        (trouble,) = signed_in.refresh()
        assert trouble.startswith("the token of admin was not renewed: HTTP 401 token_revoked")
        assert signed_in.tokens["admin"] == before
        assert not any(token in trouble for token in server.issued)


def test_a_refused_sign_in_names_the_account_and_never_the_password() -> None:
    with FaultServer(Faults(refuse_sign_in=True)) as server, sessions(server) as refused:
        with pytest.raises(SignInError, match="admin could not sign in: HTTP 401 credentials_wrong") as raised:
            refused.sign_in()
        assert server.passwords["admin"] not in str(raised.value)
    assert "word" not in repr(Credentials("admin", "password"))
