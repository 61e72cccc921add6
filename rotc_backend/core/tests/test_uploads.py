import io
import struct
import subprocess
import sys
import threading
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import RequestFactory
from PIL import Image, ImageCms, PngImagePlugin
from pytest_django import Settings
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from core import uploads
from core.errors import ContentTooLarge, DomainError, NotFound, Unavailable, ValidationFailed
from core.file_views import ImageUploadParser, UploadParser
from core.tests.cloudinary_stand_in import CloudinaryStandIn, cloudinary_running
from core.uploads import (
    document_checked,
    file_answer,
    file_discard,
    file_discard_on_commit,
    file_store,
    file_store_as,
    image_checked,
    image_reencoded,
)

RED, BLUE, GREEN = (220, 30, 30), (30, 30, 220), (30, 160, 30)


def encoded(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, form, **options)
    return written.getvalue()


def sent(content: bytes, name: str = "photo.jpg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, "image/jpeg")


def halves(width: int = 80, height: int = 40) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def is_about(pixel: Any, colour: Any) -> bool:
    return all(abs(one - other) < 25 for one, other in zip(pixel, colour, strict=True))


def refusal(content: bytes, check: Any = image_reencoded, name: str = "photo.jpg") -> str:
    with pytest.raises(ValidationFailed) as caught:
        check(sent(content, name))
    (error,) = caught.value.errors
    assert error.field == "file"
    return error.code


# --- Pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_becomes_a_jpeg_of_the_same_look(form: str) -> None:
    image = opened(image_reencoded(sent(encoded(halves(), form), "of no importance.txt")))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (80, 40))
    assert is_about(image.getpixel((10, 20)), RED)
    assert is_about(image.getpixel((70, 20)), BLUE)


@pytest.mark.parametrize(
    ("mode", "colour"),
    [("L", 120), ("1", 1), ("P", 3), ("LA", (120, 255)), ("RGBA", (*RED, 255)), ("I;16", 30_000)],
)
def test_pngs_of_every_kind_are_read(mode: str, colour: Any) -> None:
    image = opened(image_reencoded(sent(encoded(Image.new(mode, (20, 10), colour), "PNG"))))
    assert (image.mode, image.size) == ("RGB", (20, 10))
    if mode in {"L", "LA", "I;16"}:
        assert is_about(image.getpixel((5, 5)), (118, 118, 118))


def test_a_jpeg_for_print_is_read() -> None:
    content = encoded(Image.new("CMYK", (20, 10), (0, 255, 255, 0)))
    assert is_about(opened(image_reencoded(sent(content))).getpixel((5, 5)), (255, 0, 0))


def test_white_stands_behind_what_is_transparent() -> None:
    image = opened(image_reencoded(sent(encoded(Image.new("RGBA", (20, 10), (255, 0, 0, 0)), "PNG"))))
    assert is_about(image.getpixel((5, 5)), (255, 255, 255))


def test_a_large_photo_shrinks_and_keeps_its_shape() -> None:
    image = opened(image_reencoded(sent(encoded(halves(4000, 3000)))))
    assert image.size == (1600, 1200)
    assert is_about(image.getpixel((100, 600)), RED)
    assert is_about(image.getpixel((1500, 600)), BLUE)


