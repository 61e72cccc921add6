import datetime as dt

import pytest

from apps.operations import rules
from apps.operations.rules import ASKED, PRE_DEPLOY, SAFETY, WEEKLY, StoredBackup, backups_to_prune

FIRST = dt.datetime(2026, 1, 4, 4, tzinfo=dt.UTC)


def backups(purpose: str, count: int, *, release: str = "1.2.0") -> list[StoredBackup]:
    return [
        StoredBackup(
            id=f"{purpose}-{number}", purpose=purpose, made_at=FIRST + number * dt.timedelta(days=7), release=release
        )
        for number in range(count)
    ]


def test_eight_weekly_ones_stay_and_the_oldest_go() -> None:
    assert backups_to_prune(backups(WEEKLY, 8)) == []
    assert backups_to_prune(backups(WEEKLY, 11)) == ["weekly-0", "weekly-1", "weekly-2"]
    assert backups_to_prune(reversed(backups(WEEKLY, 9))) == ["weekly-0"], "the order in which they are told matters"


def test_of_one_deploys_attempts_the_last_backup_stays() -> None:
    tried_thrice = backups(PRE_DEPLOY, 3, release="abc")
    before = StoredBackup(id="before", purpose=PRE_DEPLOY, made_at=FIRST - dt.timedelta(days=1), release="older")
    assert backups_to_prune([before, *tried_thrice]) == ["pre_deploy-0", "pre_deploy-1"]


def test_the_backups_before_the_last_eight_deploys_stay() -> None:
    deploys = [backups(PRE_DEPLOY, number + 1, release=f"commit-{number}")[-1] for number in range(10)]
    assert backups_to_prune(deploys) == ["pre_deploy-0", "pre_deploy-1"]


def test_one_purpose_does_not_push_out_another_and_an_unknown_one_stays() -> None:
    later = backups("of a later release", 50)
    everything = [*backups(WEEKLY, 8), *backups(ASKED, 4), *backups(SAFETY, 4), *later]
    assert backups_to_prune(everything) == []
    assert backups_to_prune([*everything, *backups(ASKED, 6)[4:]]) == ["asked-0", "asked-1"]


def test_an_id_sorts_by_time_and_is_a_name_everywhere() -> None:
    made = rules.backup_id(made_at=FIRST, purpose=PRE_DEPLOY, chance="3fa9c1")
    assert made == "20260104T040000Z-pre-deploy-3fa9c1"
    assert made < rules.backup_id(made_at=FIRST + dt.timedelta(seconds=1), purpose=ASKED, chance="000000")


@pytest.mark.parametrize(
    ("host", "label"),
    [
        ("ep-cool-darkness-123456-pooler.us-east-2.aws.neon.tech", "ep-cool-darkness-123456"),
        ("ep-cool-darkness-123456.us-east-2.aws.neon.tech", "ep-cool-darkness-123456"),
        ("dpg-abc-a", "dpg-abc-a"),
        ("dpg-abc-a.oregon-postgres.render.com", "dpg-abc-a"),
        ("10.0.0.7", "10.0.0.7"),
        ("::1", "::1"),
        ("/var/run/postgresql", "/var/run/postgresql"),
        ("", "local"),
    ],
)
def test_a_server_has_one_name_by_whichever_address_it_is_reached(host: str, label: str) -> None:
    assert rules.server_label(host) == label


def test_a_sequence_that_was_never_called_gives_its_first_value() -> None:
    assert rules.sequence_next(last_value=1, is_called=False, increment=1) == 1
    assert rules.sequence_next(last_value=7, is_called=True, increment=1) == 8
