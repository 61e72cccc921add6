"""Signing in once per account, staying signed in, and signing out."""

from load.generator.plan import Credentials
from load.generator.transport import Answer, Transport, UnansweredError


class SignInError(RuntimeError):
    """An account could not sign in; the message never holds a password or a token."""


class Sessions:
    """The sessions of one run. `tokens` maps an account to its present access token."""

    def __init__(self, *, transport: Transport, credentials: dict[str, Credentials]) -> None:
        self._transport = transport
        self._credentials = credentials
        self._refresh: dict[str, str] = {}
        self.tokens: dict[str, str] = {}

    def username(self, account: str) -> str:
        return self._credentials[account].username

    def sign_in(self) -> None:
        """Sign every account in, once.

        Raises:
            SignInError: naming the account and what the service answered.
        """
        for account, credentials in self._credentials.items():
            try:
                answer = self._transport.exchange(
                    method="POST",
                    path="/api/v1/auth/login",
                    document={"username": credentials.username, "password": credentials.password},
                    timeout_seconds=5,
                )
            except UnansweredError as error:
                raise SignInError(f"{account} could not sign in: {error.failure.kind}") from None
            if not self._take(account, answer):
                raise SignInError(f"{account} could not sign in: {answer_words(answer)}")

    def refresh(self) -> list[str]:
        """Renew every token; returns what went wrong in words. A failed renewal keeps the old token."""
        troubles = []
        for account in list(self._refresh):
            try:
                answer = self._transport.exchange(
                    method="POST",
                    path="/api/v1/auth/refresh",
                    document={"refresh": self._refresh[account]},
                    timeout_seconds=5,
                )
            except UnansweredError as error:
                troubles.append(f"the token of {account} was not renewed: {error.failure.kind}")
                continue
            if not self._take(account, answer):
                troubles.append(f"the token of {account} was not renewed: {answer_words(answer)}")
        return troubles

    def sign_out(self) -> None:
        """End every session; a service that does not answer ends them by itself in time."""
        for token in self.tokens.values():
            try:
                self._transport.exchange(method="POST", path="/api/v1/auth/logout", token=token, timeout_seconds=2)
            except UnansweredError:
                return

    def _take(self, account: str, answer: Answer) -> bool:
        document = answer.document() or {}
        access, refresh = document.get("access"), document.get("refresh")
        if answer.status != 200 or not isinstance(access, str) or not isinstance(refresh, str):
            return False
        self.tokens[account], self._refresh[account] = access, refresh
        return True


def answer_words(answer: Answer) -> str:
    """Status, problem code and request id of an answer; never its body, which may hold a token."""
    code = (answer.document() or {}).get("code")
    lookup = answer.headers.get("x-request-id")
    words = f"HTTP {answer.status}"
    if isinstance(code, str):
        words += f" {code[:40]}"
    return f"{words}, request id {lookup[:64]}" if lookup else words
