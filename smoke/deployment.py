import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from smoke.expectation import Mismatch
from smoke.journal import Entry, Journal, journal_directory
from smoke.redaction import Redaction
from smoke.sockets import Sockets
from smoke.target import Target
from smoke.transport import Answer, Web, WritePermission

API = "/api/v1"
PAGE_SIZE = 100
# Newest first: what a run left lies in front, unless that person got thousands of notifications since.
MOST_PAGES = 20

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Session:
    """One signed-in session of one of the suite's accounts."""

    role: str
    username: str
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    user: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Notification:
    id: int
    location: str
    correlation_id: str
    request_id: str | None


class Deployment:
    """The deployment under judgement, as every check gets it.

    What costs a request and does not change is asked once.
    """

    def __init__(self, *, target: Target, redaction: Redaction, run_id: str) -> None:
        self.target = target
        self.run_id = run_id
        self.permission = WritePermission(why_not=target.why_not_write)
        self._redaction = redaction
        for account in target.credentials.values():
            redaction.learn(secret=account.password)
        self.web = Web(base_url=target.base_url, permission=self.permission, redaction=redaction, run_id=run_id)
        self.channels = Web(
            base_url="http" + target.channels_url.removeprefix("ws"),
            permission=self.permission,
            redaction=redaction,
            run_id=run_id,
        )
        self.sockets = Sockets(channels_url=target.channels_url, redaction=redaction, run_id=run_id)
        self.journal = Journal(
            directory=journal_directory(environment=os.environ), run_id=run_id, base_url=target.base_url
        )
        self._sessions: dict[str, Session] = {}
        self._opened: list[Session] = []
        self._answers: dict[str, Answer] = {}
        self._markers = 0

    # What the services say of themselves
    # -------------------------------------------------------------------------

    def health(self) -> Answer:
        """Web's health as it was at the start of the run. 503 is an answer."""
        return self._once("health", lambda: self.web.get("/api/health/"))

    @property
    def asked_health(self) -> Answer | None:
        """Web's health if the run has asked for it and got an answer."""
        return self._answers.get("health")

    def channels_health(self) -> Answer:
        """The channels service's health as it was at the start of the run."""
        return self._once("channels", lambda: self.channels.get("/api/health/"))

    def status(self) -> Answer:
        """What an admin may know of the deployment: `operations/status`."""
        return self._once("status", lambda: self.web.get(f"{API}/operations/status", token=self.token("admin")))

    def forget(self) -> None:
        """Ask again for what was asked once."""
        self._answers.clear()

    def running(self, *, answer: Answer) -> dict[str, dict[str, Any]]:
        """Those `processes` of an answer of health or status whose heartbeat is fresh, by service name."""
        return {
            name: process
            for name, process in answer.mapping("processes").items()
            if isinstance(process, dict) and process.get("state") == "running"
        }

    # Accounts
    # ----------------------------------------------------------------------------------------------------

    def sign_in(self, role: str, *, path: str = f"{API}/auth/login") -> Session:
        """Open a session with the guide's request. Raises Mismatch unless it answers 200 with both tokens."""
        account = self.target.credentials[role]
        answer = self.web.post(path, json={"username": account.username, "password": account.password})
        answer.expect_status(200)
        session = Session(
            role=role,
            username=account.username,
            access=str(answer.at("access")),
            refresh=str(answer.at("refresh")),
            user=answer.mapping("user"),
        )
        self._redaction.learn(secret=session.access)
        self._redaction.learn(secret=session.refresh)
        self._opened.append(session)
        return session

    def session(self, role: str, *, path: str = f"{API}/auth/login") -> Session:
        """The session that all checks of this role share; opened by the first that asks."""
        if role not in self._sessions:
            self._sessions[role] = self.sign_in(role, path=path)
        return self._sessions[role]

    def token(self, role: str) -> str:
        return self.session(role).access

    # What the run creates
    # ----------------------------------------------------------------------------------------

    def marker(self) -> str:
        """A new correlation id of at most 64 characters that carries the run id."""
        self._markers += 1
        return f"{self.run_id}-{self._markers}"

    def notify(self, *, recipient: str, title: str, body: str) -> Notification:
        """Create a notification as the admin, journaled first. Raises Mismatch unless it answers 201."""
        entry = self.journal.intend(kind="notification", marker=self.marker())
        answer = self.web.post(
            f"{API}/notifications",
            json={"recipient": recipient, "title": title, "body": body, "correlation_id": entry.marker},
            token=self.token("admin"),
        )
        answer.expect_status(201)
        identifier = answer.at("id")
        answer.expect(isinstance(identifier, int), expected="a numeric id", came=f"{identifier!r}")
        location = f"{API}/notifications/{identifier}"
        self.journal.created(entry, location=location)
        return Notification(id=identifier, location=location, correlation_id=entry.marker, request_id=answer.request_id)

    def clean_up(self) -> list[str]:
        """Remove what this run and ended ones journaled, newest first; return the locations of what remains.

        Returns at once if nothing was ever created. Raises Mismatch if the deployment does not answer.
        """
        with self.journal.leftovers() as leftovers:
            if self.target.why_not_write is not None:
                return []
            pending = [entry for entry in [*leftovers, *self.journal.entries] if not entry.removed]
            if not pending:
                return []
            for entry in reversed(pending):
                self._remove(entry)
            remaining = self._find(markers={entry.marker for entry in pending})
            for entry in pending:
                if entry.marker not in remaining:
                    self.journal.removed(entry)
            return sorted(remaining.values())

    def _remove(self, entry: Entry) -> None:
        locations = [entry.location] if entry.location else list(self._find(markers={entry.marker}).values())
        for location in locations:
            # 404: the check that created it has removed it, or somebody else has.
            self.web.request("DELETE", location, token=self.token("admin")).expect_status(204, 404)

    def _find(self, *, markers: set[str]) -> dict[str, str]:
        """Ask the deployment which of `markers` it still holds; gives marker → location."""
        found: dict[str, str] = {}
        for page in range(1, MOST_PAGES + 1):
            answer = self.web.get(
                f"{API}/notifications?page={page}&page_size={PAGE_SIZE}", token=self.token("cadet")
            ).expect_status(200)
            rows = answer.rows("results")
            for row in rows:
                if row.get("correlation_id") in markers:
                    found[row["correlation_id"]] = f"{API}/notifications/{row['id']}"
            if len(rows) < PAGE_SIZE:
                break
        return found

    # The end
    # -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close sockets, sign out of every session that the run opened, and let go of the connections."""
        self.sockets.close()
        for session in reversed(self._opened):
            try:
                self.web.post(f"{API}/auth/logout", token=session.access)
            except Mismatch:
                # The service went away; its sessions expire by themselves.
                break
        self._opened.clear()
        self.journal.close()
        self.web.close()
        self.channels.close()

    def _once(self, name: str, ask: Callable[[], Answer]) -> Answer:
        if name not in self._answers:
            self._answers[name] = ask()
        return self._answers[name]


def until(*, seconds: float, every: float, ask: Callable[[], Found | None]) -> Found | None:
    """Call `ask` until it gives something other than None, for at most `seconds`.

    Gives None when time is up.
    """
    deadline = time.monotonic() + seconds
    while True:
        result = ask()
        if result is not None or time.monotonic() >= deadline:
            return result
        time.sleep(every)
