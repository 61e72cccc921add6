"""Encryption of backups, in chunks, so that no more than one has to be in memory, and none can be changed unseen.

Each backup has a key of its own, derived from BACKUP_ENCRYPTION_KEY and a random salt (HKDF-SHA256). A chunk is sealed
with AES-256-GCM; its nonce is the chunk's number and whether it is the last one, as in the STREAM construction (Hoang,
Reyhanitabar, Rogaway, Vizár 2015). So a chunk that was changed, left out, repeated or moved does not open, nor does a
backup whose end is missing, nor a chunk of another backup.
"""

import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from apps.operations.services.backups.errors import Untrusted
from core.keys import key_fingerprint

CHUNK_BYTES = 256 * 1024
SALT_BYTES = 32
TAG_BYTES = 16
_DATA, _MANIFEST = b"rgms.backup.1.data", b"rgms.backup.1.manifest"


@dataclass(frozen=True, kw_only=True, repr=False)
class Key:
    """One of BACKUP_ENCRYPTION_KEY. `name` tells it from others and says nothing about it."""

    name: str
    secret: str

    def derived(self, *, salt: bytes, label: bytes) -> bytes:
        return HKDF(algorithm=SHA256(), length=32, salt=salt, info=label).derive(self.secret.encode())


def keys_of(secrets: Sequence[str]) -> list[Key]:
    return [Key(name=key_fingerprint(secret=secret), secret=secret) for secret in secrets]


def _nonce(number: int, *, last: bool) -> bytes:
    return struct.pack(">QxxxB", number, last)


class Sealer:
    """Seals chunks in their order. `backup_id` is bound to each of them."""

    def __init__(self, *, key: Key, salt: bytes, backup_id: str) -> None:
        self._cipher = AESGCM(key.derived(salt=salt, label=_DATA))
        self._bound = backup_id.encode()
        self._number = 0

    def seal(self, chunk: bytes, *, last: bool) -> bytes:
        """The chunk as it is stored: its length in four bytes, then the cipher text with its tag."""
        sealed = self._cipher.encrypt(_nonce(self._number, last=last), chunk, self._bound)
        self._number += 1
        return struct.pack(">I", len(sealed)) + sealed


class Opener:
    """Opens what a Sealer has sealed, in the same order. Raises Untrusted."""

    def __init__(self, *, key: Key, salt: bytes, backup_id: str) -> None:
        self._cipher = AESGCM(key.derived(salt=salt, label=_DATA))
        self._bound = backup_id.encode()
        self._number = 0

    def open_part(self, part: bytes, *, last: bool) -> list[bytes]:
        """The chunks of a part. `last`: its last chunk must be the backup's last one."""
        chunks = []
        place = 0
        while place < len(part):
            if len(part) - place < 4 + TAG_BYTES:
                raise Untrusted("A part of the backup ends in the middle of a chunk. Take another backup.")
            (length,) = struct.unpack_from(">I", part, place)
            end = place + 4 + length
            if not TAG_BYTES <= length <= CHUNK_BYTES + TAG_BYTES or end > len(part):
                raise Untrusted("A part of the backup ends in the middle of a chunk. Take another backup.")
            try:
                nonce = _nonce(self._number, last=last and end == len(part))
                chunks.append(self._cipher.decrypt(nonce, part[place + 4 : end], self._bound))
            except InvalidTag:
                raise Untrusted(
                    f"Chunk {self._number + 1} of the backup has been changed, moved or cut off. Take another backup."
                ) from None
            self._number += 1
            place = end
        return chunks


def manifest_code(content: bytes, *, key: Key, salt: bytes) -> str:
    """The authentication code of a manifest (HMAC-SHA256), in hexadecimal characters."""
    return hmac.new(key.derived(salt=salt, label=_MANIFEST), content, hashlib.sha256).hexdigest()


def manifest_code_fits(content: bytes, code: str, *, key: Key, salt: bytes) -> bool:
    return hmac.compare_digest(manifest_code(content, key=key, salt=salt).encode(), code.encode())
