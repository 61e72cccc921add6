"""What lets a client's rights be asked for again: until they are known, nobody is told anything that came later."""

import dataclasses
import datetime as dt

import pytest

from apps.accounts.rules import ADMIN, CADET, TRAINING_STAFF, Principal
from apps.cadets.events import CompanyChanged, EnrollmentChanged, TermChanged
from apps.messaging.consumers.chat import ChatStream
from apps.messaging.consumers.notifications import NotificationStream
from apps.messaging.consumers.updates import UpdateStream
from core.clock import now

CADET_1 = Principal(
    user_id=1,
    username="Liza",
    role=CADET,
    session_id="00000000-0000-0000-0000-000000000001",
    version=1,
    generation=1,
    expires_at=now() + dt.timedelta(minutes=15),
)


def test_what_a_cadet_hears_depends_on_the_own_place_in_the_unit() -> None:
    for stream in (UpdateStream(CADET_1, {}), ChatStream(CADET_1, {"room_id": 1})):
        assert {EnrollmentChanged.type, CompanyChanged.type, TermChanged.type} <= stream.standing_types


@pytest.mark.parametrize("role", [ADMIN, TRAINING_STAFF])
def test_what_the_staff_hear_does_not_depend_on_cadets_of_whom_they_are_told_a_thousand_times(role: str) -> None:
    actor = dataclasses.replace(CADET_1, role=role)
    assert UpdateStream(actor, {}).standing_types == frozenset()
    assert ChatStream(actor, {"room_id": 1}).standing_types == {CompanyChanged.type}, "a company can be archived"


def test_ones_own_notifications_depend_on_nothing() -> None:
    assert NotificationStream(CADET_1, {}).standing_types == frozenset()
