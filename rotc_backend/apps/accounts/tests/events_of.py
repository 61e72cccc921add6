"""What clients would hear."""

from apps.events.models import Event


def heard(prefix: str = "user.") -> list[tuple[str, list[str], int]]:
    """(type, recipients, id of the account) of the events so far, in their order."""
    rows = Event.objects.filter(type__startswith=prefix).order_by("id")
    return [(row.type, row.recipients, row.data["id"]) for row in rows]
