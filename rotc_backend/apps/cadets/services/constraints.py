"""Which rule of the database a refused write has broken."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.db import IntegrityError, transaction

from core.errors import Conflict


@contextmanager
def conflicts(taken: Mapping[str, Conflict]) -> Iterator[None]:
    """A transaction in which a broken constraint that `taken` names is that conflict; any other error passes through.

    The services ask before they write, for a message in good order; this is for who was faster between the two.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        diagnosis = getattr(error.__cause__, "diag", None)
        conflict = taken.get(getattr(diagnosis, "constraint_name", None) or "")
        if conflict is None:
            raise
        raise conflict from error
