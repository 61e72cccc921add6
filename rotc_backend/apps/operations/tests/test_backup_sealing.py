"""What was stored opens only as a whole, in its order, and with its key."""

import base64
import dataclasses
import hashlib
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from apps.operations.services.backups import manifests, streams
from apps.operations.services.backups.errors import Refused, Untrusted
from apps.operations.services.backups.manifests import Manifest, Part, manifest_find, manifest_write, manifests_list
from apps.operations.services.backups.places import FilePlace
from apps.operations.services.backups.sealing import CHUNK_BYTES, Key, Opener, Sealer, keys_of
from apps.operations.services.backups.streams import BackupWriter, records

SECRET, OTHER_SECRET = secrets.token_urlsafe(48), secrets.token_urlsafe(48)
(KEY,), (OTHER_KEY,) = keys_of([SECRET]), keys_of([OTHER_SECRET])
SALT = bytes(32)


def manifest_of(parts: list[Part], *, key: Key = KEY, backup_id: str = "one", **changes: Any) -> Manifest:
    return Manifest(
        **{
            "format": 1,
            "id": backup_id,
            "purpose": "weekly",
            "made_at": "2026-03-01T04:00:00.000Z",
            "version": "1.2.0",
            "commit": None,
            "server_version": 180006,
            "origin": {"database_id": "b8d2", "server": "db", "database": "rgms"},
            "migrations": [],
            "tables": [],
            "sequences": [],
            "parts": parts,
            "key": key.name,
            "salt": base64.b64encode(SALT).decode(),
            **changes,
        }
    )


def written(place: FilePlace, *, rows: list[bytes], backup_id: str = "one", key: Key = KEY) -> Manifest:
    writer = BackupWriter(
        place=place, folder=f"b8d2/{backup_id}/", sealer=Sealer(key=key, salt=SALT, backup_id=backup_id)
    )
    writer.table(name="t", columns=["a"])
    for row in rows:
        writer.rows(row)
    return manifest_of(writer.close(), backup_id=backup_id, key=key)


def read(manifest: Manifest, place: FilePlace, *, key: Key = KEY) -> list[bytes]:
    opener = Opener(key=key, salt=SALT, backup_id=manifest.id)
    return [content for kind, content in records(manifest, place=place, opener=opener) if kind == "rows"]


