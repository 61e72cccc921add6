"""Whether the services run: asked of Redis, where they beat, and of the database, where they are connected."""

from dataclasses import dataclass

from django.conf import settings

from apps.operations import rules
from apps.operations.services.backups.database import Connection
from apps.operations.services.backups.errors import Refused
from core import broker

_CONNECTED = """
SELECT DISTINCT application_name FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND application_name = ANY(%s)
    AND application_name <> %s
"""


@dataclass(frozen=True, kw_only=True)
class Permissions:
    """What somebody has said is all right."""

    other_origin: bool = False
    online: bool = False
    without_safety: bool = False


@dataclass(frozen=True, kw_only=True)
class Running:
    """`names` of services that give a sign of life. `redis_away`: half of the signs could not be asked for."""

    names: tuple[str, ...]
    redis_away: bool


def running_services(control: Connection) -> Running:
    # Started in a service's shell the command has the service's name itself: of that one only the heartbeat counts.
    found = {name for (name,) in control.execute(_CONNECTED, [list(settings.SERVICE_NAMES), settings.SERVICE_NAME])}
    try:
        beats = broker.survey(services=settings.SERVICE_NAMES).heartbeats
    except broker.BrokerAway:
        return Running(names=tuple(sorted(found)), redis_away=True)
    found |= {name for name, beat in beats.items() if beat.age_seconds <= rules.HEARTBEAT_STALE_SECONDS}
    return Running(names=tuple(sorted(found)), redis_away=False)


def refuse_running(control: Connection, permissions: Permissions) -> None:
    """Raises Refused when services run and nobody has said that this is all right."""
    running = running_services(control)
    if running.names and not permissions.online:
        raise Refused(
            f"Running: {', '.join(running.names)}. What they write from now on would be lost. Suspend them first; "
            "if you cannot, say so with --force-online."
        )
