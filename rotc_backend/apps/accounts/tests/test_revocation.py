"""How soon, and how surely, an ended session is refused: in this process, beside it, and without the database."""

import threading
import time
from collections.abc import Iterator

import pytest
from django.db import connection, connections, transaction
from pytest_django import DjangoAssertNumQueries

from apps.accounts import selectors, services
from apps.accounts.models import Revocation
from apps.accounts.tests.factories import Person
from apps.accounts.tests.processes import python
from core.errors import Unavailable
from core.tests.servers import Door

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_read_serves_every_request_of_two_seconds(
    cadet: Person, stranger: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    selectors.is_revoked(cadet.principal)
    with django_assert_num_queries(0):
        for _ in range(100):
            assert not selectors.is_revoked(cadet.principal)
            assert not selectors.is_revoked(stranger.principal)


def test_a_revocation_by_another_service_is_seen_within_two_seconds(cadet: Person) -> None:
    principal = cadet.principal
    assert not selectors.is_revoked(principal)
    Revocation.objects.create(session_id=principal.session_id)  # another instance writes; nobody announces it here
    started = time.monotonic()
    while not selectors.is_revoked(principal):
        assert time.monotonic() - started < selectors.FRESH_SECONDS + 0.5
        time.sleep(0.02)


def test_a_revocation_of_this_process_is_seen_at_once_after_its_commit_and_never_after_a_rollback(
    cadet: Person,
) -> None:
    principal = cadet.principal
    with pytest.raises(LookupError), transaction.atomic():
        end_and_fail(cadet)
    assert not selectors.is_revoked(principal)
    services.session_end(actor=principal)
    assert selectors.is_revoked(principal)


def end_and_fail(person: Person) -> None:
    services.session_end(actor=person.principal)
    raise LookupError


def test_a_revocation_that_commits_late_is_not_overlooked(cadet: Person, stranger: Person) -> None:
    """A reader that asked for ids above the last one seen would lose the lower id that commits after the higher."""
    inserted, finish = threading.Event(), threading.Event()
    principal = cadet.principal

    def slow_writer() -> None:
        try:
            with transaction.atomic():
                Revocation.objects.create(session_id=cadet.session.pk)
                inserted.set()
                finish.wait(timeout=10)
                transaction.on_commit(selectors.announce_revocation)
        finally:
            connections.close_all()

    thread = threading.Thread(target=slow_writer)
    thread.start()
    assert inserted.wait(timeout=10)
    services.session_end(actor=stranger.principal)  # a higher id, committed first
    assert not selectors.is_revoked(principal)
    finish.set()
    thread.join(timeout=10)
    assert selectors.is_revoked(principal)


def test_a_higher_version_of_one_account_refuses_its_older_tokens_only(cadet: Person, stranger: Person) -> None:
    principal, other = cadet.principal, stranger.principal
    with transaction.atomic():
        for version in (3, 2):  # the highest counts, whatever the order
            Revocation.objects.create(user_id=cadet.user.pk, least_version=version)
        transaction.on_commit(selectors.announce_revocation)
    assert selectors.is_revoked(principal)
    assert not selectors.is_revoked(other)
    assert selectors.revocation_window().least_version == {cadet.user.pk: 3}


def test_a_database_that_hangs_holds_no_other_request_and_is_told_after_five_seconds(cadet: Person) -> None:
    principal = cadet.principal
    assert not selectors.is_revoked(principal)
    read_at = time.monotonic()
    locked, unlock = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("LOCK accounts_revocation IN ACCESS EXCLUSIVE MODE")
                locked.set()
                unlock.wait(timeout=30)
        finally:
            connections.close_all()

    def ask() -> None:
        try:
            selectors.is_revoked(principal)
        finally:
            connections.close_all()

    holder, reader = threading.Thread(target=hold), threading.Thread(target=ask)
    holder.start()
    assert locked.wait(timeout=10)
    try:
        time.sleep(max(0.0, read_at + selectors.FRESH_SECONDS + 0.1 - time.monotonic()))
        reader.start()  # hangs with the lock of the copy
        time.sleep(0.1)
        assert not selectors.is_revoked(principal)
        time.sleep(max(0.0, read_at + selectors.USABLE_SECONDS + 0.1 - time.monotonic()))
        with pytest.raises(Unavailable):
            selectors.is_revoked(principal)
    finally:
        unlock.set()
        holder.join(timeout=10)
        reader.join(timeout=10)
    assert not selectors.is_revoked(principal)


_FORKING = """
import os, sys
import django
django.setup()
from django.db import connections
from apps.accounts import selectors, services
from apps.accounts.authentication import principal_of

first, second = (principal_of(token) for token in sys.argv[1:3])  # the copy is read before the fork, as by preload
connections.close_all()
to_child, to_parent = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    assert not selectors.is_revoked(first)
    os.write(to_parent[1], b"1")
    os.read(to_child[0], 1)
    seen = selectors.is_revoked(first)
    services.session_end(actor=second)
    os.write(to_parent[1], b"y" if seen else b"n")
    os._exit(0)
os.read(to_parent[0], 1)
assert not selectors.is_revoked(second)
services.session_end(actor=first)
os.write(to_child[1], b"1")
seen_by_child = os.read(to_parent[0], 1) == b"y"
print(seen_by_child, selectors.is_revoked(second), flush=True)
os.waitpid(child, 0)
"""


def test_workers_of_one_instance_tell_each_other_at_once(cadet: Person, stranger: Person) -> None:
    process = python(_FORKING, cadet.access, stranger.access)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert output.split()[-2:] == ["True", "True"]


_ASKING = """
import sys
import django
django.setup()
from django.db import close_old_connections
from apps.accounts.authentication import principal_of
from core.errors import DomainError

for line in sys.stdin:
    close_old_connections()  # as at the start and the end of every request
    try:
        principal_of(line.strip())
        print("answer accepted", flush=True)
    except DomainError as error:
        print("answer", error.code, flush=True)
    close_old_connections()
"""


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door(host=connection.settings_dict["HOST"], port=int(connection.settings_dict["PORT"]))
    door.open()
    yield door
    door.shut()


def test_without_the_database_tokens_are_accepted_for_five_seconds_and_then_refused_as_unreadable(
    cadet: Person, door: Door
) -> None:
    process = python(_ASKING, port=door.port)
    questions, answers = process.stdin, process.stdout
    assert questions is not None
    assert answers is not None

    def ask() -> str:
        questions.write(f"{cadet.access}\n")
        for line in answers:
            if line.startswith("answer "):
                return line.split()[1]
        raise AssertionError("the process has ended")

    try:
        assert ask() == "accepted"
        read_at = time.monotonic()
        door.shut()
        assert ask() == "accepted"
        time.sleep(max(0.0, read_at + selectors.FRESH_SECONDS + 0.3 - time.monotonic()))
        assert ask() == "accepted"  # too old to be fresh, young enough to be used
        time.sleep(max(0.0, read_at + selectors.USABLE_SECONDS + 0.3 - time.monotonic()))
        assert ask() == "revocations_unreadable"
        door.open()
        assert ask() == "accepted"
    finally:
        questions.close()
        answers.close()
        process.wait(timeout=20)
