import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, default_storage, storages
from django.core.files.uploadedfile import InMemoryUploadedFile, SimpleUploadedFile
from pytest_django import Settings

from core.errors import Unavailable
from core.storage import CloudinaryStorage
from core.tests.cloudinary_stand_in import CloudinaryStandIn, cloudinary_running
from scripts.stack.servers import free_port

CONTENT = b"%PDF-1.7\r\n\x00\xff --boundary-like\r\n" * 50


@pytest.fixture
def cloud() -> Iterator[CloudinaryStandIn]:
    with cloudinary_running() as account:
        yield account


@pytest.fixture
def storage(cloud: CloudinaryStandIn, settings: Settings) -> CloudinaryStorage:
    return storage_with(settings, cloud)


def storage_with(settings: Settings, cloud: CloudinaryStandIn, **changes: str) -> CloudinaryStorage:
    settings.CLOUDINARY = {
        "cloud_name": cloud.cloud_name,
        "api_key": cloud.api_key,
        "api_secret": cloud.api_secret,
        "upload_prefix": cloud.url,
        **changes,
    }
    return CloudinaryStorage()


def test_a_file_comes_back_as_it_was_saved(storage: CloudinaryStorage, cloud: CloudinaryStandIn) -> None:
    name = storage.save("excuses/2026/letter.pdf", ContentFile(CONTENT))
    assert name == "excuses/2026/letter.pdf"
    assert cloud.files == {("raw", "authenticated", name): CONTENT}
    assert storage.exists(name)
    assert storage.size(name) == len(CONTENT)
    with storage.open(name) as file:
        assert file.read() == CONTENT


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(File(BytesIO(CONTENT)), id="without a name"),
        pytest.param(SimpleUploadedFile("photo.jpg", CONTENT, "image/jpeg"), id="uploaded"),
        pytest.param(InMemoryUploadedFile(BytesIO(CONTENT), None, None, None, len(CONTENT), None), id="in memory"),
    ],
)
def test_every_kind_of_file_is_saved_whole(
    storage: CloudinaryStorage, cloud: CloudinaryStandIn, content: "File[bytes]"
) -> None:
    content.read(10)  # somebody has looked into it before
    name = storage.save("photo.jpg", content)
    assert cloud.files[("raw", "authenticated", name)] == CONTENT


@pytest.mark.parametrize("name", ["with space & sign.pdf", "Ñandú.pdf", "a/b/c+d=e.pdf", "100%.pdf"])
def test_an_odd_name_leads_to_its_file(storage: CloudinaryStorage, name: str) -> None:
    saved = storage.save(name, ContentFile(CONTENT))
    assert storage.exists(saved)
    assert storage.size(saved) == len(CONTENT)
    with storage.open(saved) as file:
        assert file.read() == CONTENT


def test_a_name_that_is_taken_gives_the_second_file_another(
    storage: CloudinaryStorage, cloud: CloudinaryStandIn
) -> None:
    first = storage.save("letter.pdf", ContentFile(b"first"))
    second = storage.save("letter.pdf", ContentFile(b"second"))
    assert first != second
    assert {name[2]: content for name, content in cloud.files.items()} == {first: b"first", second: b"second"}


def test_a_name_taken_in_the_last_moment_keeps_its_file_and_refuses_ours(
    storage: CloudinaryStorage, cloud: CloudinaryStandIn
) -> None:
    cloud.files[("raw", "authenticated", "letter.pdf")] = b"theirs"
    with pytest.raises(Unavailable, match="already holds") as caught:
        storage._save("letter.pdf", ContentFile(b"ours"))
    assert caught.value.code == "storage_unavailable"
    assert list(cloud.files.values()) == [b"theirs"]


def test_a_deleted_file_is_gone_also_from_their_caches(storage: CloudinaryStorage, cloud: CloudinaryStandIn) -> None:
    name = storage.save("letter.pdf", ContentFile(CONTENT))
    storage.delete(name)
    assert cloud.files == {}
    assert cloud.invalidated == [name]
    assert not storage.exists(name)
    storage.delete(name)  # as Django's own storage, no error for what is gone


