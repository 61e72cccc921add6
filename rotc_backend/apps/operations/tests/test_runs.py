import datetime as dt
import random
import threading
import uuid

import pytest
from django.db import connection, transaction

from apps.operations import rules
from apps.operations.models import Probe, ScheduledRun
from apps.operations.services import runs

SLOT = dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)
CRONTAB = "0 2 * * *"
DONE = rules.Outcome(succeeded=True, counts={"sessions": 3})

pytestmark = pytest.mark.usefixtures("no_runs")


def claim(slot: dt.datetime = SLOT) -> runs.Claim | None:
    return runs.run_claim(job="cleanup", slot=slot, crontab=CRONTAB)


def claimed(slot: dt.datetime = SLOT) -> runs.Claim:
    found = claim(slot)
    assert found is not None
    return found


def lease_ends() -> None:
    ScheduledRun.objects.update(lease_until=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))


def the_run() -> ScheduledRun:
    return ScheduledRun.objects.get()


def test_a_free_slot_is_claimed_for_the_length_of_a_lease():
    assert claimed().attempt == 1
    run = the_run()
    assert (run.lease_until - run.started_at).total_seconds() == pytest.approx(rules.LEASE_SECONDS, abs=1)
    assert run.finished_at is None


def test_a_held_slot_is_refused_with_the_time_that_is_left():
    claimed()
    with pytest.raises(runs.SlotHeld) as held:
        claim()
    assert held.value.seconds == pytest.approx(rules.LEASE_SECONDS, abs=2)


def test_a_finished_slot_is_never_claimed_again():
    runs.run_finish(claim=claimed(), outcome=DONE)
    lease_ends()
    assert claim() is None
    run = the_run()
    assert (run.outcome, run.counts, run.attempt) == ("succeeded", {"sessions": 3}, 1)


def test_when_the_lease_has_run_out_another_takes_over_and_the_first_can_no_longer_finish():
    first = claimed()
    lease_ends()
    second = claimed()
    assert second.attempt == 2
    with pytest.raises(runs.LeaseLost):
        runs.run_finish(claim=first, outcome=DONE)
    runs.run_finish(claim=second, outcome=DONE)
    assert the_run().attempt == 2


def test_after_five_attempts_the_slot_is_given_up_as_failed():
    for attempt in range(1, rules.ATTEMPTS + 1):
        assert claimed().attempt == attempt
        lease_ends()
    assert claim() is None
    run = the_run()
    assert (run.outcome, run.attempt) == ("failed", 5)
    assert "None of 5 attempts" in run.detail


def test_work_that_breaks_off_frees_its_slot_at_once_and_says_why():
    def broken(slot: dt.datetime) -> rules.Outcome:
        raise ConnectionResetError("secret-host:5432")

    with pytest.raises(runs.RunFailed) as failed:
        runs.slot_run(job="cleanup", slot=SLOT, crontab=CRONTAB, perform=broken, together=False)
    assert failed.value.attempt == 1
    assert the_run().detail == "ConnectionResetError in attempt 1."
    assert claimed().attempt == 2


def test_a_run_remembers_the_schedule_that_gave_its_slot_or_that_a_person_asked_for_it():
    claimed()
    runs.run_claim(job="cleanup", slot=SLOT + dt.timedelta(seconds=7), crontab="")
    assert list(ScheduledRun.objects.order_by("slot").values_list("trigger", "crontab")) == [
        ("schedule", CRONTAB),
        ("person", ""),
    ]


def test_work_that_is_done_together_with_its_record_is_undone_when_the_lease_was_lost():
    def slow(slot: dt.datetime) -> rules.Outcome:
        Probe.objects.create()
        ScheduledRun.objects.update(owner=uuid.uuid4())  # as another owner would
        return DONE

    with pytest.raises(runs.LeaseLost):
        runs.slot_run(job="cleanup", slot=SLOT, crontab=CRONTAB, perform=slow, together=True)
    assert not Probe.objects.exists()
    assert the_run().finished_at is None


def test_a_slot_that_was_done_is_not_performed_again():
    performed = []

    def perform(slot: dt.datetime) -> rules.Outcome:
        performed.append(slot)
        return DONE

    for _ in range(3):
        runs.slot_run(job="cleanup", slot=SLOT, crontab=CRONTAB, perform=perform, together=False)
    assert performed == [SLOT]


def test_twelve_claimers_of_whom_some_die_do_every_slot_once():
    slots = [SLOT + dt.timedelta(minutes=minute) for minute in range(40)]
    performed: list[dt.datetime] = []
    failures: list[Exception] = []
    guard = threading.Lock()

    def work(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for slot in slots:
                try:
                    own = claim(slot)
                except runs.SlotHeld:
                    continue
                if own is None or chance.random() < 0.1:
                    continue  # the second: died with the slot in its hands
                with transaction.atomic():
                    runs.run_finish(claim=own, outcome=DONE)
                    with guard:
                        performed.append(slot)
        except Exception as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)
        finally:
            connection.close()

    for round_of_deliveries in range(rules.ATTEMPTS - 1):
        threads = [threading.Thread(target=work, args=(12 * round_of_deliveries + n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        ScheduledRun.objects.filter(finished_at=None).update(lease_until=SLOT)
    assert failures == []
    assert sorted(performed) == slots


def test_the_table_is_what_the_model_says(django_assert_num_queries):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, is_nullable FROM information_schema.columns "
            "WHERE table_schema = 'ops' AND table_name = 'scheduled_run'"
        )
        found = dict(cursor.fetchall())
        expected = {field.column: "YES" if field.null else "NO" for field in ScheduledRun._meta.local_fields}
        assert found == expected
        cursor.execute("SELECT conname FROM pg_constraint WHERE conrelid = 'ops.scheduled_run'::regclass")
        names = {name for (name,) in cursor.fetchall()}
    assert {constraint.name for constraint in ScheduledRun._meta.constraints} <= names
