import pytest

from apps.pictures import rules
from apps.pictures.rules import file_state, retry_seconds
from config.celery import app
from core.storage import TIMEOUT_SECONDS
from core.uploads import LONGEST_WAIT


@pytest.mark.parametrize(
    ("name", "sent", "shown"),
    [
        ("", "", None),
        ("a.jpg", "", "ready"),
        ("", "processing", "processing"),
        ("a.jpg", "processing", "processing"),
        ("a.jpg", "refused", "refused"),
    ],
)
def test_what_a_record_shows_of_its_file(name: str, sent: str, shown: str | None) -> None:
    assert file_state(name=name, sent=sent) == shown


@pytest.mark.parametrize(
    ("waited", "jitter", "seconds"), [(0.5, 0.0, 15.0), (40.0, 0.5, 60.0), (100_000.0, 0.0, 120.0)]
)
def test_a_picture_waits_as_long_again_within_bounds(waited: float, jitter: float, seconds: float) -> None:
    assert retry_seconds(waited=waited, jitter=jitter) == seconds


def test_a_lease_is_longer_than_a_task_may_run_and_ends_before_its_message_comes_again() -> None:
    visibility = app.conf.broker_transport_options["visibility_timeout"]
    limits = (rules.SOFT_LIMIT_SECONDS, rules.HARD_LIMIT_SECONDS, rules.LEASE_SECONDS, visibility)
    assert limits == tuple(sorted(limits))
    assert LONGEST_WAIT + 2 * TIMEOUT_SECONDS + 30 < rules.SOFT_LIMIT_SECONDS
