from smoke import guide
from smoke.check import check
from smoke.deployment import API, Deployment
from smoke.expectation import Mismatch, expect
from smoke.sockets import Frame, Socket

# Longer than the second in which every hub looks at the log without being woken: a second copy would have
# come.
SETTLE_SECONDS = 1.3


def copies(frames: list[Frame], *, correlation_id: str) -> list[Frame]:
    return [
        frame
        for frame in frames
        if frame.get("type") == "notification.created"
        and isinstance(frame.get("data"), dict)
        and frame["data"].get("correlation_id") == correlation_id
    ]


def open_socket(deployment: Deployment, *, role: str) -> Socket:
    socket = deployment.sockets.open(token=deployment.token(role))
    socket.expect_frame(type="connection.ready")
    return socket


@check(
    id="notifications.delivered",
    title="A notification sent over HTTP reaches the socket of exactly its cadet, exactly once",
    severity="critical",
    needs=["sockets.ready", "redis.shared", "database.shared", "login.me_admin"],
    writes=True,
    next_step=guide.EVENTS,
)
def delivered_once(deployment: Deployment) -> None:
    cadet, admin = open_socket(deployment, role="cadet"), open_socket(deployment, role="admin")
    notification = deployment.notify(
        recipient=deployment.session("cadet").username,
        title="Smoke check",
        body="Sent and removed by the check of a release.",
    )
    marker = notification.correlation_id
    try:
        frame = cadet.expect_frame(type="notification.created", where=lambda data: data.get("correlation_id") == marker)
    except Mismatch as mismatch:
        mismatch.expected += f" with correlation id {marker}"
        mismatch.request_id = notification.request_id
        raise
    expect(
        frame["data"].get("id") == notification.id and frame["data"].get("title") == "Smoke check",
        expected=f"the event of notification {notification.id}",
        came=f"{frame['data']}",
        request_id=notification.request_id,
    )
    seen = len(copies(cadet.listen(seconds=SETTLE_SECONDS), correlation_id=marker))
    expect(
        seen == 1,
        expected=f"the event {marker} once",
        came=f"{seen} times",
        request_id=notification.request_id,
    )
    strays = copies(admin.listen(seconds=0), correlation_id=marker)
    expect(
        not strays,
        expected=f"the event {marker} on its cadet's socket only",
        came="on the admin's socket too",
        request_id=notification.request_id,
    )
    cadet.close()
    admin.close()


@check(
    id="notifications.listed",
    title="A new notification is in its cadet's list at once, in nobody else's, and gone when removed",
    severity="major",
    needs=["login.me_cadet", "login.me_admin"],
    writes=True,
    next_step=guide.CACHE,
)
def listed(deployment: Deployment) -> None:
    def ids(role: str) -> set[object]:
        answer = deployment.web.get(f"{API}/notifications?page=1&page_size=50", token=deployment.token(role))
        return {row.get("correlation_id") for row in answer.expect_status(200).rows("results")}

    # Read first, so that what is read afterwards would be a stale copy if the write forgot the cache.
    ids("cadet")
    notification = deployment.notify(
        recipient=deployment.session("cadet").username,
        title="Smoke check",
        body="Listed and removed by the check of a release.",
    )
    marker = notification.correlation_id
    request_id = notification.request_id
    expect(
        marker in ids("cadet"),
        expected=f"{marker} in the cadet's list",
        came="not there",
        request_id=request_id,
    )
    expect(
        marker not in ids("admin"),
        expected=f"{marker} not in the admin's list",
        came="there",
        request_id=request_id,
    )
    deployment.web.request("DELETE", notification.location, token=deployment.token("admin")).expect_status(204)
    expect(
        marker not in ids("cadet"),
        expected=f"{marker} gone once removed",
        came="still listed",
        request_id=request_id,
    )
