"""What pictures are sent for. This app stands below those that use them: each registers its use at the start."""

from collections.abc import Callable
from dataclasses import dataclass

from apps.pictures.models import Picture

Tell = Callable[[Picture, str], None]


@dataclass(frozen=True, kw_only=True)
class Use:
    """Both functions are called in the transaction in which the picture ends. They lock the record first, and write
    with audit entry and event.

    `place` gives the record the stored file of this name; False if the record no longer wants it. `refuse` lets the
    record say that there will be no file, and returns what it would have been ("the photo of …"); None as above.
    """

    purpose: str
    folder: str
    longest_side: int
    place: Callable[[Picture, str], bool]
    refuse: Callable[[Picture], str | None]


_uses: dict[str, Use] = {}
_tellers: list[Tell] = []


def use_register(use: Use) -> None:
    _uses[use.purpose] = use


def use_of(picture: Picture) -> Use:
    return _uses[picture.purpose]


def refusals_told_by(tell: Tell) -> None:
    """`tell(picture, subject)` lets whoever sent a picture know that it was refused, and why: `picture.problem`."""
    _tellers[:] = [tell]


def refusal_tell(picture: Picture, subject: str) -> None:
    for tell in _tellers:
        tell(picture, subject)
