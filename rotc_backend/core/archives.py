"""Office documents as the archives that they are: looked at before any reader is let in."""

import enum
import io
import struct
import zipfile
import zlib
from typing import Final

MEBIBYTE = 1024 * 1024
_MOST_ENTRIES_BYTES = 512 * 1024  # of the directory: some thousand entries
_LARGEST_RATIO = 100
# What decoders raise for bytes that are not what their beginning promises.
UNREADABLE: Final = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError)
UNREADABLE_INSIDE: Final = (*UNREADABLE, struct.error, zlib.error, zipfile.BadZipFile, NotImplementedError)


class Flaw(enum.Enum):
    """Why an archive is not let in."""

    FOREIGN = "another kind of archive"
    DAMAGED = "damaged, or packed oddly: a bomb among others"
    LOCKED = "locked by a password"
    MACROS = "with macros"


def office_flaw(content: bytes, *, part: str, most_unpacked: int = 100 * MEBIBYTE) -> Flaw | None:
    """What is wrong with `content` as an Office Open XML document whose main part is `part`, or None."""
    if _directory_is_odd(content):
        return Flaw.DAMAGED
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _flaw_inside(archive, part=part, most_unpacked=min(most_unpacked, _most_for(content)))
    except UNREADABLE_INSIDE:
        return Flaw.DAMAGED


def _directory_is_odd(content: bytes) -> bool:
    # Its size first: zipfile would build an object for each of its entries.
    place = content.rfind(b"PK\x05\x06", -65_557)
    if place < 0 or len(content) - place < 22 or content[place - 20 : place - 16] == b"PK\x06\x07":
        return True
    return int.from_bytes(content[place + 12 : place + 16], "little") > _MOST_ENTRIES_BYTES


def _most_for(content: bytes) -> int:
    return MEBIBYTE + _LARGEST_RATIO * len(content)


def _flaw_inside(archive: zipfile.ZipFile, *, part: str, most_unpacked: int) -> Flaw | None:
    entries = {entry.filename.lower(): entry for entry in archive.infolist()}
    types = entries.get("[content_types].xml")
    if types is None or part not in entries:
        return Flaw.FOREIGN
    if any(name.rpartition("/")[2] == "vbaproject.bin" for name in entries):
        return Flaw.MACROS
    # Other packings allocate what a file asks them to, before they find out that it is damaged.
    odd = {entry.compress_type for entry in archive.infolist()} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
    doubled = len(entries) != len(archive.infolist())  # of two with one name, readers take different ones
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if odd or doubled or unpacked > most_unpacked or types.file_size > MEBIBYTE:
        return Flaw.DAMAGED
    if any(entry.flag_bits & 1 for entry in archive.infolist()):
        return Flaw.LOCKED
    return Flaw.MACROS if b"macroEnabled" in archive.read(types) else None
