"""Backups and the ways back by the commands themselves, on databases of their own, killed at every step."""

import itertools
import json
import os
import re
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from apps.operations.tests.backup_targets import Target, database_of_its_own, released_database
from core import broker

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def template() -> Iterator[str]:
    with released_database(f"rgms_released_{os.getpid()}") as name:
        yield name


@pytest.fixture
def target(template: str, tmp_path: Path, empty_redis: object) -> Iterator[Target]:
    with database_of_its_own(f"rgms_target_{os.getpid()}_{next(_numbers)}", template=template) as url:
        yield Target(url=url, place=tmp_path / "backups")


def journal(target: Target) -> list[tuple[str, str | None]]:
    return target.sql("SELECT kind, outcome FROM ops.journal ORDER BY id")


def everything(target: Target) -> dict[str, list[tuple[object, ...]]]:
    tables = [name for (name,) in target.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    return {name: target.sql(f"SELECT * FROM public.{name} ORDER BY 1") for name in tables}  # noqa: S608


# --- There and back ---------------------------------------------------------------------------------------------------


def test_a_restore_brings_back_every_row_and_undo_brings_back_what_was_there_before(target: Target) -> None:
    before, names = everything(target), target.usernames()
    backup_id = target.backup_id()
    target.add_user("newcomer")
    target.sql("DELETE FROM messaging_notification")
    (ids,) = target.sql("SELECT max(id) FROM accounts_user")
    changed = target.usernames()
    (epoch,), (generation,) = (
        target.sql("SELECT epoch FROM event_head"),
        target.sql("SELECT generation FROM accounts_tokengeneration"),
    )

    done = target.rollback("--backup", backup_id, "--yes")
    assert done.code == 0, done.output
    # What differs is meant to: nobody resumes, no token is good, and links that were to be sent are given up.
    after = everything(target)
    differing = {name for name, rows in before.items() if after[name] != rows}
    assert differing <= {
        "event_head",
        "accounts_tokengeneration",
        "django_celery_beat_periodictask",
        "django_celery_beat_periodictasks",
        "django_session",
    }
    assert target.usernames() == names
    assert target.sql("SELECT epoch FROM event_head") != [epoch]
    assert target.sql("SELECT generation FROM accounts_tokengeneration") == [(generation[0] + 1,)]
    target.add_user("another")
    assert target.sql("SELECT max(id) FROM accounts_user") == [(ids[0] + 1,)], "an id was given a second time"

    assert target.sql("SELECT place FROM ops.journal WHERE kind = 'swap'") == [
        (name,) for name in target.schemas("old_")
    ]
    assert target.schemas("restore_") == []
    undone = target.rollback("--undo", "--yes")
    assert undone.code == 0, undone.output
    assert target.usernames() == changed
    assert target.sql("SELECT generation FROM accounts_tokengeneration") == [(generation[0] + 2,)]
    target.add_user("third")
    assert target.sql("SELECT max(id) FROM accounts_user") == [(ids[0] + 2,)]
    assert [row for row in journal(target) if row[0] != "verify"] == [
        ("backup", "succeeded"),
        ("prune", "succeeded"),
        ("load", "succeeded"),
        ("backup", "succeeded"),
        ("swap", "succeeded"),
        ("settle", "succeeded"),
        ("undo", "succeeded"),
        ("settle", "succeeded"),
    ]
    again = target.rollback("--undo", "--yes")
    assert again.code == 0, again.output
    assert target.usernames() == [*names, "another"]


def test_indexes_keys_rights_and_defaults_are_those_of_before(target: Target) -> None:
    shape = (
        "SELECT 'index', indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL "
        "SELECT 'constraint', concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) "
        "FROM pg_constraint WHERE connamespace = 'public'::regnamespace UNION ALL "
        "SELECT 'column', concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default, "
        "identity_generation) FROM information_schema.columns WHERE table_schema = 'public' UNION ALL "
        "SELECT 'rights', relname || ' ' || coalesce(relacl::text, '') FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S') ORDER BY 1, 2"
    )
    target.sql("GRANT SELECT ON accounts_user TO PUBLIC; GRANT USAGE ON SEQUENCE accounts_user_id_seq TO PUBLIC")
    before = target.sql(shape)
    backup_id = target.backup_id()
    done = target.rollback("--backup", backup_id, "--yes", "--without-safety-backup")
    assert done.code == 0, done.output
    after = target.sql(shape)
    assert [row for row in after if row[0] != "rights"] == [row for row in before if row[0] != "rights"]
    assert [row for row in after if "PUBLIC" in row[1] or "=r/" in row[1] or "=U/" in row[1]] == [
        row for row in before if "PUBLIC" in row[1] or "=r/" in row[1] or "=U/" in row[1]
    ]
    assert any("=r/" in row[1] for row in after)


def test_the_safety_backup_holds_what_the_restore_put_aside(target: Target) -> None:
    first = target.backup_id()
    target.add_user("newcomer")
    assert target.rollback("--backup", first, "--yes").code == 0
    (safety,) = [backup_id for backup_id in target.backup_ids() if "-safety-" in backup_id]
    assert "newcomer" not in target.usernames()
    done = target.rollback("--backup", safety, "--yes", "--without-safety-backup")
    assert done.code == 0, done.output
    assert "newcomer" in target.usernames()


def test_without_an_option_it_shows_where_things_stand_and_changes_nothing(target: Target) -> None:
    backup_id = target.backup_id()
    (target.place / "x" / "20200101T000000Z-weekly-000000").mkdir(parents=True)
    (target.place / "x" / "20200101T000000Z-weekly-000000" / "manifest.json").write_text("{}")
    before = everything(target), journal(target)
    done = target.rollback()
    assert done.code == 0, done.output
    assert f"  {backup_id}  " in done.output
    assert "20200101T000000Z-weekly-000000  CANNOT BE USED" in done.output
    assert "accounts 0001_initial" in done.output
    assert "--to-release 1.0.0  is where it stands" in done.output
    assert "nothing to bring back" in done.output
    assert (everything(target), journal(target)) == before
    assert target.key not in done.output
    assert re.search(r"://\w+:", done.output) is None


# --- Refused, before anything changes ---------------------------------------------------------------------------------


def refused(target: Target, *options: str, code: int, words: str) -> None:
    before = everything(target)
    done = target.rollback(*options)
    assert done.code == code, done.output
    assert words in done.output
    assert "Traceback" not in done.output
    assert everything(target) == before
    assert target.schemas("old_") == []
    assert target.schemas("restore_") == []


def test_it_asks_before_it_acts_and_does_nothing_where_nobody_can_answer(target: Target) -> None:
    backup_id = target.backup_id()
    refused(target, "--backup", backup_id, code=7, words="Add --yes")
    assert target.schemas("restore_") == []


def test_a_backup_of_another_database_is_refused_unless_told(target: Target, template: str, tmp_path: Path) -> None:
    with database_of_its_own(f"rgms_other_{os.getpid()}", template=template) as url:
        other = Target(url=url, place=target.place, key=target.key)
        other.add_user("stranger")
        backup_id = other.backup_id()
    refused(target, "--backup", backup_id, "--yes", code=3, words="--other-database")
    done = target.rollback("--backup", backup_id, "--yes", "--other-database", "--without-safety-backup")
    assert done.code == 0, done.output
    assert "stranger" in target.usernames()


def test_while_services_run_it_is_refused_unless_told(target: Target) -> None:
    backup_id = target.backup_id()
    facts = {"service": "rotc-celery-worker", "instance": "x"}
    broker.heartbeat_write(facts=facts)
    refused(target, "--backup", backup_id, "--yes", code=3, words="Running: rotc-celery-worker.")
    refused(target, "--undo", "--yes", code=3, words="nothing to undo")
    done = target.rollback("--backup", backup_id, "--yes", "--force-online", "--without-safety-backup")
    assert done.code == 0, done.output


def test_a_service_is_seen_by_its_connection_too_when_redis_is_away(target: Target, closed_port: int) -> None:
    backup_id = target.backup_id()
    target.variables["REDIS_URL"] = f"redis://127.0.0.1:{closed_port}/0"
    with psycopg.connect(target.url, application_name="rotc-django-web"):
        refused(target, "--backup", backup_id, "--yes", code=3, words="Running: rotc-django-web.")


def test_when_redis_is_away_the_exchange_is_finished_by_the_same_command_later(
    target: Target, closed_port: int
) -> None:
    backup_id = target.backup_id()
    target.add_user("newcomer")
    target.variables["REDIS_URL"] = f"redis://127.0.0.1:{closed_port}/0"
    done = target.rollback("--backup", backup_id, "--yes", "--without-safety-backup")
    assert done.code == 6, done.output
    assert "newcomer" not in target.usernames()
    shown = target.rollback()
    assert "UNFINISHED" in shown.output
    assert f"--backup {backup_id}" in shown.output
    del target.variables["REDIS_URL"]
    again = target.rollback("--backup", backup_id, "--yes")
    assert again.code == 0, again.output
    assert len(target.schemas("old_")) == 1, "exchanged twice"


def test_a_backup_that_was_tampered_with_is_refused(target: Target) -> None:
    backup_id = target.backup_id()
    (part,) = target.place.rglob("00001.part")
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(bytes(content))
    refused(target, "--backup", backup_id, "--yes", code=4, words="Part 1 of 1 of the backup has been changed")
    part.unlink()
    refused(target, "--backup", backup_id, "--yes", code=4, words="is missing")
    (manifest,) = target.place.rglob("manifest.json")
    document = json.loads(manifest.read_text())
    document["manifest"]["parts"] = []
    manifest.write_text(json.dumps(document))
    refused(target, "--backup", backup_id, "--yes", code=4, words="has been changed")


def test_another_key_is_refused_and_named(target: Target) -> None:
    backup_id = target.backup_id()
    former, target.key = target.key, "S" + target.key[1:].swapcase()
    refused(target, "--backup", backup_id, "--yes", code=4, words="was made with the key")
    target.key = f"{target.key},{former}"
    assert target.rollback("--backup", backup_id, "--yes", "--without-safety-backup").code == 0


def test_a_state_that_this_code_does_not_know_is_refused(target: Target) -> None:
    target.sql("INSERT INTO django_migrations (app, name, applied) VALUES ('accounts', '0099_later', now())")
    done = target.backup()
    assert done.code == 3, done.output
    assert "accounts.0099_later" in done.output
    assert target.backup_ids() == [], "a backup that could not be restored on trial is none"


def test_large_objects_views_and_tables_of_no_migration_are_refused(target: Target) -> None:
    backup_id = target.backup_id()
    target.sql("CREATE VIEW public.grown AS SELECT username FROM accounts_user")
    refused(target, "--backup", backup_id, "--yes", code=3, words="the view public.grown")
    target.sql("DROP VIEW public.grown; SELECT lo_create(4711)")
    done = target.backup()
    assert (done.code, "large objects" in done.output) == (3, True), done.output
    target.sql("SELECT lo_unlink(4711)")
    target.sql("CREATE TABLE public.by_hand (id bigint PRIMARY KEY)")
    done = target.backup()
    assert (done.code, "No migration makes by_hand" in done.output) == (3, True), done.output
    assert target.backup_ids() == [backup_id]
    assert target.schemas("restore_") == []


def test_a_transaction_that_holds_a_table_leaves_everything_as_it_was(target: Target) -> None:
    backup_id = target.backup_id()
    with psycopg.connect(target.url) as other:
        other.execute("UPDATE accounts_user SET first_name = 'Held'")
        before = target.usernames()
        done = target.rollback("--backup", backup_id, "--yes", "--without-safety-backup")
        assert done.code == 5, done.output
        assert "nothing was exchanged" in done.output
        assert target.schemas("restore_") == []
        assert target.usernames() == before
        other.rollback()
    assert target.rollback("--backup", backup_id, "--yes", "--without-safety-backup").code == 0


def test_requests_that_read_the_tables_in_another_order_do_not_end_the_exchange(target: Target) -> None:
    backup_id = target.backup_id()
    tables = [name for (name,) in target.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    first, last = min(tables), max(tables)
    ended: list[bool] = []

    def read() -> None:
        """The last table, and the first one while the exchange holds that and waits for the last: one has to give way.
        The exchange, which has waited for longer, is the first to notice.
        """
        with psycopg.connect(target.url) as reader:
            reader.execute(f'SELECT FROM public."{last}"'.encode())
            deadline = time.monotonic() + 60
            while not target.sql("SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"):
                assert time.monotonic() < deadline, "the exchange never waited"
                time.sleep(0.02)
            reader.execute(f'SELECT FROM public."{first}"'.encode())
        ended.append(True)

    reading = threading.Thread(target=read)
    reading.start()
    done = target.rollback("--backup", backup_id, "--yes", "--without-safety-backup")
    reading.join()
    assert (done.code, ended) == (0, [True]), done.output


def test_two_at_the_same_time_are_one_after_the_other_or_one_is_refused(target: Target) -> None:
    backup_id = target.backup_id()
    with psycopg.connect(target.url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(7208832)")
        refused(target, "--backup", backup_id, "--yes", code=5, words="Another backup or restore is at work")
        assert target.backup().code == 5


def test_without_the_settings_nothing_pretends(target: Target) -> None:
    target.variables = {"BACKUP_URL": "", "BACKUP_ENCRYPTION_KEY": ""}
    done = target.backup()
    assert done.code == 3
    assert "BACKUP_URL and BACKUP_ENCRYPTION_KEY are not set" in done.output
    before_deploy = target.backup("--before-deploy")
    assert before_deploy.code == 0
    assert "WARNING: No backup is made before this deploy" in before_deploy.output
    target.variables = {"BACKUP_URL": "ftp://somewhere"}
    assert target.backup().code == 1
    assert "BACKUP_URL is not the address of a place for backups" in target.backup().output


def test_before_the_first_deploy_there_is_nothing_to_back_up(target: Target) -> None:
    with database_of_its_own(f"rgms_empty_{os.getpid()}") as url:
        empty = Target(url=url, place=target.place)
        done = empty.backup("--before-deploy")
        assert (done.code, "nothing to back up" in done.output) == (0, True), done.output
        assert empty.backup().code == 3
    assert target.backup("--before-deploy").code == 0
    assert ["-pre-deploy-" in backup_id for backup_id in target.backup_ids()] == [True]


def test_a_backup_waits_for_nobody_who_writes_into_what_survives_a_restore(target: Target) -> None:
    """Its trial lays out tables by the migrations, which make those of `ops` too; others would wait behind it."""
    target.migrate(())
    tables = [name for (name,) in target.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'ops'")]
    with psycopg.connect(target.url) as writer:
        for table in set(tables) - {"scheduled_run"}:  # a released migration's; nobody writes into it for long
            writer.execute(f"LOCK TABLE ops.{table} IN ROW EXCLUSIVE MODE".encode())
        target.backup_id()


# --- Down to a release ------------------------------------------------------------------------------------------------


def test_to_an_earlier_release_migrations_are_reversed_after_a_backup(target: Target) -> None:
    names = target.usernames()
    target.migrate(())
    done = target.rollback("--to-release", "1.1.0", "--yes")
    assert done.code == 0, done.output
    assert "training.0002_scans" in done.output
    assert "imports.0001_initial" in done.output
    assert target.usernames() == names
    state = dict(target.sql("SELECT app, max(name) FROM django_migrations GROUP BY app"))
    assert (state["accounts"], state["training"]) == ("0002_invitations_and_lockout", "0001_initial")
    assert "imports" not in state
    assert len(target.backup_ids()) == 1
    again = target.rollback("--to-release", "1.1.0", "--yes")
    assert (again.code, "is at release 1.1.0 already" in again.output) == (0, True), again.output
    refused(target, "--to-release", "0.9.0", "--yes", code=3, words="No release 0.9.0 is known")
    # And on, from where it was: by the backup that was made before.
    (backup_id,) = target.backup_ids()
    restored = target.rollback("--backup", backup_id, "--yes", "--without-safety-backup")
    assert restored.code == 0, restored.output
    assert target.usernames() == names


def test_a_release_that_the_database_has_not_reached_is_refused(target: Target) -> None:
    refused(target, "--to-release", "1.1.0", "--yes", code=3, words="not beyond release 1.1.0")


# --- kill -9 ----------------------------------------------------------------------------------------------------------

BACKUP_STEPS = [
    ("writing:Journal.step", "before"),
    ("writing:tables.lock_shared", "after"),
    ("writing:BackupWriter._store", "before"),
    ("writing:BackupWriter._store", "after"),
    ("writing:schema_load", "before"),
    ("loading:_lay_out", "after"),
    ("loading:_drop_secondary", "after"),
    ("loading:_copy_in", "after"),
    ("loading:_compare", "after"),
    ("writing:manifest_write", "before"),
    ("writing:manifest_write", "after"),
    ("writing:_orphans_delete", "after"),
]
BEFORE_THE_EXCHANGE = [
    ("loading:_lay_out", "after"),
    ("loading:_make_secondary", "after"),
    ("loading:_compare", "after"),
    ("restoring:_findings", "before"),
    ("restoring:backup_write", "before"),
    ("restoring:backup_write", "after"),
    ("exchanging:_raise_sequences", "after"),
    ("exchanging:_grant", "before"),
    ("exchanging:_begin_anew", "after"),
    ("restoring:Journal.end", "after"),
]
AFTER_THE_EXCHANGE = [("restoring:exchange", "after"), ("restoring:settle", "before"), ("restoring:settle", "after")]


def some(steps: list[tuple[str, str]], *, of: int) -> pytest.MarkDecorator:
    """A few of them in scripts/test, all in scripts/prove."""
    return pytest.mark.parametrize(
        "steps",
        [pytest.param(steps[1::of], id="some"), pytest.param(steps, id="all", marks=pytest.mark.long)],
    )


@some(BACKUP_STEPS, of=4)
def test_a_backup_that_is_killed_anywhere_leaves_the_data_alone_and_the_next_one_is_good(
    target: Target, steps: list[tuple[str, str]]
) -> None:
    before, names = everything(target), target.usernames()
    for where, moment in steps:
        known = target.backup_ids()
        target.killed(where, moment, "backup_database")
        assert everything(target) == before, (where, moment)
        is_stored = where == "writing:_orphans_delete" or (where, moment) == ("writing:manifest_write", "after")
        assert len(target.backup_ids()) - len(known) == is_stored, (where, moment)
    backup_id = target.backup_id()
    assert target.schemas("restore_") == []
    assert None not in {outcome for _, outcome in journal(target)}
    assert ("backup", "interrupted") in journal(target)
    assert target.rollback("--backup", backup_id, "--yes", "--without-safety-backup").code == 0
    assert target.usernames() == names


@some(BEFORE_THE_EXCHANGE, of=5)
def test_a_restore_that_is_killed_before_the_exchange_has_changed_nothing_and_can_be_run_again(
    target: Target, steps: list[tuple[str, str]]
) -> None:
    names, backup_id = target.usernames(), target.backup_id()
    command = ("rollback_migration", "--backup", backup_id, "--yes")
    target.add_user("newcomer")
    before = everything(target)
    for where, moment in steps:
        target.killed(where, moment, *command)
        assert everything(target) == before, (where, moment)
        assert target.schemas("old_") == [], (where, moment)
    done = target.rollback(*command[1:])
    assert done.code == 0, done.output
    assert target.usernames() == names
    assert target.schemas("restore_") == []
    assert None not in {outcome for _, outcome in journal(target)}


@some(AFTER_THE_EXCHANGE, of=2)
def test_a_restore_that_is_killed_after_the_exchange_is_finished_by_the_same_command(
    target: Target, steps: list[tuple[str, str]]
) -> None:
    names, backup_id = target.usernames(), target.backup_id()
    command = ("--backup", backup_id, "--yes", "--without-safety-backup")
    for number, (where, moment) in enumerate(steps, start=1):
        target.add_user("newcomer")
        target.killed(where, moment, "rollback_migration", *command)
        assert target.usernames() == names, (where, moment)
        kept = target.schemas("old_")
        assert len(kept) == number, (where, moment)
        done = target.rollback(*command)
        assert (done.code, "finishing" in done.output) == (0, True), done.output
        assert target.schemas("old_") == kept, "exchanged twice"
        assert target.usernames() == names
        assert None not in {outcome for _, outcome in journal(target)}


def test_an_undo_that_is_killed_anywhere_is_finished_by_the_same_command(target: Target) -> None:
    backup_id = target.backup_id()
    target.add_user("newcomer")
    assert target.rollback("--backup", backup_id, "--yes", "--without-safety-backup").code == 0
    before = everything(target)
    target.killed("exchanging:_begin_anew", "after", "rollback_migration", "--undo", "--yes")
    assert everything(target) == before
    target.killed("restoring:exchange", "after", "rollback_migration", "--undo", "--yes")
    assert "newcomer" in target.usernames()
    done = target.rollback("--undo", "--yes")
    assert (done.code, "finishing" in done.output) == (0, True), done.output
    assert "newcomer" in target.usernames(), "undone twice"
    shown = target.run("-c", _PREVIEW).output
    assert "A restore was taken back at" in shown
    assert "become the live data again" in shown


# What somebody at a terminal reads before the question.
_PREVIEW = """
import django
django.setup()
from apps.operations.services.backups.restoring import undo_preview
print(undo_preview())
"""


def test_a_database_that_goes_away_after_the_exchange_leaves_work_for_the_same_command(target: Target) -> None:
    backup_id = target.backup_id()
    done = target.run("-c", _AWAY_AFTER_THE_EXCHANGE, "rollback_migration", "--backup", backup_id, "--yes")
    assert (done.code, "The tables are exchanged" in done.output) == (6, True), done.output
    assert "UNFINISHED" in target.rollback().output
    assert target.rollback("--backup", backup_id, "--yes").code == 0
    assert len(target.schemas("old_")) == 1, "exchanged twice"


_AWAY_AFTER_THE_EXCHANGE = """
import sys
import django
django.setup()
import psycopg
from apps.operations.services.backups import restoring
def lose(control):
    raise psycopg.OperationalError("server closed the connection unexpectedly")
restoring.settle = lose
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


def test_a_return_to_a_release_that_is_killed_goes_on(target: Target) -> None:
    names = target.usernames()
    target.migrate(())
    target.killed("releases:backup_write", "after", "rollback_migration", "--to-release", "1.0.0", "--yes")
    assert target.usernames() == names
    done = target.rollback("--to-release", "1.0.0", "--yes")
    assert done.code == 0, done.output
    assert target.usernames() == names


# --- While people work ------------------------------------------------------------------------------------------------


def test_a_cache_key_from_before_is_gone_and_the_queue_is_left_alone(target: Target, empty_redis: object) -> None:
    from django.core.cache import cache

    backup_id = target.backup_id()
    cache.set("value:x", 1)
    message = json.dumps({"headers": {"task": "imports.import_run_perform", "id": str(uuid.uuid4())}})
    empty_redis.lpush(settings.CELERY_TASK_DEFAULT_QUEUE, message)  # type: ignore[attr-defined]
    done = target.rollback("--backup", backup_id, "--yes", "--without-safety-backup")
    assert done.code == 0, done.output
    assert cache.get("value:x") is None
    assert empty_redis.llen(settings.CELERY_TASK_DEFAULT_QUEUE) == 1  # type: ignore[attr-defined]
    assert "1 imports.import_run_perform" in done.output