def test_a_photo_loses_its_place_and_its_camera_and_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the left side of what is stored is the upper one of what was seen
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825).update({1: "N", 2: (7.0, 51.0, 30.0), 3: "E", 4: (123.0, 25.0, 10.0)})
    content = encoded(halves(), exif=exif, comment=b"secret comment")
    assert Image.open(io.BytesIO(content)).getexif().get_ifd(0x8825)
    assert b"SecretCamera" in content
    clean = image_reencoded(sent(content))
    image = opened(clean)
    assert image.size == (40, 80)
    assert is_about(image.getpixel((20, 10)), RED)
    assert is_about(image.getpixel((20, 70)), BLUE)
    assert not image.getexif()
    assert not image.getexif().get_ifd(0x8825)
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert b"ecret" not in clean
    assert b"Exif" not in clean


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_camera_is_undone(orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    source = halves()
    source.paste(GREEN, (0, 0, 40, 20))
    content = encoded(source, exif=exif, quality=95)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    image = opened(image_reencoded(sent(content)))
    assert image.size == expected.size
    for corner in ((5, 5), (-6, 5), (5, -6), (-6, -6)):
        at = (corner[0] % image.width, corner[1] % image.height)
        assert is_about(image.getpixel(at), expected.getpixel(at))


def test_text_in_a_png_and_bytes_behind_a_picture_are_gone() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "hidden words")
    content = encoded(halves(), "PNG", pnginfo=text) + b"<script>alert(1)</script>"
    clean = image_reencoded(sent(content))
    assert b"hidden" not in clean
    assert b"script" not in clean


def test_colours_of_a_wide_profile_become_those_of_the_screen() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for unusable in (profile, b"no profile at all"):  # neither fits the picture: it is taken as it is
        assert is_about(opened(image_reencoded(sent(encoded(halves(), icc_profile=unusable)))).getpixel((5, 5)), RED)
    usual = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = opened(image_reencoded(sent(encoded(halves(), icc_profile=usual))))
    assert is_about(image.getpixel((5, 5)), RED)
    assert "icc_profile" not in image.info


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # which Pillow says, and reads the picture all the same
def test_damaged_exif_does_not_damage_the_picture() -> None:
    content = encoded(halves(), exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff garbage")
    assert opened(image_reencoded(sent(content))).size == (80, 40)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(encoded(Image.new("P", (8, 8)), "GIF"), id="gif"),
        pytest.param(b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', id="svg"),
        pytest.param(b"<!doctype html><script>alert(1)</script>", id="html"),
        pytest.param(encoded(Image.new("RGB", (8, 8)), "BMP"), id="bmp"),
        pytest.param(encoded(Image.new("RGB", (8, 8)), "TIFF"), id="tiff"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n", id="eps"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00" * 100, id="zeros"),
        pytest.param(b"MZ\x90\x00", id="program"),
    ],
)
def test_what_is_no_picture_is_refused_whatever_its_name(content: bytes) -> None:
    assert refusal(content) == "file_type"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_cut_short_anywhere_is_refused_as_damaged(form: str) -> None:
    content = encoded(Image.effect_noise((120, 90), 60).convert("RGB"), form)
    for share in (0.01, 0.1, 0.5, 0.9):
        cut = content[: max(16, int(len(content) * share))]
        assert refusal(cut) == "file_malformed"


def test_a_jpeg_of_which_only_the_beginning_is_one_is_refused_as_damaged() -> None:
    for content in (b"\xff\xd8\xff", b"\xff\xd8\xff\xe0" + b"\x00" * 200, b"\xff\xd8\xff\xdb<html>"):
        assert refusal(content) == "file_malformed"


def png_of(width: int, height: int) -> bytes:
    """A PNG of some hundred bytes that promises so many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\x00" * 10_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [50_000, 12_000, 9_000, 4_000])
def test_a_png_that_would_fill_the_memory_is_refused(side: int) -> None:
    assert refusal(png_of(side, side)) == "image_too_large"


def test_a_jpeg_is_allowed_more_pixels_only_if_it_is_decoded_at_a_fraction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_PIXELS", 5_000)
    monkeypatch.setattr(uploads, "MOST_PIXELS_WHOLE", 3_000)
    assert image_reencoded(sent(encoded(halves())))  # 3,200
    assert image_reencoded(sent(encoded(halves(60, 40), progressive=True)))
    assert refusal(encoded(halves(), progressive=True)) == "image_too_large"
    assert refusal(encoded(halves(), "PNG")) == "image_too_large"
    assert image_reencoded(sent(encoded(halves(), "WEBP")))  # has a limit of its own
    monkeypatch.setattr(uploads, "MOST_PIXELS_WEBP", 3_000)
    assert refusal(encoded(halves(), "WEBP")) == "image_too_large"
    assert refusal(encoded(halves(100, 60))) == "image_too_large"


_PEAK = """
import io, sys
from django.conf import settings
settings.configure()
from django.core.files.uploadedfile import SimpleUploadedFile
from core.uploads import image_reencoded
from core.errors import ValidationFailed
from PIL import Image, JpegImagePlugin, ImageCms
image_reencoded(SimpleUploadedFile("warm.jpg", open(sys.argv[1], "rb").read()))
upload = SimpleUploadedFile("photo.jpg", open(sys.argv[2], "rb").read())
def memory(name):  # ru_maxrss would begin with what the process was forked from
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))
before = memory("VmRSS")
try:
    print(len(image_reencoded(upload, longest_side=int(sys.argv[3]))))
