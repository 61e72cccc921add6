from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection
from django.db.backends.signals import connection_created
from pytest_django import Settings

from core.timeouts import bound_statements

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bounded(settings: Settings) -> Iterator[None]:
    settings.STATEMENT_SECONDS, settings.LOCK_SECONDS = 1, 1
    bound_statements()
    connection.close()
    yield
    connection_created.disconnect(dispatch_uid="rgms.timeouts")
    connection.close()


@pytest.mark.usefixtures("bounded")
def test_a_statement_that_takes_too_long_is_broken_off() -> None:
    with connection.cursor() as cursor, pytest.raises(OperationalError, match="statement timeout"):
        cursor.execute("SELECT pg_sleep(30)")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        assert cursor.fetchone() == ("1s",)


def test_a_process_that_answers_no_requests_has_no_bounds() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout')")
        assert cursor.fetchone() == ("0",)
