"""Terms."""

from django.db import connection

from core.errors import Conflict, NotFound


def term_hold_open(*, term_id: int) -> None:
    """Keep a term open until the present transaction ends; every write that belongs to a term calls this first.

    A shared lock: writers do not wait for each other, closing the term waits for all of them. Raises NotFound, and
    Conflict (`term_closed`) for a closed term.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("term_hold_open() belongs into the transaction of the write")
    with connection.cursor() as cursor:
        cursor.execute("SELECT closed_at IS NULL FROM cadets_term WHERE id = %s FOR SHARE", [term_id])
        found = cursor.fetchone()
    if found is None:
        raise NotFound("There is no term with this id.")
    if not found[0]:
        raise Conflict(
            "This term is closed and its grades are frozen. An administrator has to reopen it first.",
            code="term_closed",
        )
