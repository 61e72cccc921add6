"""What a backup takes while people write, and what it keeps of older ones."""

import contextlib
import datetime as dt
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from apps.operations import rules
from apps.operations.models import JournalEntry
from apps.operations.services.backups import database, tables, writing
from apps.operations.services.backups.errors import Busy, Refused, StoreAway
from apps.operations.services.backups.manifests import Manifest, manifest_write, manifests_list
from apps.operations.services.backups.places import FilePlace, place_open
from apps.operations.services.backups.releases import RELEASES, releases_known
from apps.operations.services.backups.sealing import keys_of
from apps.operations.services.backups.writing import backup_create
from core.clock import now
from tests.test_migrations import RELEASES as PROVEN

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def place(settings: Settings, tmp_path: Path, transactional_db: None) -> Iterator[FilePlace]:
    settings.BACKUP_PLACE = {"kind": "file", "path": str(tmp_path)}
    settings.BACKUP_KEYS = [secrets.token_urlsafe(48)]
    yield FilePlace(path=str(tmp_path))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ops.journal")


def rows(manifest: Manifest, table: str) -> int:
    return next(found.rows for found in manifest.tables if found.name == table)


def test_rows_that_are_committed_while_it_copies_are_in_no_table_of_it(
    place: FilePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = writing._begun

    def begun(reading: database.Connection) -> list[str]:
        names = real(reading)
        with contextlib.closing(database.connect()) as other:
            other.execute("INSERT INTO accounts_attempts (kind, key, at, last_at) VALUES ('account', 'k', '{}', now())")
        return names

    monkeypatch.setattr(writing, "_begun", begun)
    assert rows(backup_create(purpose=rules.ASKED), "accounts_attempts") == 0
    monkeypatch.setattr(writing, "_begun", real)
    assert rows(backup_create(purpose=rules.ASKED), "accounts_attempts") == 1


def test_a_table_that_is_emptied_while_it_copies_waits_for_it(
    place: FilePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(database.connect()) as other:
        other.execute("INSERT INTO accounts_attempts (kind, key, at, last_at) VALUES ('account', 'k', '{}', now())")
    real, emptying = writing._begun, []

    def begun(reading: database.Connection) -> list[str]:
        names = real(reading)

        def empty() -> None:
            with contextlib.closing(database.connect()) as other:
                other.execute("TRUNCATE accounts_attempts")

        emptying.append(threading.Thread(target=empty))
        emptying[0].start()
        return names

    monkeypatch.setattr(writing, "_begun", begun)
    assert rows(backup_create(purpose=rules.ASKED), "accounts_attempts") == 1
    emptying[0].join(10)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM accounts_attempts")
        assert cursor.fetchone() == (0,)


def test_while_a_migration_holds_a_table_it_says_so(place: FilePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_COPY_SECONDS_TO_LOCK", "100ms")
    with contextlib.closing(database.connect()) as other, other.transaction():
        other.execute("LOCK TABLE accounts_user IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Busy, match="keeps a table to itself"):
            backup_create(purpose=rules.ASKED)
    assert place.names() == []


def test_values_of_every_kind_come_back(place: FilePlace) -> None:
    # Text with what COPY escapes, instants before 1970 and in the far future, and the largest numbers.
    with contextlib.closing(database.connect()) as other:
        other.execute(
            "INSERT INTO event (type, recipients, data, at) VALUES "
            "(%s, ARRAY['a,b', '\"', E'\\\\', NULL, ''], '{\"n\": 1e-300, \"t\": \"\\u2028\\\\N\"}', '0044-03-15 BC'), "
            "('ñ\U0001f6a9', '{}', 'null', '9999-12-31 23:59:59.999999+00')",
            ["tab\tline\nreturn\r\\N \\. back\\slash"],
        )
    assert rows(backup_create(purpose=rules.ASKED), "event") == 2  # which the trial has compared by digests


def test_a_process_with_other_settings_of_the_server_makes_the_same_digests(place: FilePlace) -> None:
    first = backup_create(purpose=rules.ASKED)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        (role,) = cursor.fetchone()
        cursor.execute(f"ALTER ROLE \"{role}\" SET IntervalStyle = 'sql_standard'")
        cursor.execute(f"ALTER ROLE \"{role}\" SET bytea_output = 'escape'")
        cursor.execute(f"ALTER ROLE \"{role}\" SET timezone = 'Asia/Manila'")
    try:
        second = backup_create(purpose=rules.ASKED)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER ROLE "{role}" RESET ALL')
    assert [table.sha256 for table in second.tables] == [table.sha256 for table in first.tables]


def test_the_direct_address_must_lead_to_the_same_database(place: FilePlace, settings: Settings) -> None:
    settings.DATABASE_DIRECT = {**connection.settings_dict, "NAME": "postgres", "OPTIONS": {}}
    with pytest.raises(Refused, match="has no schema `ops`"):
        backup_create(purpose=rules.ASKED)
    settings.DATABASE_DIRECT = {**connection.settings_dict, "OPTIONS": {}}
    assert backup_create(purpose=rules.ASKED).rows > 0


# --- What stays -------------------------------------------------------------------------------------------------------


def older(place: FilePlace, like: Manifest, *, weeks: int, purpose: str = rules.WEEKLY, **changes: object) -> str:
    import dataclasses

    made_at = now() - dt.timedelta(weeks=weeks)
    backup_id = rules.backup_id(made_at=made_at, purpose=purpose, chance="000000")
    manifest = dataclasses.replace(
        like,
        id=backup_id,
        purpose=purpose,
        made_at=made_at.isoformat(),
        parts=[],
        **changes,  # type: ignore[arg-type]
    )
    from django.conf import settings

    manifest_write(manifest, place=place, key=keys_of(settings.BACKUP_KEYS)[0])
    return backup_id


def test_after_a_good_one_the_ninth_week_goes_and_a_copys_backups_stay(place: FilePlace) -> None:
    like = backup_create(purpose=rules.ASKED)
    weekly = [older(place, like, weeks=weeks) for weeks in range(1, 10)]
    elsewhere = {**like.origin, "server": "a-branch-of-it"}
    foreign = [older(place, like, weeks=weeks, origin=elsewhere) for weeks in range(20, 30)]
    place.put(f"{like.origin['database_id']}/20200101T000000Z-weekly-000000/00001.part", b"of a killed process")
    young = f"{like.origin['database_id']}/{rules.backup_id(made_at=now(), purpose='asked', chance='1')}/00001.part"
    place.put(young, b"perhaps somebody is at it")
    made = backup_create(purpose=rules.WEEKLY)
    left = {one.id for one in manifests_list(place)}
    assert left == {like.id, made.id, *weekly[:7], *foreign}
    assert [name for name in place.names() if "20200101" in name] == []
    assert young in place.names()
    pruned = JournalEntry.objects.filter(kind="prune").order_by("-pk").first()
    assert pruned is not None
    assert pruned.counts == {"removed": 2, "unfinished_removed": 1, "kept": 9}


def test_after_a_failed_one_everything_stays(place: FilePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    like = backup_create(purpose=rules.ASKED)
    weekly = [older(place, like, weeks=weeks) for weeks in range(1, 12)]

    def full(*_: object, **__: object) -> None:
        raise StoreAway("the store is full")

    monkeypatch.setattr(writing, "manifest_write", full)
    with pytest.raises(StoreAway):
        backup_create(purpose=rules.WEEKLY)
    with place_open() as opened:
        assert {one.id for one in manifests_list(opened)} == {like.id, *weekly}
    failed = JournalEntry.objects.filter(kind="backup").order_by("-pk").first()
    assert failed is not None
    assert (failed.outcome, failed.detail) == ("failed", "the store is full")


# --- Releases ---------------------------------------------------------------------------------------------------------


def test_the_states_of_the_releases_are_those_whose_way_back_is_proven() -> None:
    proven = {release.number: dict(release.migrations) for release in PROVEN}
    assert {release: dict(state) for release, state in RELEASES.items()} == proven
    assert releases_known() == [release.number for release in PROVEN]