except ValidationFailed as error:
    print(error.errors[0].code)
print(memory("VmHWM") - before)
"""


def peak_of(content: bytes, tmp_path: Path, longest_side: int = uploads.LONGEST_SIDE) -> tuple[str, float]:
    """(outcome, MiB that a fresh process took for it)."""
    warm, file = tmp_path / "warm", tmp_path / "file"
    warm.write_bytes(encoded(halves()))
    file.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, str(warm), str(file), str(longest_side)],
        env={"PYTHONPATH": str(Path(uploads.__file__).parent.parent), "MALLOC_ARENA_MAX": "2"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    outcome, kilobytes = done.stdout.split()
    return outcome, int(kilobytes) / 1024


def test_the_photo_of_a_large_phone_camera_costs_little_memory(tmp_path: Path) -> None:
    content = encoded(halves(8000, 6000))  # 144 MB of colours
    outcome, mebibytes = peak_of(content, tmp_path)
    assert int(outcome) > 1000
    assert mebibytes < 40


def test_a_bomb_costs_no_memory(tmp_path: Path) -> None:
    outcome, mebibytes = peak_of(png_of(50_000, 50_000), tmp_path)
    assert outcome == "image_too_large"
    assert mebibytes < 8


_SCANS: dict[str, Any] = {"progressive": True, "subsampling": 0}
_QUICK = {"compress_level": 1}


@pytest.mark.parametrize("longest_side", [uploads.LONGEST_SIDE, uploads.LONGEST_SIDE_OF_DOCUMENT])
@pytest.mark.parametrize(
    ("picture", "options"),
    [
        pytest.param(("PNG", "RGBA", 4080, 3060), _QUICK, id="png with transparency"),
        pytest.param(("PNG", "RGB", 4080, 3060), {**_QUICK, "transparency": (1, 2, 3)}, id="png, one colour of none"),
        pytest.param(("PNG", "I;16", 4080, 3060), _QUICK, id="png of 16 bits"),
        pytest.param(("JPEG", "RGB", 4080, 3060), _SCANS, id="progressive jpeg"),
        pytest.param(("JPEG", "CMYK", 3500, 2670), _SCANS, id="progressive jpeg for print"),
        pytest.param(("JPEG", "CMYK", 3530, 3530), {"subsampling": 0}, id="jpeg for print"),
        pytest.param(("JPEG", "CMYK", 4790, 4790), {"subsampling": 0}, id="larger jpeg for print"),
        pytest.param(("WEBP", "RGBA", 2440, 1840), {"method": 0}, id="webp"),
        pytest.param(("WEBP", "RGBA", 2440, 1840), {"method": 0, "lossless": True}, id="webp without loss"),
    ],
)
def test_the_largest_picture_of_a_kind_stays_within_bounds(
    picture: tuple[str, str, int, int], options: dict[str, Any], longest_side: int, tmp_path: Path
) -> None:
    form, mode, width, height = picture
    image = Image.new(mode, (width, height), 30_000) if mode == "I;16" else halves(width, height).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    outcome, mebibytes = peak_of(encoded(image, form, **options), tmp_path, longest_side)
    assert int(outcome) > 1000
    assert mebibytes < 115


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("mode", ["RGBA", "RGB"])
def test_a_webp_that_would_take_too_much_memory_is_refused_before_it_is_opened(
    lossless: bool, mode: str, tmp_path: Path
) -> None:
    content = encoded(halves(4000, 3250).convert(mode), "WEBP", method=0, lossless=lossless)
    outcome, mebibytes = peak_of(content, tmp_path)
    assert outcome == "image_too_large"
    assert mebibytes < 8


def test_progressive_pictures_for_print_are_allowed_fewer_pixels() -> None:
    content = encoded(halves(3600, 2700).convert("CMYK"), progressive=True)
    with pytest.raises(ValidationFailed, match=r"at most 9 megapixels, or as a usual .* at most 80") as caught:
        image_reencoded(sent(content))
    assert caught.value.errors[0].code == "image_too_large"
    assert image_reencoded(sent(encoded(halves(3600, 2700).convert("CMYK"))))


def test_an_animation_is_refused_as_such() -> None:
    content = encoded(halves(), "WEBP", save_all=True, append_images=[halves().rotate(90)])
    assert refusal(content) == "file_type"


def test_a_png_full_of_text_is_refused() -> None:
    text = PngImagePlugin.PngInfo()
    for _ in range(3):
        text.add_text("Comment", "x" * 500_000, zip=True)
    assert refusal(encoded(halves(), "PNG", pnginfo=text)) == "file_malformed"


def test_a_large_square_photo_is_decoded_at_a_fraction_and_still_large() -> None:
    image = opened(image_reencoded(sent(encoded(halves(4790, 4790))), longest_side=2400))
    assert image.size == (2395, 2395)


# --- In the request ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(encoded(Image.new("P", (8, 8)), "GIF"), "file_type", id="gif"),
        pytest.param(encoded(halves())[:300], "file_malformed", id="half a jpeg's header"),
        pytest.param(b"\xff\xd8\xff" + b"x" * 100_000, "file_malformed", id="no jpeg behind its first bytes"),
        pytest.param(encoded(halves(), "PNG")[:-20], "file_malformed", id="png cut short"),
        pytest.param(encoded(halves(), "WEBP")[:-5], "file_malformed", id="webp cut short"),
        pytest.param(png_of(50_000, 50_000), "image_too_large", id="bomb"),
        pytest.param(
            encoded(halves(), "WEBP", save_all=True, append_images=[halves().rotate(90)]), "file_type", id="animation"
        ),
    ],
)
def test_what_the_headers_show_is_refused_at_once(content: bytes, code: str) -> None:
    assert refusal(content, image_checked) == code
    assert refusal(content, document_checked) == code


def test_what_only_decoding_shows_is_refused_by_the_worker() -> None:
    noise = Image.effect_noise((120, 90), 60).convert("RGB")
    whole = encoded(noise)
    for content in (whole[: len(whole) // 2], damaged_png(noise)):
        image_checked(sent(content))
        assert refusal(content, image_reencoded) == "file_malformed"


def damaged_png(image: Image.Image) -> bytes:
    """All of its chunks are there, and what is in one of them is wrong."""
    content = bytearray(encoded(image, "PNG"))
    place = content.index(b"IDAT") + 6
    content[place : place + 50] = b"\xff" * 50
    return bytes(content)


@pytest.mark.parametrize("between", [b"\xff\xff\xff", b"", b"junk", b"\xff\xd0"])
def test_jpegs_are_read_with_what_cameras_leave_between_markers(between: bytes) -> None:
    content = encoded(halves())
    content = content[:2] + content[2:20] + between + content[20:]
    image_checked(sent(content))
    assert opened(image_reencoded(sent(content))).size == (80, 40)


_CHECK = """
import sys
from django.conf import settings
settings.configure()
from django.core.files.uploadedfile import SimpleUploadedFile
from core.uploads import image_checked
image_checked(SimpleUploadedFile("photo.jpg", open(sys.argv[1], "rb").read()))
print([name for name in sys.modules if name.partition(".")[0] == "PIL"])
"""


def test_a_request_does_not_even_load_the_decoder(tmp_path: Path) -> None:
    for form in ("JPEG", "PNG", "WEBP"):
        file = tmp_path / form
        file.write_bytes(encoded(halves(), form))
        done = subprocess.run(
            [sys.executable, "-c", _CHECK, str(file)],
            env={"PYTHONPATH": str(Path(uploads.__file__).parent.parent)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stdout == "[]\n"


# --- One at a time ----------------------------------------------------------------------------------------------------

_HOLD = """
import sys, time
from django.conf import settings
settings.configure()
from core.uploads import _one_at_a_time
with _one_at_a_time():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_picture_waits_for_that_of_another_worker_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)  # read anew
    content = encoded(halves())
    environment = {"PYTHONPATH": str(Path(uploads.__file__).parent.parent), "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", _HOLD], env=environment, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        monkeypatch.setattr(uploads, "LONGEST_WAIT", 0.2)
        with pytest.raises(Unavailable) as caught:
            image_reencoded(sent(content))
        assert (caught.value.status, caught.value.code) == (503, "uploads_busy")
        assert document_checked(sent(PDF)).kind == "pdf"  # which is not decoded
        monkeypatch.setattr(uploads, "LONGEST_WAIT", 20.0)
        threading.Timer(0.3, other.kill).start()  # a worker that dies gives the lock up
        assert image_reencoded(sent(content))


