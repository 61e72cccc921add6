"""Files that people send: judged by their content, never by their name, and kept in the media storage.

in the request    size, kind and structure (`image_checked`, `document_checked`): what is none is refused at once, and
                  nothing is decoded
in the worker     a picture is decoded and written anew (`image_reencoded`), so nothing of the sent bytes is kept: no
                  place where it was taken, no thumbnail, no trailing archive

Nobody looks for viruses: a PDF or a DOCX reaches its reader as it was sent, as a download that no page can run.

Decoding is bounded in memory. A service has 512 MB, and no picture may take more than some 110 of them:

    one picture at a time on the machine, whichever worker has it
    baseline JPEG      decoded at 1/2, 1/4 or 1/8 of its size (libjpeg's own scaling): large photos cost little
    PNG                decoded whole: 4 bytes a pixel, and as many again where white is put behind it
    progressive JPEG   the coefficients of the whole picture are kept while it is read: 2 bytes a pixel and colour
    WebP               some 19 bytes a pixel, since its decoder keeps several copies; no animations
"""

import contextlib
import fcntl
import io
import logging
import os
import secrets
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.http import FileResponse, HttpResponseRedirect
from django.utils.http import content_disposition_header

from core.archives import MEBIBYTE, UNREADABLE, UNREADABLE_INSIDE, Flaw, office_flaw
from core.errors import ContentTooLarge, DomainError, FieldError, NotFound, Unavailable, ValidationFailed

if TYPE_CHECKING:
    from PIL import Image

    Upload: TypeAlias = File[bytes]
else:
    Upload = File  # at run time Django's class takes no argument

logger = logging.getLogger("rgms.uploads")

LARGEST_IMAGE = 10 * MEBIBYTE
LARGEST_DOCUMENT = 20 * MEBIBYTE
LONGEST_SIDE = 1600  # pixels of a stored photo
LONGEST_SIDE_OF_DOCUMENT = 2400  # a photographed letter has to stay legible
MOST_PIXELS = 80_000_000  # of a baseline JPEG, which is decoded at a fraction of its size
MOST_PIXELS_WHOLE = 12_500_000  # of what is decoded or kept whole: PNG, and JPEG of three colours in several scans
MOST_PIXELS_WEBP = 4_500_000
_QUALITY = 85

JPEG, PNG, WEBP = "JPEG", "PNG", "WEBP"
_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_FLAWS_OF_DOCX = {
    Flaw.FOREIGN: ("file_type", "This archive is no DOCX. Send a PDF, a picture or a DOCX."),
    Flaw.DAMAGED: ("file_malformed", "The DOCX is damaged or packed oddly. Save it anew, or send a PDF."),
    Flaw.LOCKED: ("file_type", "The DOCX is locked by a password. Remove it, or send a PDF."),
    Flaw.MACROS: ("file_type", "The document holds macros. Save it as DOCX without them, or send a PDF."),
}

LONGEST_WAIT = 20.0  # seconds for the picture before this one
_MOST_CHUNKS = 20_000  # of a PNG that are walked through
_HEADER_JUNK = 65_536  # bytes between the markers of a JPEG
_MARKERS_ALONE = {bytes([kind]) for kind in (0x00, 0x01, *range(0xD0, 0xD9))}  # of a JPEG: nothing follows them
_ROWS_AT_ONCE = 256  # of a picture whose pixels are changed in more than one step


@dataclass(frozen=True, kw_only=True)
class Document:
    """A file that was checked. `kind` is "pdf", "image" or "docx"; the extension has no dot.

    Of an image the content is None: that will be what `image_reencoded` makes of it.
    """

    kind: str
    content_type: str
    extension: str
    content: bytes | None


def too_large(largest_bytes: int) -> ContentTooLarge:
    """The error for a file beyond `largest_bytes`."""
    return ContentTooLarge(f"Send at most {largest_bytes // MEBIBYTE} MB.")


