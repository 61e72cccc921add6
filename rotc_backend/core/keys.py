"""One secret in, every key out.

Render generates one ``DJANGO_SECRET_KEY`` of 44 characters for all four services; Django's own check wants 50 for
``SECRET_KEY``, and a key that signs tokens should not be the one that signs cookies. So each key is derived with
HKDF-SHA512 (RFC 5869) under a label of its own.
"""

import hashlib

from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SHORTEST_SECRET = 43  # 256 bits in base64 without padding
_PUBLICLY_KNOWN = ("django-insecure-", "changeme", "change-me", "secret-key", "your-secret", "insecure", "example")
_MIN_DISTINCT_CHARACTERS = 16


def secret_problem(secret: str) -> str | None:
    """What is wrong with `secret` as the root of all keys, in words for an operator, or None."""
    if not secret:
        return "is not set"
    if len(secret) < SHORTEST_SECRET:
        return f"has {len(secret)} characters, fewer than the {SHORTEST_SECRET} that hold 256 bits"
    lowered = secret.lower()
    if any(known in lowered for known in _PUBLICLY_KNOWN):
        return "is a publicly known example value"
    if len(set(secret)) < _MIN_DISTINCT_CHARACTERS:
        return "repeats a few characters, so it can be guessed"
    return None


def derived_key(*, secret: str, label: str) -> str:
    """A key of 512 bits for `label`, as 128 hexadecimal characters. Raises ValueError for an unfit secret."""
    if problem := secret_problem(secret):
        raise ValueError(f"the secret {problem}")
    return HKDF(algorithm=SHA512(), length=64, salt=None, info=label.encode()).derive(secret.encode()).hex()


def key_fingerprint(*, secret: str) -> str:
    """12 hexadecimal characters that two services can compare without telling the secret.

    Taken from a key with a label of its own, so the fingerprint says nothing about the keys in use.
    """
    return hashlib.sha256(derived_key(secret=secret, label="rgms.fingerprint").encode()).hexdigest()[:12]
