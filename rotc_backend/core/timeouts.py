"""Bounds for the statements of processes that answer requests. The worker and migrations have none."""

from typing import Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created


def bound_statements() -> None:
    """Let every connection that this process opens break off what runs or waits for a lock too long.

    PostgreSQL answers with an error then, which callers see as 503 `database_unavailable`.
    """
    connection_created.connect(_bound, dispatch_uid="rgms.timeouts")


def _bound(*, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:  # noqa: ARG001 - the signal's signature
    # Not as start-up options of the connection: a pooler refuses those.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)",
            [f"{settings.STATEMENT_SECONDS}s", f"{settings.LOCK_SECONDS}s"],
        )
