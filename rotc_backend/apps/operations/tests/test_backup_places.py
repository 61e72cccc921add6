"""Each kind of place, by the protocol that its service speaks."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from apps.operations import rules
from apps.operations.services.backups import database, places, streams
from apps.operations.services.backups.errors import Refused, StoreAway
from apps.operations.services.backups.manifests import backup_delete, manifests_list
from apps.operations.services.backups.places import Place, place_open
from apps.operations.services.backups.writing import backup_create
from apps.operations.tests.s3_stand_in import S3StandIn, s3_running
from config.env import Environment
from core.tests.cloudinary_stand_in import CloudinaryStandIn, cloudinary_running
from scripts.stack.servers import free_port

CONTENT = bytes(range(256)) * 4096
NAME = "b8d2c4f0a113/20260301T040000Z-weekly-3fa9c1/00001.part"


def place_at(url: str) -> Place:
    env = Environment({"BACKUP_URL": url})
    wanted = env.backup_place("BACKUP_URL")
    env.refuse()
    place = place_open(wanted)
    opened.append(place)
    return place


opened: list[Place] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while opened:
        opened.pop().close()


@pytest.fixture
def s3(closed: None) -> Iterator[S3StandIn]:
    with s3_running() as store:
        yield store


@pytest.fixture
def cloud(settings: Settings) -> Iterator[CloudinaryStandIn]:
    with cloudinary_running() as account:
        settings.CLOUDINARY_UPLOAD_PREFIX = account.url
        yield account


@pytest.fixture(params=["file", "s3", "cloudinary"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "file":
        return place_at(f"file://{tmp_path}/backups")
    if request.param == "s3":
        return place_at(request.getfixturevalue("s3").url())
    account = request.getfixturevalue("cloud")
    return place_at(f"cloudinary://{account.api_key}:{account.api_secret}@{account.cloud_name}")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_PAUSE_SECONDS", 0.0)


def test_what_was_put_comes_back_is_listed_and_can_be_deleted(place: Place) -> None:
    assert place.names() == []
    place.put(NAME, CONTENT)
    place.put("other/20260301T040000Z-weekly-3fa9c1/00001.part", b"other")
    assert place.get(NAME) == CONTENT
    assert place.names("b8d2c4f0a113/") == [NAME]
    assert len(place.names()) == 2
    place.delete(NAME)
    place.delete(NAME)  # nothing happens
    assert place.names() == ["other/20260301T040000Z-weekly-3fa9c1/00001.part"]


def test_what_is_not_there_is_not_found_and_not_a_failure_of_the_store(place: Place) -> None:
    with pytest.raises(FileNotFoundError):
        place.get(NAME)


def test_more_names_than_one_answer_holds_are_all_listed(s3: S3StandIn, cloud: CloudinaryStandIn) -> None:
    s3.longest_page = cloud.longest_page = 2
    for url in (s3.url(), f"cloudinary://{cloud.api_key}:{cloud.api_secret}@{cloud.cloud_name}/deep/er"):
        place = place_at(url)
        for number in range(5):
            place.put(f"a/{number}", b"x")
        assert place.names("a/") == [f"a/{number}" for number in range(5)]


def test_a_part_of_full_size_is_stored_in_one_request_of_which_nothing_unseen_can_be_left(s3: S3StandIn) -> None:
    place = place_at(s3.url())
    place.put(NAME, os.urandom(streams.PART_BYTES))
    assert len(place.get(NAME)) == streams.PART_BYTES
    assert ["PUT" in request for request in s3.requests] == [True, False]
    assert list(s3.objects) == [f"unit/{NAME}"]


def test_everything_lies_below_the_prefix_of_the_address(s3: S3StandIn, cloud: CloudinaryStandIn) -> None:
    place_at(s3.url()).put(NAME, b"x")
    place_at(f"cloudinary://{cloud.api_key}:{cloud.api_secret}@{cloud.cloud_name}").put(NAME, b"x")
    assert list(s3.objects) == [f"unit/{NAME}"]
    assert [place[2] for place in cloud.files] == [f"rgms-backups/{NAME}"]
    assert [place[:2] for place in cloud.files] == [("raw", "authenticated")]


def test_a_store_that_fails_for_a_moment_is_asked_again(s3: S3StandIn) -> None:
    place = place_at(s3.url())
    s3.fail_next = [503, 500, 503]
    place.put(NAME, CONTENT)
    assert place.get(NAME) == CONTENT


def test_a_store_that_goes_on_failing_is_a_failure_that_names_it_and_no_secret(s3: S3StandIn) -> None:
    place = place_at(s3.url())
    s3.fail_next = [503] * places.TRIES
    with pytest.raises(StoreAway) as caught:
        place.put(NAME, CONTENT)
    assert f"127.0.0.1:{s3.port}/rotc-backups" in str(caught.value)
    assert s3.secret_key not in str(caught.value)
    assert s3.objects == {}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"secret": "another/secret+of=the-same-length-0000000"}, "SignatureDoesNotMatch"),
        ({"access": "AKIDOTHER"}, "InvalidAccessKeyId"),
        ({"bucket": "no-such-bucket"}, "NoSuchBucket"),
        ({"region": "eu-north-1"}, "AuthorizationHeaderMalformed"),
    ],
)
def test_a_wrong_key_bucket_or_region_is_refused_in_words(s3: S3StandIn, changes: dict[str, str], code: str) -> None:
    with pytest.raises(StoreAway, match=code) as caught:
        place_at(s3.url(**changes)).put(NAME, CONTENT)
    assert changes.get("secret", s3.secret_key) not in str(caught.value)
    assert s3.objects == {}


def test_a_wrong_secret_of_cloudinary_is_refused_in_words(cloud: CloudinaryStandIn) -> None:
    place = place_at(f"cloudinary://{cloud.api_key}:another-secret@{cloud.cloud_name}")
    for act in (lambda: place.put(NAME, b"x"), place.names, lambda: place.get(NAME)):
        with pytest.raises(StoreAway) as caught:
            act()
        assert "another-secret" not in str(caught.value)


def test_a_store_that_is_away_is_a_failure_in_words() -> None:
    place = place_at(f"s3+http://key:secret-word@127.0.0.1:{free_port()}/bucket")
    with pytest.raises(StoreAway, match="did not answer"):
        place.names()


def test_a_directory_is_for_its_owner_alone_and_shows_no_unfinished_file(tmp_path: Path) -> None:
    place = place_at(f"file://{tmp_path}/backups")
    place.put(NAME, CONTENT)
    file = tmp_path / "backups" / NAME
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    (file.parent / ".00002.part.1234").write_bytes(b"half")
    assert place.names() == [NAME]


def test_a_directory_that_cannot_be_written_is_a_failure_in_words(tmp_path: Path) -> None:
    (tmp_path / "backups").write_text("a file stands in the way")
    with pytest.raises(StoreAway, match="director"):
        place_at(f"file://{tmp_path}/backups").put(NAME, b"x")


def test_without_an_address_there_is_no_place(settings: Settings) -> None:
    settings.BACKUP_PLACE = {}
    with pytest.raises(Refused, match="BACKUP_URL is not set"):
        place_open()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["s3", "cloudinary"])
def test_a_whole_backup_goes_there_and_comes_back_from_there(
    kind: str, s3: S3StandIn, cloud: CloudinaryStandIn, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PART_BYTES", 300_000)
    monkeypatch.setattr(streams, "CHUNK_BYTES", 4096)
    address = {"s3": s3.url(), "cloudinary": f"cloudinary://{cloud.api_key}:{cloud.api_secret}@{cloud.cloud_name}"}
    settings.BACKUP_PLACE = Environment({"BACKUP_URL": address[kind]}).backup_place("BACKUP_URL")
    settings.BACKUP_KEYS = [secrets.token_urlsafe(48)]
    with contextlib.closing(database.connect()) as writer:
        writer.execute(
            "INSERT INTO event (type, recipients, data) "
            "SELECT md5(n::text), '{}', to_jsonb(md5(random()::text)) FROM generate_series(1, 20000) n"
        )
    manifest = backup_create(purpose=rules.ASKED)  # which has restored it on trial from what lies there
    assert len(manifest.parts) > 2
    stored = s3.objects if kind == "s3" else {place[2]: content for place, content in cloud.files.items()}
    assert sum(len(content) for name, content in stored.items() if name.endswith(".part")) == manifest.size
    with place_open() as place:
        assert [one.manifest for one in manifests_list(place)] == [manifest]
        backup_delete(manifest, place)
    assert not s3.objects
    assert not cloud.files
    with contextlib.closing(database.connect()) as writer:
        writer.execute("DELETE FROM ops.journal")


def test_the_library_of_s3_is_loaded_only_where_it_is_used() -> None:
    import subprocess
    import sys

    program = (
        "import django, sys; django.setup(); import apps.operations.services.backups.asking; "
        "sys.exit('minio' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0
