"""What Django's own cleaning up after a test does not see."""

import contextlib
from collections.abc import Iterator

import pytest

# What several test files assert together; without it a failure would not show what was compared.
pytest.register_assert_rewrite("apps.cadets.tests.tables", "tests.admin_pages")

# Of the schema `ops`, which `flush` never empties; runs of jobs have a fixture of their own.
_LEFT = ("outbox", "mail", "dead_letter")


@pytest.fixture(autouse=True)
def _ops_emptied(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test that commits, the outbox, the ledger of e-mail and the dead letters are as empty as other tables."""
    yield
    if not _commits(request):
        return
    from django.db import OperationalError, connection

    blocker = request.getfixturevalue("django_db_blocker")
    try:
        # A test that took the database away has not given it back yet, and has written nothing there.
        with contextlib.suppress(OperationalError), blocker.unblock(), connection.cursor() as cursor:
            for table in _LEFT:
                cursor.execute(f"DELETE FROM ops.{table}")  # noqa: S608 - names that stand here
    finally:
        # The test's own was closed before; left open, this one would be asked for by tests that may have none.
        connection.close()


def _commits(request: pytest.FixtureRequest) -> bool:
    mark = request.node.get_closest_marker("django_db")
    marked = mark is not None and (mark.kwargs.get("transaction", False) or bool(mark.args and mark.args[0]))
    return marked or bool({"transactional_db", "live_server"} & set(request.fixturenames))