def test_threads_of_a_worker_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "LONGEST_WAIT", 0.2)
    with uploads._one_at_a_time(), pytest.raises(Unavailable):
        image_reencoded(sent(encoded(halves())))
    assert image_reencoded(sent(encoded(halves())))


# --- Size -----------------------------------------------------------------------------------------------------------


def test_a_photo_beyond_ten_megabytes_is_refused_and_one_of_ten_is_not() -> None:
    content = encoded(halves())
    padded = content + b"\x00" * (10 * 1024 * 1024 - len(content))
    assert image_reencoded(sent(padded))
    with pytest.raises(ContentTooLarge, match="10 MB"):
        image_reencoded(sent(padded + b"\x00"))


class Unreadable(io.RawIOBase):
    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise AssertionError("the body was read")


def asked(body: Any, length: int, parser: type[BaseParser], boundary: str = "x") -> Request:
    request = RequestFactory().generic("POST", "/", b"-", content_type=f"multipart/form-data; boundary={boundary}")
    request.META["CONTENT_LENGTH"] = str(length)
    request.environ["wsgi.input"] = request._stream = body
    return Request(request, parsers=[parser()])


@pytest.mark.parametrize(("parser", "limit"), [(UploadParser, 20), (ImageUploadParser, 10)])
def test_a_request_that_is_too_long_is_refused_before_it_is_read(parser: type[BaseParser], limit: int) -> None:
    for length in (limit * 1024 * 1024 + 70_000, 10**40):
        with pytest.raises(ContentTooLarge, match=f"{limit} MB"):
            _ = asked(Unreadable(), length, parser).data


