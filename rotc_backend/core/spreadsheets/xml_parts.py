"""XML of strangers, read in pieces: what a reader keeps is all that it costs, however the file was made.

No tree is built, no names are resolved, and nothing of what XML could do beyond elements and text is let in. Measured:
with a library that builds trees, 700 KB of a hostile workbook took 3.7 GB.
"""

from collections.abc import Iterator
from typing import IO, Protocol
from xml.parsers import expat

from core.archives import UNREADABLE_INSIDE

_PIECE = 65_536  # bytes
_LONGEST_TAG = 8 * _PIECE  # a tag is looked at anew with each piece until its end is there
_DEEPEST = 100
_MOST_NAMES = 4_096  # expat never forgets a name


class Damaged(Exception):
    """This part cannot be read, or not without harm."""


class Listener(Protocol):
    """Is told of elements and text; names come without their prefix. Raises Damaged for what cannot be."""

    done: bool  # nothing more is wanted

    def opened(self, name: str, attributes: dict[str, str]) -> None: ...

    def closed(self, name: str) -> None: ...

    def said(self, text: str) -> None: ...


class _Bounded:
    """Stands between the parser and the listener: depth, names, and what a document type could declare."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._depth = 0
        self._names: dict[str, str] = {}
        # Its own handling of namespaces would keep every prefix: they are cut off here instead.
        self.parser = expat.ParserCreate(None, None, self._names)
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._opened
        self.parser.EndElementHandler = self._closed
        self.parser.CharacterDataHandler = listener.said
        self.parser.StartDoctypeDeclHandler = self._declared
        self._fed = 0

    def feed(self, piece: bytes) -> None:
        self.parser.Parse(piece)
        self._fed += len(piece)
        if self._fed - self.parser.CurrentByteIndex > _LONGEST_TAG or len(self._names) > _MOST_NAMES:
            raise Damaged

    def _opened(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Damaged
        if not self._listener.done:
            self._listener.opened(name.rpartition(":")[2], attributes)

    def _closed(self, name: str) -> None:
        self._depth -= 1
        if not self._listener.done:
            self._listener.closed(name.rpartition(":")[2])

    def _declared(self, *_: object) -> None:
        raise Damaged  # Office Open XML has no document type, and without one there are no entities


def listened(source: IO[bytes], listener: Listener) -> Iterator[None]:
    """Tell `listener` of all that `source` holds, and stop after each piece, so that its caller can take what came.

    Raises Damaged.
    """
    bounded = _Bounded(listener)
    try:
        while piece := source.read(_PIECE):
            if not listener.done:  # to the end all the same: only there the archive knows whether the part is sound
                bounded.feed(piece)
                yield
        if not listener.done:
            bounded.parser.Parse(b"", True)
            yield
    except (expat.ExpatError, *UNREADABLE_INSIDE) as error:
        raise Damaged from error
