"""From rows to parts and back, holding no more than one part in memory.

rows → records → zlib → chunks of 256 KiB, sealed → parts of 8 MiB → the place
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from apps.operations.services.backups.errors import Untrusted
from apps.operations.services.backups.manifests import Manifest, Part
from apps.operations.services.backups.places import Place
from apps.operations.services.backups.sealing import CHUNK_BYTES, Opener, Sealer

PART_BYTES = 8 * 1024 * 1024  # below the limit that Cloudinary's smallest plan sets for a file
_LEVEL = 6
_TABLE, _ROWS, _END = b"T", b"R", b"E"
_HEAD = struct.Struct(">cI")
_LARGEST_RECORD = 64 * 1024 * 1024  # a row comes in one piece, and the largest value that we store is a file of 10 MB


class BackupWriter:
    """Takes tables and their rows; `close` has stored everything and tells the parts."""

    def __init__(self, *, place: Place, folder: str, sealer: Sealer) -> None:
        self._place, self._folder, self._sealer = place, folder, sealer
        self._deflate = zlib.compressobj(_LEVEL)
        self._deflated = bytearray()
        self._part = bytearray()
        self.parts: list[Part] = []

    def table(self, *, name: str, columns: list[str]) -> None:
        self._record(_TABLE, json.dumps({"table": name, "columns": columns}).encode())

    def rows(self, block: bytes) -> None:
        self._record(_ROWS, block)

    def close(self) -> list[Part]:
        self._record(_END, b"")
        self._deflated += self._deflate.flush()
        self._seal(all_of_it=True)
        self._store()
        return self.parts

    def _record(self, kind: bytes, content: bytes) -> None:
        self._deflated += self._deflate.compress(_HEAD.pack(kind, len(content)))
        self._deflated += self._deflate.compress(content)
        # One chunk stays back: the last one is sealed as such, and which one that is only the end shows.
        if len(self._deflated) > CHUNK_BYTES:
            self._seal(all_of_it=False)

    def _seal(self, *, all_of_it: bool) -> None:
        while len(self._deflated) > CHUNK_BYTES:
            self._put(bytes(self._deflated[:CHUNK_BYTES]), last=False)
            del self._deflated[:CHUNK_BYTES]
        if all_of_it:
            self._put(bytes(self._deflated), last=True)
            self._deflated.clear()

    def _put(self, chunk: bytes, *, last: bool) -> None:
        sealed = self._sealer.seal(chunk, last=last)
        if len(self._part) + len(sealed) > PART_BYTES:
            self._store()
        self._part += sealed

    def _store(self) -> None:
        content = bytes(self._part)
        self._part.clear()
        part = Part(
            name=f"{len(self.parts) + 1:05d}.part", bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
        )
        self._place.put(self._folder + part.name, content)
        self.parts.append(part)


def records(manifest: Manifest, *, place: Place, opener: Opener) -> Iterator[tuple[str, Any]]:
    """("table", {"table": …, "columns": […]}) and ("rows", bytes), in the order in which they were written.

    Raises Untrusted as soon as something is not as it was written. What was handed out before is genuine, but the
    whole is so only when the iterator has ended.
    """
    ended = False
    pending = bytearray()
    for piece in _inflated(_chunks(manifest, place=place, opener=opener)):
        pending += piece
        while len(pending) >= _HEAD.size and not ended:
            kind, length = _HEAD.unpack_from(pending)
            if length > _LARGEST_RECORD:
                raise Untrusted("The backup does not hold records of this format. Take another one.")
            if len(pending) < _HEAD.size + length:
                break
            content = bytes(pending[_HEAD.size : _HEAD.size + length])
            del pending[: _HEAD.size + length]
            if kind == _TABLE:
                yield "table", json.loads(content)
            elif kind == _ROWS:
                yield "rows", content
            elif kind == _END:
                ended = True
            else:
                raise Untrusted("The backup does not hold records of this format. Take another one.")
    if pending or not ended:
        raise Untrusted("The backup does not come to its end as it was written. Take another one.")


def _chunks(manifest: Manifest, *, place: Place, opener: Opener) -> Iterator[bytes]:
    for number, part in enumerate(manifest.parts, start=1):
        try:
            content = place.get(manifest.folder() + part.name)
        except FileNotFoundError:
            raise Untrusted(
                f"Part {number} of {len(manifest.parts)} of the backup is missing. Take another one."
            ) from None
        if len(content) != part.bytes or hashlib.sha256(content).hexdigest() != part.sha256:
            raise Untrusted(f"Part {number} of {len(manifest.parts)} of the backup has been changed. Take another one.")
        yield from opener.open_part(content, last=number == len(manifest.parts))


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj()
    try:
        for chunk in chunks:
            waiting = chunk
            while waiting:
                yield inflate.decompress(waiting, CHUNK_BYTES)
                waiting = inflate.unconsumed_tail
        yield inflate.flush()
    except zlib.error:
        raise Untrusted("The backup cannot be unpacked. Take another one.") from None
    if not inflate.eof or inflate.unused_data:
        raise Untrusted("The backup does not come to its end as it was written. Take another one.")
