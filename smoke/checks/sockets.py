from smoke import guide
from smoke.check import check
from smoke.checks.tokens import with_another_signature
from smoke.deployment import Deployment
from smoke.expectation import expect

# Nobody's: the domain is reserved for exactly this.
FOREIGN_ORIGIN = "https://foreign.example.invalid"


@check(
    id="sockets.ready",
    title="A WebSocket opens with the token that web has given, and is that person's",
    severity="critical",
    needs=["keys.same", "channels.heartbeat", "login.me_cadet"],
    next_step=guide.WEBSOCKET,
)
def socket_ready(deployment: Deployment) -> None:
    session = deployment.session("cadet")
    # Without an origin: not every client is a browser, and who may be one is sockets.front_end's question.
    socket = deployment.sockets.open(token=session.access)
    data = socket.expect_frame(type="connection.ready")["data"]
    user = data.get("user")
    expect(
        isinstance(user, dict) and user.get("username") == session.username and user.get("role") == "cadet",
        expected=f"connection.ready for {session.username}",
        came=f"for {user}",
    )
    socket.close()


@check(
    id="sockets.ping",
    title="The socket answers a ping with what the ping said",
    severity="major",
    needs=["sockets.ready"],
    next_step=guide.WEBSOCKET,
)
def socket_ping(deployment: Deployment) -> None:
    socket = deployment.sockets.open(token=deployment.token("cadet"))
    socket.expect_frame(type="connection.ready")
    echo = {"marker": deployment.marker()}
    socket.send(type="ping", data=echo)
    socket.expect_frame(type="pong", where=lambda data: data == echo)
    socket.close()


@check(
    id="sockets.bad_token",
    title="A socket with a bad token is closed with 4401 and the true reason",
    severity="critical",
    needs=["sockets.ready"],
    next_step=guide.TOKENS,
)
def socket_bad_token(deployment: Deployment) -> None:
    session = deployment.session("cadet")
    for token, reason in (
        ("undefined", "token_malformed"),
        (with_another_signature(session.access), "token_bad_signature"),
        (session.refresh, "token_wrong_type"),
    ):
        deployment.sockets.open(token=token).expect_close(code=4401, reason=reason)


@check(
    id="sockets.front_end",
    title="The front end's origin may open a WebSocket",
    severity="critical",
    # The channels service takes its origins from the web service: a wrong one there is told there.
    needs=["sockets.ready", "cors.front_end"],
    next_step=guide.CORS,
)
def socket_front_end(deployment: Deployment) -> None:
    socket = deployment.sockets.open(token=deployment.token("cadet"), origin=deployment.target.cors_origin)
    socket.expect_frame(type="connection.ready")
    socket.close()


@check(
    id="sockets.foreign_origin",
    title="A socket from a foreign web page is closed with 4403",
    severity="critical",
    needs=["sockets.ready"],
    next_step=guide.CORS,
)
def socket_foreign_origin(deployment: Deployment) -> None:
    deployment.sockets.open(token=deployment.token("cadet"), origin=FOREIGN_ORIGIN).expect_close(code=4403)