def test_a_form_is_taken_apart_and_a_broken_one_refused() -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\nabc\r\n--x--\r\n"
    )
    form: Any = asked(io.BytesIO(body), len(body), UploadParser).data
    assert form["file"].read() == b"abc"
    with pytest.raises(ValidationFailed) as caught:
        _ = asked(io.BytesIO(body), len(body), UploadParser, boundary="\u00fc").data
    assert caught.value.code == "form_malformed"


# --- Documents --------------------------------------------------------------------------------------------------------

PDF = b"%PDF-1.7\n1 0 obj << /Type /Catalog >> endobj\ntrailer << >>\nstartxref\n0\n%%EOF\n"
TYPES = (
    b'<Types><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    b'wordprocessingml.document.main+xml"/></Types>'
)


def packed(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return written.getvalue()


def docx(**more: bytes) -> bytes:
    return packed({"[Content_Types].xml": TYPES, "word/document.xml": b"<w:document/>", **more})


def test_a_pdf_and_a_docx_are_kept_byte_by_byte() -> None:
    for content, kind, extension in ((PDF, "pdf", "pdf"), (docx(), "docx", "docx")):
        document = document_checked(sent(content, "letter.exe"))
        assert (document.kind, document.extension, document.content) == (kind, extension, content)
    assert document_checked(sent(PDF)).content_type == "application/pdf"


def test_a_photographed_letter_has_yet_to_be_written_anew() -> None:
    document = document_checked(sent(encoded(halves(3000, 1500), "PNG"), "letter.pdf"))
    assert (document.kind, document.content_type, document.extension) == ("image", "image/jpeg", "jpg")
    assert document.content is None


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(PDF[:40], "file_malformed", id="half a pdf"),
        pytest.param(b" " + PDF, "file_type", id="something before a pdf"),
        pytest.param(b"<html>%PDF-1.7 %%EOF", "file_type", id="html"),
        pytest.param(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, "file_type", id="old word"),
        pytest.param(packed({"a.txt": b"x"}), "file_type", id="zip"),
        pytest.param(packed({"[Content_Types].xml": TYPES, "xl/workbook.xml": b"x"}), "file_type", id="xlsx"),
        pytest.param(docx(**{"word/vbaProject.bin": b"x"}), "file_type", id="macros"),
        pytest.param(docx(**{"word/VBAPROJECT.BIN": b"x"}), "file_type", id="macros in capitals"),
        pytest.param(
            packed(
                {
                    "[Content_Types].xml": TYPES.replace(b"openxml", b"ms-word.document.macroEnabled"),
                    "word/document.xml": b"",
                }
            ),
            "file_type",
            id="declared as holding macros",
        ),
        pytest.param(docx(**{"word/media/a.bin": b"\x00" * 50_000_000}), "file_malformed", id="zip bomb"),
        pytest.param(docx()[:-30], "file_malformed", id="docx cut short"),
        pytest.param(docx()[:-22] + b"\x00" * 22, "file_malformed", id="docx without a directory"),
        pytest.param(
            packed({f"{n}": b"" for n in range(12_000)} | {"word/document.xml": b""}), "file_malformed", id="many"
        ),
        pytest.param(b"PK\x03\x04", "file_malformed", id="only a signature"),
        pytest.param(b"", "file_type", id="empty"),
        pytest.param(encoded(halves())[:400], "file_malformed", id="half a picture"),
    ],
)
def test_other_documents_are_refused_with_the_reason(content: bytes, code: str) -> None:
    assert refusal(content, document_checked, "letter.docx") == code


