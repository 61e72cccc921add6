"""Password hashers for tests that want to see one at work; named in PASSWORD_HASHERS."""

from collections.abc import Callable
from typing import ClassVar

from django.contrib.auth.hashers import MD5PasswordHasher


class WatchedHasher(MD5PasswordHasher):
    """Counts what it hashes, and calls `after_verify` when it has compared a password."""

    algorithm = "watched"
    hashed: ClassVar[list[str]] = []
    after_verify: ClassVar[list[Callable[[], None]]] = []

    def encode(self, password: str, salt: str) -> str:
        self.hashed.append(password)
        return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        matches = super().verify(password, encoded)
        while self.after_verify:
            self.after_verify.pop()()
        return matches


WATCHED = [f"{WatchedHasher.__module__}.{WatchedHasher.__qualname__}"]
