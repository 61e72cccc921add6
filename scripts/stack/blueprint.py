"""render.yaml as a model, resolved as Render would.

`environments_resolve` gives each service the variables that its process would find on Render, with addresses
of this machine in place of Render's. Where a variable comes from, weakest first:

    what Render presets → environment groups → the service's own entries → local substitutions → --set
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

PROCESS_TYPES = ("web", "worker", "pserv")
ADDRESSED_TYPES = ("web", "pserv")  # Render gives no internal host name to workers
DATABASE_PROPERTIES = (
    "connectionString",
    "connectionPoolString",
    "host",
    "port",
    "user",
    "password",
    "database",
)
KEY_VALUE_PROPERTIES = ("connectionString", "host", "port")
SERVICE_PROPERTIES = ("host", "port", "hostport")
DEFAULT_SHUTDOWN_DELAY = 30  # seconds, Render's


@dataclass(frozen=True, kw_only=True)
class Literal:
    value: str


@dataclass(frozen=True, kw_only=True)
class Generated:
    """A secret that is made once. `owner` is the group or service it belongs to: whoever links it sees the
    same.
    """

    owner: str


@dataclass(frozen=True, kw_only=True)
class Prompted:
    """`sync: false`: typed into the dashboard once, absent until then."""


@dataclass(frozen=True, kw_only=True)
class FromDatabase:
    name: str
    property: str


@dataclass(frozen=True, kw_only=True)
class FromService:
    name: str
    type: str
    property: str | None
    variable: str | None


Source = Literal | Generated | Prompted | FromDatabase | FromService


@dataclass(frozen=True, kw_only=True)
class Service:
    """A process that Render would run. Commands are shell text, run in the repository's root (or
    `root_directory`).
    """

    name: str
    type: str
    root_directory: str
    build_command: str | None
    pre_deploy_command: str | None
    start_command: str
    health_check_path: str | None
    shutdown_delay: int  # seconds between SIGTERM and SIGKILL
    groups: tuple[str, ...]
    variables: Mapping[str, Source]


@dataclass(frozen=True, kw_only=True)
class Database:
    name: str
    database_name: str
    user: str
    major_version: str | None


@dataclass(frozen=True, kw_only=True)
class KeyValue:
    name: str
    maxmemory_policy: str


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    services: Mapping[str, Service]
    databases: Mapping[str, Database]
    key_values: Mapping[str, KeyValue]
    groups: Mapping[str, Mapping[str, Source]]

    def variables_of(self, service: str) -> dict[str, Source]:
        """The sources of a service's variables; its own entries beat those of its groups."""
        found: dict[str, Source] = {}
        for group in self.services[service].groups:
            found.update(self.groups[group])
        return {**found, **self.services[service].variables}


@dataclass(frozen=True, kw_only=True)
class StoreAddress:
    """Where a database or Key Value instance listens, taken apart for the properties that a Blueprint can
    ask for.
    """

    url: str

    def property(self, name: str) -> str:
        """One of DATABASE_PROPERTIES or KEY_VALUE_PROPERTIES."""
        parts = urlsplit(self.url)
        default_port = 5432 if parts.scheme.startswith("postgres") else 6379
        return {
            "connectionString": self.url,
            "connectionPoolString": self.url,
            "host": parts.hostname or "",
            "port": str(parts.port or default_port),
            "user": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
            "database": unquote(parts.path.lstrip("/")),
        }[name]


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What this machine offers to a Blueprint. Keys of the mappings are names in the Blueprint."""

    databases: Mapping[str, StoreAddress]
    key_values: Mapping[str, StoreAddress]
    ports: Mapping[str, int]
    prompted: Mapping[str, str]  # values for `sync: false`, by variable
    generate: Callable[[str], str]  # "owner/VARIABLE" → the secret made for it once
    presets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    substitutions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def environments_resolve(blueprint: Blueprint, surroundings: Surroundings) -> dict[str, dict[str, str]]:
    """The variables of every service's process, by service. A `sync: false` variable without a value is left
    out.
    """
    return {name: _Resolution(blueprint, surroundings).environment(name) for name in blueprint.services}


class _Resolution:
    def __init__(self, blueprint: Blueprint, surroundings: Surroundings) -> None:
        self._blueprint = blueprint
        self._here = surroundings

    def environment(self, service: str) -> dict[str, str]:
        keys = [
            *self._here.presets.get(service, {}),
            *self._blueprint.variables_of(service),
            *self._here.substitutions.get(service, {}),
            *self._here.overrides.get(service, {}),
        ]
        resolved = {key: self.value(service, key) for key in dict.fromkeys(keys)}
        return {key: value for key, value in resolved.items() if value is not None}

    def value(self, service: str, key: str) -> str | None:
        for layer in (self._here.overrides, self._here.substitutions):
            if key in layer.get(service, {}):
                return layer[service][key]
        source = self._blueprint.variables_of(service).get(key)
        if source is None:
            return self._here.presets.get(service, {}).get(key)
        return self._value_of(source, key)

    def _value_of(self, source: Source, key: str) -> str | None:
        match source:
            case Literal(value=value):
                return value
            case Generated(owner=owner):
                return self._here.generate(f"{owner}/{key}")
            case Prompted():
                return self._here.prompted.get(key)
            case FromDatabase(name=name, property=wanted):
                return self._here.databases[name].property(wanted)
            case FromService():
                return self._from_service(source)

    def _from_service(self, source: FromService) -> str | None:
        if source.name in self._blueprint.key_values:
            return self._here.key_values[source.name].property(source.property or "connectionString")
        if source.variable is not None:
            return self.value(source.name, source.variable)
        port = self._here.ports[source.name]
        return {"host": "127.0.0.1", "port": str(port), "hostport": f"127.0.0.1:{port}"}[source.property or "host"]