def image_checked(upload: Upload, *, field: str = "file", largest_bytes: int = LARGEST_IMAGE) -> None:
    """Refuse what can be seen to be no picture, too large or not whole without decoding it: by its headers.

    Takes JPEG, PNG and WebP without animation, whatever the file is called. Raises ContentTooLarge, and
    ValidationFailed with the error `file_type`, `file_malformed` or `image_too_large` (pixels) at `field`.
    """
    _refuse_large(upload, largest_bytes)
    _image_headed(upload, field=field)


def image_reencoded(
    upload: Upload,
    *,
    field: str = "file",
    largest_bytes: int = LARGEST_IMAGE,
    longest_side: int = LONGEST_SIDE,
) -> bytes:
    """The picture as a new JPEG in sRGB, turned upright, at most `longest_side` pixels long, without any metadata.

    Raises what `image_checked` does, `file_malformed` also for what only decoding shows, and Unavailable
    (`uploads_busy`) when another picture takes too long.
    """
    _refuse_large(upload, largest_bytes)
    header = _image_headed(upload, field=field)
    with _one_at_a_time():
        try:
            return _reencoded(upload, header=header, longest_side=longest_side)
        except UNREADABLE_INSIDE as error:
            logger.info("A picture could not be decoded: %s", type(error).__name__)
            raise _damaged(field) from error


def document_checked(upload: Upload, *, field: str = "file", largest_bytes: int = LARGEST_DOCUMENT) -> Document:
    """The upload as a PDF, a picture or a DOCX, by its content. A picture has yet to be written anew.

    Raises ContentTooLarge, and ValidationFailed with the error `file_type`, `file_malformed` or `image_too_large` at
    `field`.
    """
    _refuse_large(upload, largest_bytes)
    head = _head(upload)
    if head.startswith(b"%PDF-"):
        content = _whole(upload)
        if b"%%EOF" not in content[-2048:]:
            raise _refused(field, "file_malformed", "The end of the PDF is missing. Save it anew and send it again.")
        return Document(kind="pdf", content_type="application/pdf", extension="pdf", content=content)
    if head.startswith(b"PK\x03\x04"):
        content = _whole(upload)
        _refuse_no_docx(content, field)
        return Document(kind="docx", content_type=_DOCX, extension="docx", content=content)
    if _image_kind(upload) is None:
        raise _refused(field, "file_type", "Send a PDF, a picture (JPEG, PNG, WebP) or a DOCX without macros.")
    image_checked(upload, field=field, largest_bytes=largest_bytes)
    return Document(kind="image", content_type="image/jpeg", extension="jpg", content=None)


# --- The media storage ------------------------------------------------------------------------------------------------


def file_name_made(*, folder: str, extension: str) -> str:
    """A name for a file to be stored that nobody can guess."""
    return f"{folder}/{secrets.token_hex(16)}.{extension}"


def file_store(*, folder: str, extension: str, content: bytes) -> str:
    """Keep `content` under a name that nobody can guess, and return the name.

    Call it before the transaction, which must not wait for another service; discard the file if the transaction fails.
    Raises Unavailable (`storage_unavailable`).
    """
    name = file_name_made(folder=folder, extension=extension)
    file_store_as(name=name, content=content)
    return name


def file_store_as(*, name: str, content: bytes) -> None:
    """As `file_store`, under a name that was written down before. Raises Unavailable (`storage_unavailable`)."""
    try:
        kept = default_storage.save(name, ContentFile(content))
    except OSError as error:
        raise Unavailable(
            "The file could not be stored. Try again in a minute; nothing was saved.", code="storage_unavailable"
        ) from error
    if kept != name:  # the name is taken, and nobody has written the other one down
        file_discard(kept)
        raise Unavailable("The storage holds a file of this name already. Try again.", code="storage_unavailable")


def file_discard(name: str) -> bool:
    """Delete a stored file; whether it is gone. A failure is logged: a file that nothing refers to harms less than a
    lost write.
    """
    if not name:
        return True
    try:
        default_storage.delete(name)
    except (DomainError, OSError) as error:
        logger.warning("A file could not be deleted and stays in the storage: %s (%s)", name, type(error).__name__)
        return False
    return True


