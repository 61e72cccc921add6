"""Reads render.yaml into a Blueprint, naming every problem of the file at once."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from scripts.stack.blueprint import (
    ADDRESSED_TYPES,
    DATABASE_PROPERTIES,
    DEFAULT_SHUTDOWN_DELAY,
    KEY_VALUE_PROPERTIES,
    PROCESS_TYPES,
    SERVICE_PROPERTIES,
    Blueprint,
    Database,
    FromDatabase,
    FromService,
    Generated,
    KeyValue,
    Literal,
    Prompted,
    Service,
    Source,
)


class BlueprintError(Exception):
    """The file cannot be run. `problems` holds every reason."""

    def __init__(self, *, source: str, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{source} cannot be run:\n" + "\n".join(f"  - {problem}" for problem in self.problems))


def blueprint_read(path: Path) -> Blueprint:
    """Raises BlueprintError, naming every problem."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BlueprintError(source=path.name, problems=[f"it cannot be read: {error.strerror}"]) from error
    except yaml.YAMLError as error:
        raise BlueprintError(source=path.name, problems=[f"it is not YAML: {error}"]) from error
    return _Reading(source=path.name).blueprint(document)


class _Reading:
    """Turns the parsed file into a Blueprint, collecting problems on the way."""

    def __init__(self, *, source: str) -> None:
        self._source = source
        self._problems: list[str] = []

    def blueprint(self, document: object) -> Blueprint:
        if not isinstance(document, dict):
            raise BlueprintError(source=self._source, problems=["its top level is not a mapping"])
        for key in sorted(set(document) & {"projects", "ungrouped"}):
            self._problems.append(f"{key}: only services, databases and envVarGroups at the top level can be run here")
        groups = self._groups(self._entries(document, "envVarGroups"))
        databases = self._databases(self._entries(document, "databases"))
        services: dict[str, Service] = {}
        key_values: dict[str, KeyValue] = {}
        for entry in self._entries(document, "services"):
            name, kind = self._name(entry, "services", {*services, *key_values}), entry.get("type")
            if name is None:
                continue
            if kind in {"keyvalue", "redis"}:
                if "ipAllowList" not in entry:
                    self._problems.append(f"{name}: ipAllowList is required ([] means internal only)")
                key_values[name] = KeyValue(
                    name=name, maxmemory_policy=str(entry.get("maxmemoryPolicy", "allkeys-lru"))
                )
            elif kind in PROCESS_TYPES:
                services[name] = self._service(name, entry)
            else:
                self._problems.append(f"{name}: type {kind!r} is none of {', '.join((*PROCESS_TYPES, 'keyvalue'))}")
        blueprint = Blueprint(services=services, databases=databases, key_values=key_values, groups=groups)
        for name in services:
            self._check_references(blueprint, name)
        if self._problems:
            raise BlueprintError(source=self._source, problems=self._problems)
        return blueprint

    def _entries(self, document: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
        entries = document.get(key) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            self._problems.append(f"{key}: is not a list of mappings")
            return []
        return entries

    def _name(self, entry: Mapping[str, Any], where: str, taken: Iterable[str]) -> str | None:
        name = entry.get("name")
        if not isinstance(name, str) or not name:
            self._problems.append(f"{where}: an entry has no name")
            return None
        if name in taken:
            self._problems.append(f"{where}: the name {name} is used twice")
            return None
        return name

    def _groups(self, entries: list[dict[str, Any]]) -> dict[str, dict[str, Source]]:
        groups: dict[str, dict[str, Source]] = {}
        for entry in entries:
            name = self._name(entry, "envVarGroups", groups)
            if name is None:
                continue
            groups[name] = {}
            for variable in self._entries(entry, "envVars"):
                key = variable.get("key")
                if "sync" in variable:
                    self._problems.append(
                        f"{name}: {key} has sync, which Render ignores in a group: move it to services"
                    )
                elif "fromGroup" in variable or "fromDatabase" in variable or "fromService" in variable:
                    self._problems.append(f"{name}: {key or 'a variable'} is a reference, which a group does not allow")
                else:
                    self._variable(name, variable, groups[name])
        return groups

    def _databases(self, entries: list[dict[str, Any]]) -> dict[str, Database]:
        databases: dict[str, Database] = {}
        for entry in entries:
            name = self._name(entry, "databases", databases)
            if name is not None:
                database_name = str(entry.get("databaseName", name.replace("-", "_")))
                version = entry.get("postgresMajorVersion")
                databases[name] = Database(
                    name=name,
                    database_name=database_name,
                    user=str(entry.get("user", f"{database_name}_user")),
                    major_version=None if version is None else str(version),
                )
        return databases

    def _service(self, name: str, entry: Mapping[str, Any]) -> Service:
        for key in ("runtime", "startCommand"):
            if not isinstance(entry.get(key), str):
                self._problems.append(f"{name}: {key} is missing")
        delay = entry.get("maxShutdownDelaySeconds", DEFAULT_SHUTDOWN_DELAY)
        if not isinstance(delay, int) or not 1 <= delay <= 300:
            self._problems.append(f"{name}: maxShutdownDelaySeconds is not a whole number from 1 to 300")
            delay = DEFAULT_SHUTDOWN_DELAY
        groups: list[str] = []
        variables: dict[str, Source] = {}
        for variable in self._entries(entry, "envVars"):
            if "fromGroup" in variable:
                groups.append(str(variable["fromGroup"]))
            else:
                self._variable(name, variable, variables)
        return Service(
            name=name,
            type=str(entry["type"]),
            root_directory=str(entry.get("rootDir", ".")),
            build_command=entry.get("buildCommand"),
            pre_deploy_command=entry.get("preDeployCommand"),
            start_command=str(entry.get("startCommand", "")),
            health_check_path=entry.get("healthCheckPath"),
            shutdown_delay=delay,
            groups=tuple(groups),
            variables=variables,
        )

    def _variable(self, owner: str, entry: Mapping[str, Any], into: dict[str, Source]) -> None:
        key = entry.get("key")
        if not isinstance(key, str) or not key:
            self._problems.append(f"{owner}: a variable has no key")
            return
        if key in into:
            self._problems.append(f"{owner}: {key} is given twice")
            return
        forms = [form for form in ("value", "generateValue", "sync", "fromDatabase", "fromService") if form in entry]
        if len(forms) != 1:
            given = " and ".join(forms) or "no value"
            self._problems.append(f"{owner}: {key} has {given}; exactly one form is allowed")
            return
        source = self._source_of(owner, key, forms[0], entry[forms[0]])
        if source is not None:
            into[key] = source

    def _source_of(self, owner: str, key: str, form: str, given: object) -> Source | None:
        source: Source | None = None
        match form, given:
            case "value", bool():
                bare = str(given).lower()
                self._problems.append(f"{owner}: {key} is a bare {bare}, which Render refuses: quote it")
                return None
            case "value", str() | int() | float():
                source = Literal(value=str(given))
            case "generateValue", True:
                source = Generated(owner=owner)
            case "sync", False:
                source = Prompted()
            case "fromDatabase", {"name": str(name), "property": str(wanted)}:
                source = FromDatabase(name=name, property=wanted)
            case "fromService", {"name": str(name), "type": str(kind), "property": str(wanted), **rest} if not rest:
                source = FromService(name=name, type=kind, property=wanted, variable=None)
            case "fromService", {"name": str(name), "type": str(kind), "envVarKey": str(copied), **rest} if not rest:
                source = FromService(name=name, type=kind, property=None, variable=copied)
        if source is None:
            self._problems.append(f"{owner}: {key} has {form}: {given!r}, which is incomplete or not allowed")
        return source

    def _check_references(self, blueprint: Blueprint, service: str) -> None:
        linked: dict[str, str] = {}
        for group in blueprint.services[service].groups:
            if group not in blueprint.groups:
                self._problems.append(f"{service}: the group {group} does not exist")
                continue
            for key in blueprint.groups[group]:
                if key in linked and key not in blueprint.services[service].variables:
                    self._problems.append(f"{service}: {key} comes from both {linked[key]} and {group}")
                linked[key] = group
        for key, source in blueprint.services[service].variables.items():
            if isinstance(source, FromDatabase):
                self._check_property(
                    f"{service}: {key}",
                    of=source.name,
                    wanted=source.property,
                    known=blueprint.databases,
                    properties=DATABASE_PROPERTIES,
                )
            elif isinstance(source, FromService):
                self._check_service_reference(blueprint, service, key, source)

    def _check_property(
        self, variable: str, *, of: str, wanted: str, known: Iterable[str], properties: Iterable[str]
    ) -> None:
        if of not in known:
            self._problems.append(f"{variable} refers to {of}, which does not exist")
        elif wanted not in properties:
            self._problems.append(f"{variable} asks {of} for {wanted}; it has {', '.join(properties)}")

    def _check_service_reference(self, blueprint: Blueprint, service: str, key: str, source: FromService) -> None:
        if source.type in {"keyvalue", "redis"}:
            self._check_property(
                f"{service}: {key}",
                of=source.name,
                wanted=source.property or "envVarKey",
                known=blueprint.key_values,
                properties=KEY_VALUE_PROPERTIES,
            )
            return
        target = blueprint.services.get(source.name)
        if target is None:
            self._problems.append(f"{service}: {key} refers to {source.name}, which does not exist")
        elif target.type != source.type:
            self._problems.append(f"{service}: {key} calls {source.name} a {source.type}; it is a {target.type}")
        elif source.variable is None:
            if target.type not in ADDRESSED_TYPES:
                self._problems.append(f"{service}: {key} asks for the address of {source.name}, which has none")
            elif source.property not in SERVICE_PROPERTIES:
                self._problems.append(
                    f"{service}: {key} asks {source.name} for {source.property}; it has {', '.join(SERVICE_PROPERTIES)}"
                )
        else:
            self._check_variable_reference(blueprint, service, key, source)

    def _check_variable_reference(self, blueprint: Blueprint, service: str, key: str, source: FromService) -> None:
        """Follow envVarKey references to their end; a circle or a missing variable is a problem."""
        seen = [(service, key)]
        step: Source = source
        while isinstance(step, FromService) and step.variable is not None:
            here = (step.name, step.variable)
            if here in seen:
                self._problems.append(f"{service}: {key} refers to itself through {step.name}")
                return
            seen.append(here)
            target = blueprint.services.get(step.name)
            if target is None or any(group not in blueprint.groups for group in target.groups):
                return  # named where that reference stands
            following = blueprint.variables_of(step.name).get(step.variable)
            if following is None:
                self._problems.append(f"{service}: {key} copies {step.variable} of {step.name}, which has none")
                return
            step = following
