import io
from pathlib import Path

from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from apps.cadets.services.photos import cadet_photo_set
from apps.cadets.tests.factories import CadetPerson
from apps.pictures.models import Picture


def photo_sent(person: CadetPerson, *, size: tuple[int, int] = (40, 30), content: bytes | None = None) -> Picture:
    """A photo of the person that waits for a worker."""
    written = io.BytesIO()
    Image.new("RGB", size, "olive").save(written, "JPEG")
    upload = SimpleUploadedFile("photo.jpg", content or written.getvalue())
    cadet_photo_set(actor=person.principal, cadet_id=person.cadet.pk, upload=upload)
    return Picture.objects.latest("pk")


def files(media: Path) -> list[str]:
    """Names of what is stored, as rows name it."""
    return sorted(str(path.relative_to(media)) for path in media.rglob("*") if path.is_file())