def file_discard_on_commit(name: str) -> None:
    """Delete a stored file after the present transaction has committed; it stays if that is rolled back."""
    transaction.on_commit(lambda: file_discard(name), robust=True)


@contextlib.contextmanager
def file_kept_by_commit(name: str) -> Iterator[None]:
    """A transaction for the rows that name a file which was stored before it; without its commit the file goes too."""
    committed = False

    def remember() -> None:
        nonlocal committed
        committed = True

    try:
        with transaction.atomic():
            transaction.on_commit(remember)  # the first one: what fails after the commit must not take the file away
            yield
    except BaseException:
        if not committed:
            file_discard(name)
        raise


def file_answer(
    *, name: str, content_type: str, download_name: str | None = None
) -> FileResponse | HttpResponseRedirect:
    """The answer that gives a stored file: the content itself, or 302 to a signed link where another service has it.

    With `download_name` browsers save it under that name, else they show it. Raises NotFound (`file_missing`).
    """
    answer: FileResponse | HttpResponseRedirect
    try:
        default_storage.path(name)
    except NotImplementedError:  # Django's way to say that the files are not on this disk
        answer = HttpResponseRedirect(default_storage.url(name))
    else:
        try:
            answer = FileResponse(default_storage.open(name), content_type=content_type)
        except OSError as error:
            raise NotFound("The file is no longer in the storage. Send it again.", code="file_missing") from error
        disposition = content_disposition_header(download_name is not None, download_name or "")
        answer["Content-Disposition"] = disposition or "inline"
        # The content is a stranger's: a browser neither guesses another type for it nor runs anything in it.
        answer["X-Content-Type-Options"] = "nosniff"
        answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer["Cache-Control"] = "no-store"
    return answer


# --- Judging ----------------------------------------------------------------------------------------------------------


def _refused(field: str, code: str, detail: str) -> ValidationFailed:
    return ValidationFailed(detail, errors=[FieldError(field=field, code=code, detail=detail)])


def _damaged(field: str) -> ValidationFailed:
    detail = "The picture is damaged or was not sent whole. Open it, save it, send it again."
    return _refused(field, "file_malformed", detail)


def _refuse_large(upload: Upload, largest_bytes: int) -> None:
    if (upload.size or 0) > largest_bytes:
        raise too_large(largest_bytes)


def _head(upload: Upload) -> bytes:
    upload.seek(0)
    head: bytes = upload.read(16)
    return head


def _whole(upload: Upload) -> bytes:
    upload.seek(0)
    content: bytes = upload.read()
    return content


def _image_kind(upload: Upload) -> str | None:
    head = _head(upload)
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WEBP
    return None


@dataclass(frozen=True, kw_only=True)
class _Header:
    """What a picture says of itself before its pixels. `scaled`: libjpeg decodes it at a fraction, line by line."""

    kind: str
    most: int  # pixels
    scaled: bool
    refusal: ValidationFailed  # when it has more of them


def _image_headed(upload: Upload, *, field: str) -> _Header:
    """Read the headers. Nothing of what is in them is believed that the memory depends on: see `_reencoded`."""
    kind = _image_kind(upload)
    if kind is None:
        raise _refused(field, "file_type", "Send a picture as JPEG, PNG or WebP; the name of the file does not count.")
    most, scaled, moves = MOST_PIXELS_WHOLE, False, False
    try:
        if kind == JPEG:
            width, height, colours, scaled = _frame_of_jpeg(upload)
            # Two bytes for each colour of a pixel: pictures for print have four.
            most = MOST_PIXELS if scaled else MOST_PIXELS_WHOLE * 3 // max(3, colours)
        elif kind == PNG:
            width, height = _frame_of_png(upload)
        else:
            width, height, moves = _frame_of_webp(upload)
            most = MOST_PIXELS_WEBP
    except UNREADABLE_INSIDE as error:
        raise _damaged(field) from error
    if moves:
        raise _refused(field, "file_type", "This WebP is an animation. Send a single picture.")
    refusal = _refused(field, "image_too_large", _words_for(most, scaled=scaled))
    if width * height > most:
        raise refusal
    return _Header(kind=kind, most=most, scaled=scaled, refusal=refusal)