@pytest.fixture
def place(tmp_path: Path) -> FilePlace:
    return FilePlace(path=str(tmp_path))


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some parts, of some chunks each, without megabytes of rows."""
    monkeypatch.setattr(streams, "CHUNK_BYTES", 1024)
    monkeypatch.setattr(streams, "PART_BYTES", 4096)


def noise(count: int = 40) -> list[bytes]:
    return [secrets.token_bytes(700) for _ in range(count)]


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.binary(max_size=3000), max_size=30))
def test_rows_come_back_whatever_they_hold(tmp_path_factory: pytest.TempPathFactory, rows: list[bytes]) -> None:
    place = FilePlace(path=str(tmp_path_factory.mktemp("place")))
    assert read(written(place, rows=rows), place) == rows


def test_no_chunk_and_no_part_is_larger_than_it_may_be(place: FilePlace) -> None:
    rows = [secrets.token_bytes(1_000_000) for _ in range(20)]
    manifest = written(place, rows=rows)
    assert [part.name for part in manifest.parts] == ["00001.part", "00002.part", "00003.part"]
    assert max(part.bytes for part in manifest.parts) <= streams.PART_BYTES
    assert read(manifest, place) == rows


def test_nothing_readable_lies_in_the_store(place: FilePlace) -> None:
    written(place, rows=[b"2025-0001\tMacaraeg\tLiza\n" * 100])
    stored = b"".join(place.get(name) for name in place.names())
    assert b"Macaraeg" not in stored
    assert b"columns" not in stored


def remade(manifest: Manifest, place: FilePlace, change: Callable[[list[bytes]], list[bytes]]) -> Manifest:
    """As somebody would who may write to the store and knows nothing of the key, but makes the digests fit."""
    contents = change([place.get(manifest.folder() + part.name) for part in manifest.parts])
    for part in manifest.parts:
        place.delete(manifest.folder() + part.name)
    parts = []
    for number, content in enumerate(contents, start=1):
        name = f"{number:05d}.part"
        place.put(manifest.folder() + name, content)
        parts.append(Part(name=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))
    return dataclasses.replace(manifest, parts=parts)


def chunks_of(part: bytes) -> list[bytes]:
    found, place = [], 0
    while place < len(part):
        end = place + 4 + int.from_bytes(part[place : place + 4], "big")
        found.append(part[place:end])
        place = end
    return found


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def swapped_chunks(parts: list[bytes]) -> list[bytes]:
    first, second, *rest = chunks_of(parts[0])
    return [second + first + b"".join(rest), *parts[1:]]


TAMPERINGS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a bit of the first chunk": lambda parts: [flipped(parts[0], 10), *parts[1:]],
    "a bit of the last tag": lambda parts: [*parts[:-1], flipped(parts[-1], -1)],
    "a bit of a length": lambda parts: [flipped(parts[0], 3), *parts[1:]],
    "the last part left out": lambda parts: parts[:-1],
    "the first part left out": lambda parts: parts[1:],
    "a middle part left out": lambda parts: [parts[0], *parts[2:]],
    "all parts left out": lambda _: [],
    "two parts exchanged": lambda parts: [parts[1], parts[0], *parts[2:]],
    "a part twice": lambda parts: [parts[0], *parts],
    "the last part twice": lambda parts: [*parts, parts[-1]],
    "two chunks exchanged": swapped_chunks,
    "the last chunk left out": lambda parts: [*parts[:-1], b"".join(chunks_of(parts[-1])[:-1])],
    "cut off in the middle of a chunk": lambda parts: [*parts[:-1], parts[-1][:-5]],
    "cut off in the middle of a length": lambda parts: [*parts, b"\0\0"],
    "something appended": lambda parts: [*parts[:-1], parts[-1] + b"\0\0\0\x20" + bytes(32)],
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_what_was_changed_cut_or_reordered_does_not_open(place: FilePlace, small_parts: None, tampering: str) -> None:
    rows = noise()
    manifest = written(place, rows=rows)
    assert len(manifest.parts) > 3
    changed = remade(manifest, place, TAMPERINGS[tampering])
    with pytest.raises(Untrusted):
        read(changed, place)


def test_a_chunk_of_another_backup_of_the_same_key_and_salt_does_not_open(place: FilePlace, small_parts: None) -> None:
    rows = noise()
    one, two = written(place, rows=rows, backup_id="one"), written(place, rows=rows, backup_id="two")
    stolen = remade(one, place, lambda parts: [place.get(two.folder() + two.parts[0].name), *parts[1:]])
    with pytest.raises(Untrusted):
        read(stolen, place)


def test_another_key_does_not_open_it(place: FilePlace) -> None:
    manifest = written(place, rows=noise(3))
    with pytest.raises(Untrusted):
        read(manifest, place, key=OTHER_KEY)


def test_a_part_that_is_missing_or_differs_from_the_manifest_is_named(place: FilePlace, small_parts: None) -> None:
    manifest = written(place, rows=noise())
    second = manifest.folder() + manifest.parts[1].name
    content = place.get(second)
    place.put(second, flipped(content, 100))
    with pytest.raises(Untrusted, match="Part 2 of"):
        read(manifest, place)
    place.delete(second)
    with pytest.raises(Untrusted, match=r"Part 2 of .* is missing"):
        read(manifest, place)


# --- The manifest -----------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(place: FilePlace, settings: Settings) -> Manifest:
    settings.BACKUP_KEYS = [SECRET]
    manifest = written(place, rows=noise(3))
    manifest_write(manifest, place=place, key=KEY)
    return manifest


def test_a_manifest_is_found_by_its_id_as_it_was_written(place: FilePlace, stored: Manifest) -> None:
    assert manifest_find(place, "one") == stored
    assert [listed.manifest for listed in manifests_list(place, database_id="b8d2")] == [stored]
    with pytest.raises(Refused, match="There is no backup two"):
        manifest_find(place, "two")


@pytest.mark.parametrize("name", ["id", "made_at", "origin", "migrations", "parts", "key", "salt", "format", "purpose"])
def test_a_manifest_of_which_anything_was_changed_is_refused(place: FilePlace, stored: Manifest, name: str) -> None:
    file = stored.folder() + "manifest.json"
    document = json.loads(place.get(file))
    changes = {
        "origin": {"database_id": "b8d2", "server": "other", "database": "rgms"},
        "migrations": ["accounts.0001_initial"],
        "parts": document["manifest"]["parts"][:-1],
        "salt": base64.b64encode(bytes([1] * 32)).decode(),
        "format": 2,
    }
    document["manifest"][name] = changes.get(name, "another")
    place.put(file, json.dumps(document).encode())
    with pytest.raises(Untrusted):
        manifest_find(place, "one")
    (listed,) = manifests_list(place)
    assert listed.manifest is None
    assert listed.problem


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"manifest": {}, "code": ""}', b"\xff\xfe", b"null"])
def test_a_manifest_that_is_none_is_refused_in_words(place: FilePlace, stored: Manifest, content: bytes) -> None:
    place.put(stored.folder() + "manifest.json", content)
    with pytest.raises(Untrusted, match="has been changed"):
        manifest_find(place, "one")


def test_a_manifest_that_was_moved_to_another_backups_place_is_refused(place: FilePlace, stored: Manifest) -> None:
    place.put("b8d2/later/manifest.json", place.get(stored.folder() + "manifest.json"))
    with pytest.raises(Untrusted, match="moved"):
        manifest_find(place, "later")


def test_without_its_key_a_backup_is_listed_with_the_key_that_it_needs(
    place: FilePlace, stored: Manifest, settings: Settings
) -> None:
    settings.BACKUP_KEYS = [OTHER_SECRET]
    (listed,) = manifests_list(place)
    assert listed.manifest is None
    assert KEY.name in listed.problem
    assert OTHER_KEY.name in listed.problem
    assert SECRET not in listed.problem


def test_a_new_first_key_leaves_older_backups_readable_while_the_former_one_follows(
    place: FilePlace, stored: Manifest, settings: Settings
) -> None:
    settings.BACKUP_KEYS = [OTHER_SECRET, SECRET]
    assert manifests.first_key() == OTHER_KEY
    assert manifest_find(place, "one") == stored


def test_the_chunk_that_is_tried_is_the_one_that_is_written() -> None:
    assert streams.CHUNK_BYTES == CHUNK_BYTES
