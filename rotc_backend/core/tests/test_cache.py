import importlib.util
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import connections, transaction
from pytest_django import Settings

import core.cache
from core.cache import JsonSerializer, _unmoved, forget_failures, read_through, settle, touch
from core.measure import Measure, measuring
from core.tests.servers import PrivateValkey

pytestmark = pytest.mark.django_db(transaction=True)  # a touch waits for a real commit

AWAY = "rgms; fwd=bypass; detail=redis-away"
HIT = "rgms; hit"
MISS = "rgms; fwd=uri-miss; stored"
STALE = "rgms; fwd=stale; stored"


@pytest.fixture
def key() -> Iterator[str]:
    forget_failures()
    yield uuid.uuid4().hex
    forget_failures()
    settle()


def read(key: str, compute: Callable[[], Any], *, versions: list[str] | None = None) -> tuple[Any, str]:
    """(value, what Cache-Status says) of one read in a request of its own."""
    with measuring(Measure(request_id="a-request")) as measure:
        value = read_through(key=key, versions=versions or [key], ttl=60, compute=compute)
    (status,) = measure.cache_status
    return value, status


def never() -> Any:
    raise AssertionError("this must come from the cache")


# --- A server that is there -------------------------------------------------------------------------------------------


def test_the_first_read_computes_and_the_next_ones_do_not(key: str) -> None:
    value = {"rows": [1, "two", None, {"share": 0.5}], "count": 4}
    assert read(key, lambda: value) == (value, MISS)
    assert read(key, never) == (value, HIT)


@pytest.mark.parametrize("value", [None, 0, False, "", [], {}, 7, 2**40, 1.5, "text"])
def test_every_json_value_comes_back_as_it_was(key: str, value: Any) -> None:
    read(key, lambda: value)
    found, status = read(key, never)
    assert (found, type(found), status) == (value, type(value), HIT)


def test_a_touched_version_is_computed_again(key: str) -> None:
    read(key, lambda: 1)
    touch(key)
    assert read(key, lambda: 2) == (2, STALE)
    assert read(key, never) == (2, HIT)


def test_a_value_of_several_versions_falls_with_each_of_them_and_with_no_other(key: str) -> None:
    versions = [f"{key}.user", f"{key}.term"]
    read(key, lambda: 0, versions=versions)
    for number, version in enumerate(versions, start=1):
        touch(f"{key}.somebody-else")
        assert read(key, never, versions=versions)[1] == HIT
        touch(version)
        assert read(key, partial(int, number), versions=versions) == (number, STALE)


def test_one_touch_reaches_every_value_that_was_computed_from_it(key: str) -> None:
    for page in (1, 2):
        read(f"{key}.{page}", lambda: "old", versions=[key])
    touch(key)
    for page in (1, 2):
        assert read(f"{key}.{page}", lambda: "new", versions=[key])[0] == "new"


def test_a_failed_computation_is_an_error_and_is_not_stored(key: str) -> None:
    def failing() -> Any:
        raise LookupError("the database is away")

    with pytest.raises(LookupError):
        read(key, failing)
    assert read(key, lambda: 3) == (3, MISS)


def test_a_value_does_not_outlive_its_time(key: str) -> None:
    read_through(key=key, versions=[key], ttl=1, compute=lambda: 1)
    time.sleep(1.1)
    assert read(key, lambda: 2) == (2, MISS)


def test_what_is_stored_is_json_and_no_code() -> None:
    serializer = JsonSerializer()
    assert serializer.dumps({"a": [1]}) == b'{"a":[1]}'
    with pytest.raises(ValueError, match="decode"):
        serializer.loads(b"\x80\x04\x95cos\nsystem\n.")
    with pytest.raises(TypeError):
        serializer.dumps(object())


# --- Transactions -----------------------------------------------------------------------------------------------------


def test_a_touch_works_after_the_commit_and_not_before(key: str) -> None:
    read(key, lambda: "old")
    with transaction.atomic():
        touch(key)
        assert read(key, never) == ("old", HIT)
    assert read(key, lambda: "new") == ("new", STALE)


def test_a_touch_that_was_rolled_back_never_happened(key: str) -> None:
    read(key, lambda: "old")
    with pytest.raises(LookupError):
        touch_and_fail(key)
    assert read(key, never) == ("old", HIT)
    assert key not in _unmoved


@transaction.atomic
def touch_and_fail(key: str) -> None:
    touch(key)
    raise LookupError


def test_who_computed_before_a_commit_cannot_store_over_who_computed_after_it(key: str) -> None:
    stored = {"value": "old"}

    def slow() -> str:
        seen = stored["value"]
        stored["value"] = "new"  # the writer commits while the reader still computes
        touch(key)
        assert read(key, lambda: stored["value"])[0] == "new"
        return seen

    assert read(key, slow)[0] == "old"
    assert read(key, lambda: stored["value"])[0] == "new"


def test_readers_that_race_with_writers_never_leave_a_stale_value(key: str) -> None:
    """Two writers and two readers, each with its own connection. The rows are groups; a name tells its revision."""
    race = Race(key)
    readers = [race.start(race.read_until_over) for _ in range(2)]
    writers = [race.start(partial(race.write, place)) for place in (0, 1)]
    for thread in writers:
        thread.join(timeout=60)
    race.over.set()
    for thread in readers:
        thread.join(timeout=10)
    assert race.failures == []
    assert race.cached() == [Race.REVISIONS, Race.REVISIONS]