def _reencoded(upload: Upload, *, header: _Header, longest_side: int) -> bytes:
    """
    1  open: reads the header only      2  refuse too many pixels      3  decode, at a fraction where possible
    4  one colour a pixel, no alpha     5  shrink                      6  sRGB, upright      7  write anew
    """
    from PIL import Image, PngImagePlugin

    PngImagePlugin.MAX_TEXT_MEMORY = MEBIBYTE  # of packed texts, which nobody reads here; Pillow's own 64 are too many
    if header.kind == WEBP:
        from PIL import WebPImagePlugin  # noqa: F401 - otherwise Pillow would load its forty other formats to find it
    upload.seek(0)
    try:
        opened = Image.open(upload, formats=[header.kind])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise header.refusal from error
    with opened as image:
        width, height = image.size
        if width * height > header.most:  # the decoder's own reading counts
            raise header.refusal
        profile = image.info.get("icc_profile")
        if header.kind == JPEG:
            fraction = _fraction(width, height, longest_side=longest_side, whole=not header.scaled)
            image.draft(None, (max(1, width // fraction), max(1, height // fraction)))
        image.load()
        orientation = _orientation(image)  # not before: of a PNG it would load the pixels, and forgive them everything
        flat = _flat(image)
        if flat is not image:
            image.close()  # gives up the pixels, which shrinking does not need any more
    flat.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    upright = _upright(_in_srgb(flat, profile), orientation)
    upright.info.clear()  # Pillow would write some of it into the new file, a comment for example
    written = io.BytesIO()
    upright.save(written, "JPEG", quality=_QUALITY)
    return written.getvalue()


def _words_for(most: int, *, scaled: bool) -> str:
    words = f"Send a picture of at most {most // 1_000_000} megapixels"
    return f"{words}." if scaled else f"{words}, or as a usual (baseline) JPEG of at most {MOST_PIXELS // 1_000_000}."


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait until no worker of this machine decodes a picture. Raises Unavailable (`uploads_busy`) after LONGEST_WAIT.

    A lock of the kernel on an open file: threads open it each for themselves and so wait for each other as well, and a
    worker that is killed gives it up.
    """
    until = time.monotonic() + LONGEST_WAIT
    place = Path(tempfile.gettempdir(), f"rgms-pictures-{os.getuid()}.lock")
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= until:
                    raise Unavailable(
                        "Many pictures are being worked on. Try again in a minute; nothing was saved.",
                        code="uploads_busy",
                    ) from error
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)  # and with it the lock


def _frame_of_jpeg(file: Upload) -> tuple[int, int, int, bool]:
    """(width, height, colours, whether libjpeg decodes it line by line: baseline, with all its colours in one scan).

    Otherwise it keeps the coefficients of the whole picture, however small the result is to be. Read from the
    markers before the first scan (ITU T.81, B.1). What stands between two markers is passed over, as decoders do;
    such a file counts as one that is not decoded line by line.
    """
    frame: tuple[int, int, int, bool] | None = None
    file.seek(2)
    passed = 0  # bytes that belong to no marker
    for _ in range(1000):
        byte = file.read(1)
        while byte != b"\xff":
            passed += 1
            if not byte or passed > _HEADER_JUNK:
                raise ValueError("this JPEG has no further marker")
            byte = file.read(1)
        while byte == b"\xff":  # any number of them may stand before a marker
            byte = file.read(1)
        if byte in _MARKERS_ALONE:
            continue
        (kind,) = byte
        (length,) = struct.unpack(">H", file.read(2))
        body = file.read(length - 2)
        if 0xC0 <= kind <= 0xCF and kind not in {0xC4, 0xC8, 0xCC}:  # a frame; SOF0 and SOF1 are sequential
            height, width = struct.unpack(">HH", body[1:5])
            frame = width, height, body[5], kind in {0xC0, 0xC1}
        elif kind == 0xDA:  # SOS
            if frame is None or not frame[0] or not frame[1]:
                break
            width, height, colours, sequential = frame
            return width, height, colours, bool(sequential and not passed and 0 < colours == body[0])
    raise ValueError("this JPEG has no picture in it")


def _frame_of_png(file: Upload) -> tuple[int, int]:
    """(width, height), when all of its chunks are there (ISO/IEC 15948, 5.3)."""
    file.seek(8)
    first = file.read(16)
    if first[4:8] != b"IHDR":
        raise ValueError("this PNG begins with another chunk")
    width, height = struct.unpack(">II", first[8:16])
    place = 8
    for _ in range(_MOST_CHUNKS):
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        place += 12 + length
        if place > (file.size or 0):
            raise ValueError("this PNG was not sent whole")
        if kind == b"IEND":
            break
    return width, height


def _frame_of_webp(file: Upload) -> tuple[int, int, bool]:
    """(width, height, whether it is an animation), from the first chunk (RFC 9649, 2.5 to 2.7)."""
    file.seek(4)
    if int.from_bytes(file.read(4), "little") + 8 > (file.size or 0):
        raise ValueError("this WebP was not sent whole")
    file.seek(12)
    head = file.read(18)
    kind, body = head[:4], head[8:]
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little"), bool(body[0] & 2)
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), False
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF, False
    raise ValueError("this WebP begins with another chunk")


def _fraction(width: int, height: int, *, longest_side: int, whole: bool) -> int:
    """At which of libjpeg's fractions (1, 1/2, 1/4, 1/8) a JPEG is decoded.

    The largest picture that still has `longest_side`, unless that takes too many pixels: a little less sharp then.
    """
    most = MOST_PIXELS_WHOLE // 4 if whole else MOST_PIXELS_WHOLE  # its coefficients lie in the memory as well
    for fraction in (1, 2, 4):
        fits = (width // fraction) * (height // fraction) <= most
        if fits and max(width, height) // (2 * fraction) < longest_side:
            return fraction
    return 8


def _orientation(image: "Image.Image") -> int:
    try:
        return int(image.getexif().get(0x0112, 1))
    except UNREADABLE_INSIDE:  # damaged metadata of a sound picture
        return 1


def _flat(image: "Image.Image") -> "Image.Image":
    """Without transparency (white stands behind) and palette; in a mode that shrinks well."""
    if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        return _by_rows(image, "RGB", _on_white)
    if image.mode in {"RGB", "L", "CMYK"}:
        return image
    if image.mode.startswith("I"):  # 16 bits a pixel
        return _by_rows(image, "L", lambda rows: rows.convert("I").point(lambda value: value / 256).convert("L"))
    return image.convert("RGB")


def _by_rows(image: "Image.Image", mode: str, change: "Callable[[Image.Image], Image.Image]") -> "Image.Image":
    """`image` changed to `mode`, some rows at a time: what lies between would be copies of the whole picture."""
    from PIL import Image

    changed = Image.new(mode, image.size)
    for top in range(0, image.height, _ROWS_AT_ONCE):
        rows = image.crop((0, top, image.width, min(top + _ROWS_AT_ONCE, image.height)))
        rows.info.update(image.info)  # the transparent colour, if there is one
        changed.paste(change(rows), (0, top))
    return changed


def _on_white(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    seen = image.convert("RGBA")  # RGB with one transparent colour becomes that as well
    behind = Image.new("RGB", seen.size, (255, 255, 255))
    behind.paste(seen, mask=seen)
    return behind


def _in_srgb(image: "Image.Image", profile: bytes | None) -> "Image.Image":
    from PIL import ImageCms

    if profile:
        try:
            converted = ImageCms.profileToProfile(
                image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (ImageCms.PyCMSError, *UNREADABLE):  # a profile of another kind of picture, or a damaged one
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


def _upright(image: "Image.Image", orientation: int) -> "Image.Image":
    from PIL.Image import Transpose

    turn = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)
    return image if turn is None else image.transpose(turn)


def _refuse_no_docx(content: bytes, field: str) -> None:
    flaw = office_flaw(content, part="word/document.xml")
    if flaw is not None:
        raise _refused(field, *_FLAWS_OF_DOCX[flaw])