def test_a_docx_with_two_entries_of_one_name_is_refused() -> None:
    assert refusal(docx(**{"WORD/document.xml": b"another"}), document_checked) == "file_malformed"


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("damaged", [False, True])
def test_a_docx_packed_otherwise_than_word_does_is_refused_unread(method: int, damaged: bool) -> None:
    entries = {"[Content_Types].xml": TYPES, "word/document.xml": b"<w:document/>"}
    content = bytearray(packed(entries, method))
    if damaged:
        place = 30 + len("[Content_Types].xml")  # behind the header of the first entry
        content[place + 4 : place + 40] = b"\xff" * 36
    assert refusal(bytes(content), document_checked) == "file_malformed"


def test_a_locked_docx_is_refused() -> None:
    content = bytearray(docx())
    place = content.find(b"PK\x01\x02")
    while place >= 0:
        content[place + 8] |= 1
        place = content.find(b"PK\x01\x02", place + 1)
    assert refusal(bytes(content), document_checked) == "file_type"


def test_a_document_beyond_twenty_megabytes_is_refused() -> None:
    with pytest.raises(ContentTooLarge, match="20 MB"):
        document_checked(sent(PDF + b"\x00" * (20 * 1024 * 1024)))


# --- Storage ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def media(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = str(tmp_path)
    return tmp_path