class Race:
    REVISIONS = 60

    def __init__(self, key: str) -> None:
        self.key = key
        self.rows = [Group.objects.create(name=f"0 {name}").pk for name in ("odd", "even")]
        self.over = threading.Event()
        self.failures: list[str] = []

    def cached(self) -> list[int]:
        """The revision of each row, through the cache."""
        names: list[str] = read_through(key=self.key, versions=[self.key], ttl=60, compute=self._names)
        return [int(name.split()[0]) for name in names]

    def _names(self) -> list[str]:
        return list(Group.objects.filter(pk__in=self.rows).order_by("pk").values_list("name", flat=True))

    def write(self, place: int) -> None:
        for revision in range(1, self.REVISIONS + 1):
            with transaction.atomic():
                Group.objects.filter(pk=self.rows[place]).update(name=f"{revision} {place}")
                touch(self.key)
            # The other writer moves the same version; what this one wrote must be seen from now on all the same.
            seen = self.cached()[place]
            if seen < revision:
                self.failures.append(f"row {place}: {seen} was served after {revision} had been committed")

    def read_until_over(self) -> None:
        while not self.over.is_set():
            self.cached()

    def start(self, work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - shown by the test itself
                self.failures.append(repr(error))
            finally:
                connections.close_all()

        thread = threading.Thread(target=run)
        thread.start()
        return thread


def test_a_touch_that_failed_is_not_struck_off_by_an_earlier_one_that_succeeded(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first commit's version is moved; a reader elsewhere stores; the second commit's move fails; all before the
    first thread strikes off what it has done."""
    another_process = another_copy_of_the_module()
    set_many = cache.set_many
    overtaken = threading.Event()

    def second_commit() -> None:
        def failing(*arguments: Any, **keywords: Any) -> Any:
            raise redis.ConnectionError

        cache.set_many = failing  # type: ignore[method-assign]  # each thread has a connection of its own
        try:
            touch(key)
        finally:
            connections.close_all()

    def slow(*arguments: Any, **keywords: Any) -> Any:
        result = set_many(*arguments, **keywords)
        if not overtaken.is_set():
            overtaken.set()
            another_process.read_through(key=key, versions=[key], ttl=60, compute=lambda: "before the second commit")
            thread = threading.Thread(target=second_commit)
            thread.start()
            thread.join(timeout=10)
        return result

    monkeypatch.setattr(cache, "set_many", slow)
    touch(key)
    assert overtaken.is_set()
    forget_failures()
    assert read(key, lambda: "after the second commit") == ("after the second commit", STALE)


def another_copy_of_the_module() -> Any:
    """core.cache as another process has it: the same Redis, nothing else in common."""
    spec = importlib.util.spec_from_file_location("core_cache_of_another_process", core.cache.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- A server that goes away ------------------------------------------------------------------------------------------


@pytest.fixture
def valkey(tmp_path: Path, settings: Settings, key: str) -> Iterator[PrivateValkey]:
    server = PrivateValkey(state=tmp_path)
    server.start()
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": server.url}}
    yield server
    server.kill()
    _unmoved.clear()


def test_when_redis_refuses_the_database_answers_at_once(key: str, valkey: PrivateValkey) -> None:
    read(key, lambda: "cached")
    valkey.kill()
    started = time.monotonic()
    assert read(key, lambda: "from the database") == ("from the database", AWAY)
    assert time.monotonic() - started < 1.0


def test_when_redis_hangs_the_first_request_waits_a_moment_and_the_next_ones_not_at_all(
    key: str, valkey: PrivateValkey
) -> None:
    read(key, lambda: "cached")
    with valkey.frozen():
        started = time.monotonic()
        assert read(key, lambda: "from the database") == ("from the database", AWAY)
        assert time.monotonic() - started < 1.0
        started = time.monotonic()
        for _ in range(20):
            assert read(key, lambda: "from the database")[1] == AWAY
        assert time.monotonic() - started < 0.2


def test_a_write_made_while_redis_was_away_is_seen_when_it_returns(key: str, valkey: PrivateValkey) -> None:
    read(key, lambda: "old")
    with valkey.frozen():
        touch(key)
        assert read(key, lambda: "new") == ("new", AWAY)
        assert key in _unmoved
    forget_failures()
    assert read(key, lambda: "new") == ("new", STALE)
    assert key not in _unmoved
    assert read(key, never) == ("new", HIT)


def test_the_sampler_settles_what_is_owed_without_waiting_for_a_reader(key: str, valkey: PrivateValkey) -> None:
    read(key, lambda: "old")
    with valkey.frozen():
        touch(key)
    forget_failures()
    settle()
    assert key not in _unmoved
    assert read(key, lambda: "new") == ("new", STALE)


def test_the_cache_is_used_again_some_seconds_after_redis_is_back(key: str, valkey: PrivateValkey) -> None:
    valkey.kill()
    assert read(key, lambda: 1)[1] == AWAY
    valkey.start()
    deadline = time.monotonic() + 5
    while (status := read(key, lambda: 1)[1]) == AWAY and time.monotonic() < deadline:
        time.sleep(0.05)
    assert status == MISS
    assert read(key, never)[1] == HIT


def test_a_redis_that_dies_between_read_and_store_does_not_fail_the_request(key: str, valkey: PrivateValkey) -> None:
    def dying() -> str:
        valkey.kill()
        return "computed"

    assert read(key, dying) == ("computed", "rgms; fwd=uri-miss; detail=redis-away")


def test_a_redis_that_refuses_writes_is_treated_as_away(key: str, valkey: PrivateValkey) -> None:
    # `noeviction` answers every write with an error once the memory is full.
    redis.Redis.from_url(valkey.url).config_set("maxmemory", 1)
    assert read(key, lambda: "computed")[0] == "computed"
    forget_failures()
    touch(key)
    assert key in _unmoved
