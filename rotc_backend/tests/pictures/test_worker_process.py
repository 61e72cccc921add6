"""Pictures in real workers, which are killed, and whose storage is away."""

import datetime as dt
import io
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.db import connection, transaction
from PIL import Image

from apps.accounts.models import AuditEntry
from apps.cadets.models import Cadet
from apps.cadets.tests import factories as cadets
from apps.cadets.tests.factories import CadetPerson
from apps.events.models import OutboxJob
from apps.pictures.models import Picture, PicturePart, State
from apps.pictures.services import pictures_resume
from core import broker
from core.clock import now
from core.tests.cloudinary_stand_in import cloudinary_running
from core.tests.worker_process import Worker, wait_for, worker_running
from tests.pictures.factories import files, photo_sent

pytestmark = pytest.mark.django_db(transaction=True)
BUDGET = 512  # MB of the service


@pytest.fixture(autouse=True)
def _empty_redis() -> Iterator[None]:
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushdb()
    broker.forget_connections()
    yield
    client.flushdb()
    client.close()


def waiting_for_us() -> bool:
    """Whether another connection waits for the present transaction."""
    with connection.cursor() as cursor:
        # Not from pg_stat_activity, which a transaction sees as it was when it first looked.
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])


@contextmanager
def stopped_half_way(person: CadetPerson, media: Path, log: Path) -> Iterator[Worker]:
    """A worker that has stored the new file and is kept from writing whose it is: the cadet is held."""
    with transaction.atomic():
        Cadet.objects.select_for_update(no_key=True).get(pk=person.cadet.pk)
        with worker_running(log=log, MEDIA_ROOT=str(media)) as worker:
            wait_for(waiting_for_us, seconds=40, worker=worker)
            yield worker
        transaction.set_rollback(True)


def state_of(picture: Picture) -> str:
    picture.refresh_from_db()
    return picture.state


def it_came_once(person: CadetPerson, media: Path) -> bool:
    person.cadet.refresh_from_db()
    return (
        files(media) == [person.cadet.photo]
        and not PicturePart.objects.exists()
        and AuditEntry.objects.filter(action="cadet.set_photo").count() == 1
    )


def test_a_worker_killed_half_way_changes_nothing_and_another_one_completes_the_photo(
    liza: CadetPerson, media: Path, tmp_path: Path
) -> None:
    picture = photo_sent(liza)
    with stopped_half_way(liza, media, tmp_path / "first.log") as first:
        first.kill()
    assert (state_of(picture), len(files(media))) == (State.RUNNING, 1)
    liza.cadet.refresh_from_db()
    assert (liza.cadet.photo, liza.cadet.photo_sent) == ("", "processing")
    assert PicturePart.objects.exists()
    # As if the lease had run out and the quarter-hourly sweep had come; the broker's own patience is five minutes.
    Picture.objects.update(lease_until=now() - dt.timedelta(seconds=1))
    with worker_running(log=tmp_path / "second.log", MEDIA_ROOT=str(media)) as second:
        assert pictures_resume() == 1
        wait_for(lambda: state_of(picture) == State.DONE, seconds=40, worker=second)
    assert picture.attempt == 2
    assert it_came_once(liza, media)


def test_a_photo_replaced_while_a_worker_stores_it_leaves_the_newer_one(
    liza: CadetPerson, media: Path, tmp_path: Path
) -> None:
    older = photo_sent(liza)
    with worker_running(log=tmp_path / "worker.log", MEDIA_ROOT=str(media)) as worker:
        with transaction.atomic():
            newer = photo_sent(liza, size=(80, 60))  # holds the cadet, and the older one, until it commits
            time.sleep(1)
        wait_for(lambda: state_of(newer) == State.DONE, seconds=40, worker=worker)
        wait_for(lambda: not OutboxJob.objects.exists(), seconds=20, worker=worker)
    assert state_of(older) in {State.DROPPED, State.DONE}
    liza.cadet.refresh_from_db()
    assert files(media) == [liza.cadet.photo]
    with Image.open(media / liza.cadet.photo) as image:
        assert image.size == (80, 60)