@pytest.fixture
def cloud(settings: Settings) -> Iterator[CloudinaryStandIn]:
    with cloudinary_running() as account:
        settings.CLOUDINARY = {
            "cloud_name": account.cloud_name,
            "api_key": account.api_key,
            "api_secret": account.api_secret,
            "upload_prefix": account.url,
        }
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "core.storage.CloudinaryStorage"}}
        yield account


def test_a_file_is_never_kept_under_another_name_than_the_one_written_down(media: Path) -> None:
    file_store_as(name="photos/a.jpg", content=b"abc")
    with pytest.raises(Unavailable):
        file_store_as(name="photos/a.jpg", content=b"def")
    assert [path.read_bytes() for path in media.rglob("*.jpg")] == [b"abc"]


def test_a_stored_file_has_a_name_that_nobody_guesses_and_comes_back(media: Path) -> None:
    first, second = (file_store(folder="photos", extension="jpg", content=b"abc") for _ in range(2))
    assert first != second
    assert first.startswith("photos/")
    assert first.endswith(".jpg")
    assert len(first) > 40
    answer = file_answer(name=first, content_type="image/jpeg")
    assert answer.getvalue() == b"abc"
    assert answer["Content-Type"] == "image/jpeg"
    assert answer["Content-Disposition"] == "inline"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"] == "no-store"
    assert "sandbox" in answer["Content-Security-Policy"]
    answer.close()


def test_a_name_for_saving_is_given_safely(media: Path) -> None:
    name = file_store(folder="letters", extension="pdf", content=PDF)
    answer = file_answer(name=name, content_type="application/pdf", download_name='a "b"\r\nX: ñ.pdf')
    disposition = answer["Content-Disposition"]
    assert disposition.startswith("attachment")
    assert "\n" not in disposition
    answer.close()


def test_a_file_that_is_gone_is_not_found(media: Path) -> None:
    name = file_store(folder="photos", extension="jpg", content=b"abc")
    file_discard(name)
    assert not default_storage.exists(name)
    with pytest.raises(NotFound) as caught:
        file_answer(name=name, content_type="image/jpeg")
    assert caught.value.code == "file_missing"
    file_discard(name)
    file_discard("")


@pytest.mark.django_db(transaction=True)
def test_a_file_goes_with_the_commit_and_stays_with_a_rollback(media: Path) -> None:
    name = file_store(folder="photos", extension="jpg", content=b"abc")

    def discard_and_fail() -> None:
        with transaction.atomic():
            file_discard_on_commit(name)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        discard_and_fail()
    assert default_storage.exists(name)
    with transaction.atomic():
        file_discard_on_commit(name)
        assert default_storage.exists(name)
    assert not default_storage.exists(name)


def test_a_disk_that_takes_no_file_is_a_part_that_is_away(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    settings.MEDIA_ROOT = str(tmp_path / "file")
    with pytest.raises(Unavailable) as caught:
        file_store(folder="photos", extension="jpg", content=b"abc")
    assert caught.value.code == "storage_unavailable"


def test_with_cloudinary_the_answer_leads_to_a_signed_link(cloud: CloudinaryStandIn) -> None:
    import urllib.request

    name = file_store(folder="photos", extension="jpg", content=b"abc")
    assert cloud.files == {("raw", "authenticated", name): b"abc"}
    answer = file_answer(name=name, content_type="image/jpeg")
    assert answer.status_code == 302
    assert answer["Cache-Control"] == "no-store"
    assert answer["Location"].startswith(cloud.url)
    assert cloud.api_secret not in answer["Location"]
    with urllib.request.urlopen(answer["Location"], timeout=5) as link:  # noqa: S310 - the stand-in's address
        assert link.read() == b"abc"
    file_discard(name)
    assert cloud.files == {}


def test_when_cloudinary_fails_storing_is_refused_and_discarding_is_logged(
    cloud: CloudinaryStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.fail_with = 500
    with pytest.raises(DomainError) as caught:
        file_store(folder="photos", extension="jpg", content=b"abc")
    assert caught.value.code == "storage_unavailable"
    file_discard("photos/x.jpg")
    assert "photos/x.jpg" in caplog.text
