"""What a backup says of itself, in a file of its own that cannot be changed unseen.

<database id>/<backup id>/00001.part …   sealed and written first
<database id>/<backup id>/manifest.json  written last, after the backup was restored on trial: without it there is none
"""

import base64
import binascii
import dataclasses
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from apps.operations import rules
from apps.operations.services.backups.errors import Refused, Untrusted
from apps.operations.services.backups.places import Place
from apps.operations.services.backups.sealing import Key, keys_of, manifest_code, manifest_code_fits
from core.clock import iso

FORMAT = 1
_FILE = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Part:
    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class TableFacts:
    """`bytes` and `sha256` are of the rows as COPY writes them."""

    name: str
    columns: list[str]
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class SequenceFacts:
    table: str
    column: str
    last_value: int
    is_called: bool


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """`origin` as database.origin tells it, `migrations` as "app.name", `key` and `salt` for whoever has the key."""

    format: int
    id: str
    purpose: str
    made_at: str
    version: str
    commit: str | None
    server_version: int
    origin: Mapping[str, str]
    migrations: list[str]
    tables: list[TableFacts]
    sequences: list[SequenceFacts]
    parts: list[Part]
    key: str
    salt: str

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def size(self) -> int:
        """As stored."""
        return sum(part.bytes for part in self.parts)

    @property
    def stored(self) -> rules.StoredBackup:
        return rules.StoredBackup(
            id=self.id,
            purpose=self.purpose,
            made_at=dt.datetime.fromisoformat(self.made_at),
            release=self.commit or self.version,
        )

    @property
    def salt_bytes(self) -> bytes:
        return base64.b64decode(self.salt)

    def folder(self) -> str:
        return folder_of(database_id=self.origin["database_id"], backup_id=self.id)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A backup as it lies there. `problem` says in words why it cannot be used, where `manifest` is None."""

    id: str
    database_id: str
    manifest: Manifest | None
    problem: str = ""


def folder_of(*, database_id: str, backup_id: str) -> str:
    return f"{database_id}/{backup_id}/"


def first_key() -> Key:
    """What new backups are sealed with. Raises Refused."""
    keys = keys_of(settings.BACKUP_KEYS)
    if not keys:
        raise Refused("BACKUP_ENCRYPTION_KEY is not set, and nothing is stored unencrypted.")
    return keys[0]


def key_named(name: str) -> Key:
    """Raises Untrusted, naming which key would be needed."""
    keys = keys_of(settings.BACKUP_KEYS)
    for key in keys:
        if key.name == name:
            return key
    has = " and ".join(key.name for key in keys) or "none"
    raise Untrusted(
        f"The backup was made with the key {name}; BACKUP_ENCRYPTION_KEY holds {has}. Add that one, after a comma."
    )


def manifest_write(manifest: Manifest, *, place: Place, key: Key) -> None:
    """Make the backup one. Whoever reads it back finds this, or it was not stored."""
    body = dataclasses.asdict(manifest)
    code = manifest_code(_canonical(body), key=key, salt=manifest.salt_bytes)
    name = manifest.folder() + _FILE
    place.put(name, json.dumps({"manifest": body, "code": code}, indent=1).encode())
    if _parsed(place.get(name), where=name) != manifest:
        raise Untrusted("The manifest does not come back from the store as it was written.")


def manifests_list(place: Place, *, database_id: str | None = None) -> list[Listed]:
    """All backups, or those of one database, the newest first. Raises StoreAway."""
    names = place.names(f"{database_id}/" if database_id else "")
    found = []
    for name in names:
        folder, _, file = name.rpartition("/")
        owner, _, backup_id = folder.partition("/")
        if file != _FILE or not backup_id:
            continue
        try:
            manifest = _parsed(place.get(name), where=name)
        except (Untrusted, FileNotFoundError) as error:
            found.append(Listed(id=backup_id, database_id=owner, manifest=None, problem=str(error)))
        else:
            found.append(Listed(id=backup_id, database_id=owner, manifest=manifest))
    return sorted(found, key=lambda one: one.id, reverse=True)


def manifest_find(place: Place, backup_id: str) -> Manifest:
    """Raises Refused for one that is not there, Untrusted for one that was changed or needs another key."""
    found = [name for name in place.names() if name.endswith(f"/{backup_id}/{_FILE}")]
    if not found:
        raise Refused(f"There is no backup {backup_id} in {place.described}. Without options all are listed.")
    if len(found) > 1:
        raise Untrusted(f"There are {len(found)} backups {backup_id} in {place.described}: somebody has copied one.")
    return _parsed(place.get(found[0]), where=found[0])


def orphans(names: Sequence[str], *, database_id: str) -> Mapping[str, list[str]]:
    """Of one database, the parts of backups that have no manifest, by backup: their process was killed."""
    by_backup: dict[str, list[str]] = {}
    complete = set()
    for name in names:
        owner, _, rest = name.partition("/")
        backup_id, _, file = rest.partition("/")
        if owner == database_id and file:
            by_backup.setdefault(backup_id, []).append(name)
            if file == _FILE:
                complete.add(backup_id)
    return {backup_id: parts for backup_id, parts in by_backup.items() if backup_id not in complete}


def backup_delete(manifest: Manifest, place: Place) -> None:
    """The manifest first: a backup of which parts are missing must not look like one."""
    place.delete(manifest.folder() + _FILE)
    for part in manifest.parts:
        place.delete(manifest.folder() + part.name)


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def _parsed(content: bytes, *, where: str) -> Manifest:
    """Raises Untrusted, also for a manifest that was moved to the place of another one."""
    changed = Untrusted(f"The manifest {where} has been changed. Take another backup.")
    try:
        document = json.loads(content)
        body, code = document["manifest"], str(document["code"])
        key_name, salt, form = str(body["key"]), base64.b64decode(body["salt"], validate=True), body["format"]
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise changed from None
    key = key_named(key_name)
    if not manifest_code_fits(_canonical(body), code, key=key, salt=salt):
        raise changed
    if form != FORMAT:
        raise Untrusted(
            f"The backup has format {form}, and this release reads {FORMAT}. Take the release that made it."
        )
    manifest = Manifest(
        **{
            **body,
            "tables": [TableFacts(**table) for table in body["tables"]],
            "sequences": [SequenceFacts(**sequence) for sequence in body["sequences"]],
            "parts": [Part(**part) for part in body["parts"]],
        }
    )
    if where != manifest.folder() + _FILE:
        raise Untrusted(f"The manifest {where} belongs to {manifest.folder()}: somebody has moved it.")
    return manifest


def made_at_text(instant: dt.datetime) -> str:
    return iso(instant)