def test_while_the_storage_is_away_the_photo_waits_and_comes_when_it_is_back(liza: CadetPerson, tmp_path: Path) -> None:
    with cloudinary_running() as account:
        account.fail_with = 500
        variables = {
            "MEDIA_STORAGE": "cloudinary",
            "CLOUDINARY_CLOUD_NAME": account.cloud_name,
            "CLOUDINARY_API_KEY": account.api_key,
            "CLOUDINARY_API_SECRET": account.api_secret,
            "CLOUDINARY_UPLOAD_PREFIX": account.url,
        }
        picture = photo_sent(liza)
        with worker_running(log=tmp_path / "worker.log", **variables) as worker:
            wait_for(lambda: "broke off" in worker.output(), seconds=40, worker=worker)
            assert (state_of(picture), picture.attempt, account.files) == (State.QUEUED, 0, {})
            account.fail_with = None
            # As if the wait of the message, or the quarter of an hour, had passed.
            Picture.objects.update(queued_at=now() - dt.timedelta(minutes=6))
            assert pictures_resume() == 1
            wait_for(lambda: state_of(picture) == State.DONE, seconds=40, worker=worker)
        liza.cadet.refresh_from_db()
        assert [name for _, _, name in account.files] == [liza.cadet.photo]


@pytest.mark.long
def test_the_largest_pictures_that_are_taken_fit_the_worker_and_are_worked_on_one_after_another(
    liza: CadetPerson, media: Path, tmp_path: Path
) -> None:
    large = io.BytesIO()
    Image.effect_noise((4000, 3100), 30).convert("RGB").resize((4080, 3060)).save(
        large, "JPEG", progressive=True, subsampling=0, quality=60
    )
    omar = cadets.cadet_person("Omar", last_name="Pangandaman")
    sent = [photo_sent(person, content=large.getvalue()) for person in (liza, omar)]
    with worker_running(log=tmp_path / "worker.log", MEDIA_ROOT=str(media)) as worker:
        sampled = [megabytes(worker)]

        def both_done() -> bool:
            sampled.append(megabytes(worker))
            return {state_of(picture) for picture in sent} == {State.DONE}

        wait_for(both_done, seconds=60, worker=worker)
    print(f"{large.tell() / 1e6:.1f} MB each; the worker: {sampled[0]:.0f} MB at rest, {max(sampled):.0f} at most")
    assert max(sampled) < BUDGET


def megabytes(worker: Worker) -> float:
    """What all processes of the worker have in the memory; what they share is counted once."""
    total = 0
    for pid in [worker.process.pid, *worker.children()]:
        with suppress(OSError):  # one that has grown is replaced after its task
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                total += int(line.split()[1]) if line.startswith("Pss:") else 0
    return total / 1024


@pytest.mark.long
def test_when_only_the_process_of_the_task_is_killed_its_worker_takes_the_picture_up_again(
    liza: CadetPerson, media: Path, tmp_path: Path
) -> None:
    picture = photo_sent(liza)
    with transaction.atomic():
        Cadet.objects.select_for_update(no_key=True).get(pk=liza.cadet.pk)
        worker_context = worker_running(log=tmp_path / "worker.log", MEDIA_ROOT=str(media))
        worker = worker_context.__enter__()
        wait_for(waiting_for_us, seconds=40, worker=worker)
        for pid in worker.children():
            os.kill(pid, signal.SIGKILL)
        transaction.set_rollback(True)
    try:
        Picture.objects.update(lease_until=now() + dt.timedelta(seconds=2))
        wait_for(lambda: state_of(picture) == State.DONE, seconds=60, worker=worker)
    finally:
        worker_context.__exit__(None, None, None)
    assert picture.attempt == 2
    assert it_came_once(liza, media)