def test_what_is_not_there_is_an_error_of_files(storage: CloudinaryStorage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.open("nothing.pdf")
    with pytest.raises(FileNotFoundError):
        storage.size("nothing.pdf")


def test_a_file_is_not_written_in_pieces(storage: CloudinaryStorage) -> None:
    with pytest.raises(ValueError, match="read as a whole"):
        storage.open("letter.pdf", "wb")


def fetched(link: str) -> bytes:
    try:
        with urllib.request.urlopen(link, timeout=5) as answer:  # noqa: S310 - the stand-in's address
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        error.close()
        raise


def test_a_link_opens_its_file_and_no_other_and_never_without_the_signature(
    storage: CloudinaryStorage, cloud: CloudinaryStandIn
) -> None:
    name = storage.save("letter.pdf", ContentFile(CONTENT))
    other = storage.save("secret.pdf", ContentFile(b"other"))
    link = storage.url(name)
    assert fetched(link) == CONTENT
    assert cloud.api_secret not in link
    for forged in (
        link.replace(name, other),
        link.replace("signature=", "signature=0"),
        link.replace("expires_at=", "expires_at=9"),
    ):
        assert forged != link
        with pytest.raises(urllib.error.HTTPError, match="401"):
            fetched(forged)


def test_a_link_expires(storage: CloudinaryStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    name = storage.save("letter.pdf", ContentFile(CONTENT))
    monkeypatch.setattr("core.storage.LINK_SECONDS", -1)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        fetched(storage.url(name))


def each_operation(storage: CloudinaryStorage) -> Iterator[tuple[str, Unavailable]]:
    operations: dict[str, Callable[[], object]] = {
        "save": lambda: storage._save("letter.pdf", ContentFile(CONTENT)),
        "open": lambda: storage.open("letter.pdf"),
        "size": lambda: storage.size("letter.pdf"),
        "exists": lambda: storage.exists("letter.pdf"),
        "delete": lambda: storage.delete("letter.pdf"),
    }
    for name, operation in operations.items():
        with pytest.raises(Unavailable) as caught:
            operation()
        yield name, caught.value


def test_a_wrong_secret_is_refused_by_them_and_reported_by_us(settings: Settings, cloud: CloudinaryStandIn) -> None:
    storage = storage_with(settings, cloud, api_secret="another-secret")
    for _, error in each_operation(storage):
        assert error.code == "storage_unavailable"
        assert "another-secret" not in error.detail
    assert cloud.files == {}


def test_a_service_that_fails_is_an_error_in_every_operation_and_never_a_missing_file(
    storage: CloudinaryStorage, cloud: CloudinaryStandIn
) -> None:
    cloud.fail_with = 500
    assert {name: error.code for name, error in each_operation(storage)} == dict.fromkeys(
        ("save", "open", "size", "exists", "delete"), "storage_unavailable"
    )


def test_a_service_that_is_away_is_an_error_in_every_operation(settings: Settings, cloud: CloudinaryStandIn) -> None:
    storage = storage_with(settings, cloud, upload_prefix=f"http://127.0.0.1:{free_port()}")
    assert {name: error.status for name, error in each_operation(storage)} == dict.fromkeys(
        ("save", "open", "size", "exists", "delete"), 503
    )


def test_with_local_media_files_stay_on_this_disk(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = str(tmp_path)
    assert settings.MEDIA_STORAGE == "local"
    name = default_storage.save("letter.pdf", ContentFile(CONTENT))
    assert type(storages["default"]) is FileSystemStorage
    assert (tmp_path / name).read_bytes() == CONTENT


def test_an_answer_that_breaks_off_is_a_storage_that_is_away(
    storage: CloudinaryStorage, cloud: CloudinaryStandIn
) -> None:
    name = storage.save("letter.pdf", ContentFile(CONTENT))
    cloud.breaks_off = True
    with pytest.raises(Unavailable):
        storage.open(name)
