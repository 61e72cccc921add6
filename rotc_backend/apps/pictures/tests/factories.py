from apps.pictures.models import Picture, State
from apps.pictures.rules import UNFINISHED
from apps.pictures.tasks import picture_process


def pictures_worked() -> list[str]:
    """Let a worker have all that waits, in the order in which it was sent; return how each has ended.

    Raises TryLater for one that it could not bring to its end.
    """
    waiting = list(Picture.objects.filter(state__in=UNFINISHED).order_by("pk").values_list("pk", flat=True))
    for picture_id in waiting:
        picture_process(picture_id=picture_id)
    states = dict(Picture.objects.filter(pk__in=waiting).values_list("pk", "state"))
    return [State(states[picture_id]).value for picture_id in waiting]
