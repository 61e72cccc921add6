from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.stack.blueprint import (
    Generated,
    Prompted,
    StoreAddress,
    Surroundings,
    environments_resolve,
)
from scripts.stack.blueprint_file import BlueprintError, blueprint_read
from scripts.stack.plan import build_without_packages, ports_assign
from scripts.stack.state import ROOT

FOUR = ("rotc-django-web", "rotc-django-channels", "rotc-celery-worker", "rotc-celery-beat")

SMALL = """
envVarGroups:
  - name: shared
    envVars:
      - {key: SECRET, generateValue: true}
      - {key: LEVEL, value: from-group}
databases:
  - {name: store, databaseName: things, user: keeper}
services:
  - {type: keyvalue, name: queue, ipAllowList: []}
  - type: web
    name: front
    runtime: python
    startCommand: serve
    envVars:
      - fromGroup: shared
      - {key: LEVEL, value: own}
      - {key: NUMBER, value: 4}
      - {key: DATABASE_URL, fromDatabase: {name: store, property: connectionString}}
      - {key: DATABASE_USER, fromDatabase: {name: store, property: user}}
      - {key: REDIS_URL, fromService: {type: keyvalue, name: queue, property: connectionString}}
      - {key: API_KEY, sync: false}
  - type: worker
    name: back
    runtime: python
    startCommand: work
    envVars:
      - fromGroup: shared
      - {key: FRONT, fromService: {type: web, name: front, property: hostport}}
      - {key: COPIED, fromService: {type: web, name: front, envVarKey: LEVEL}}
      - {key: OWN_SECRET, generateValue: true}
"""


def environments(
    text: str,
    folder: Path,
    *,
    prompted: Mapping[str, str] | None = None,
    overrides: Mapping[str, Mapping[str, str]] | None = None,
    presets: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, dict[str, str]]:
    file = folder / "render.yaml"
    file.write_text(text)
    made: list[str] = []

    def generate(key: str) -> str:
        made.append(key)
        return f"made for {key}"

    return environments_resolve(
        blueprint_read(file),
        Surroundings(
            databases={"store": StoreAddress(url="postgresql://keeper:p%40ss@127.0.0.1:5433/things")},
            key_values={"queue": StoreAddress(url="redis://127.0.0.1:6380/0")},
            ports={"front": 9000},
            prompted=prompted or {},
            generate=generate,
            presets=presets or {},
            overrides=overrides or {},
        ),
    )


def problems(text: str, folder: Path) -> str:
    file = folder / "render.yaml"
    file.write_text(text)
    with pytest.raises(BlueprintError) as caught:
        blueprint_read(file)
    return str(caught.value)


def test_a_secret_of_a_group_is_one_secret_for_all_who_link_it(tmp_path: Path) -> None:
    found = environments(SMALL, tmp_path)

    assert found["front"]["SECRET"] == found["back"]["SECRET"] == "made for shared/SECRET"


def test_a_secret_of_a_service_is_its_own(tmp_path: Path) -> None:
    assert environments(SMALL, tmp_path)["back"]["OWN_SECRET"] == "made for back/OWN_SECRET"


def test_a_services_own_variable_beats_its_group(tmp_path: Path) -> None:
    found = environments(SMALL, tmp_path)

    assert found["front"]["LEVEL"] == "own"
    assert found["back"]["LEVEL"] == "from-group"


def test_references_become_addresses_of_this_machine(tmp_path: Path) -> None:
    found = environments(SMALL, tmp_path)

    assert found["front"]["DATABASE_URL"] == "postgresql://keeper:p%40ss@127.0.0.1:5433/things"
    assert found["front"]["DATABASE_USER"] == "keeper"
    assert found["front"]["REDIS_URL"] == "redis://127.0.0.1:6380/0"
    assert found["back"]["FRONT"] == "127.0.0.1:9000"


def test_the_parts_of_a_database_address_are_decoded() -> None:
    address = StoreAddress(url="postgresql://keeper:p%40ss@127.0.0.1:5433/things")

    parts = {name: address.property(name) for name in ("host", "port", "user", "password", "database")}

    assert parts == {
        "host": "127.0.0.1",
        "port": "5433",
        "user": "keeper",
        "password": "p@ss",
        "database": "things",
    }


def test_a_number_becomes_text(tmp_path: Path) -> None:
    assert environments(SMALL, tmp_path)["front"]["NUMBER"] == "4"


def test_a_prompted_variable_is_absent_until_it_has_a_value(tmp_path: Path) -> None:
    assert "API_KEY" not in environments(SMALL, tmp_path)["front"]
    assert environments(SMALL, tmp_path, prompted={"API_KEY": "typed"})["front"]["API_KEY"] == "typed"


def test_an_override_is_seen_by_those_who_copy_the_variable(tmp_path: Path) -> None:
    found = environments(SMALL, tmp_path, overrides={"front": {"LEVEL": "tried"}})

    assert found["front"]["LEVEL"] == found["back"]["COPIED"] == "tried"


def test_an_override_of_a_group_variable_reaches_one_service_only(tmp_path: Path) -> None:
    found = environments(SMALL, tmp_path, overrides={"back": {"SECRET": "another"}})

    assert found["back"]["SECRET"] == "another"
    assert found["front"]["SECRET"] == "made for shared/SECRET"


def test_the_file_beats_what_render_presets(tmp_path: Path) -> None:
    found = environments(SMALL, tmp_path, presets={"front": {"LEVEL": "preset", "RENDER": "true"}})

    assert found["front"]["LEVEL"] == "own"
    assert found["front"]["RENDER"] == "true"


def test_every_problem_of_a_bad_file_is_named_at_once(tmp_path: Path) -> None:
    report = problems(
        """
projects: []
envVarGroups:
  - name: shared
    envVars:
      - {key: API_KEY, sync: false}
      - {key: STORE, fromDatabase: {name: store, property: host}}
  - name: more
    envVars: [{key: A, value: 1}]
  - name: other
    envVars: [{key: A, value: 2}]
services:
  - {type: keyvalue, name: queue}
  - {type: shop, name: odd}
  - {type: web, name: front, runtime: python, startCommand: serve, maxShutdownDelaySeconds: 900, envVars: [
      {fromGroup: nowhere}, {fromGroup: more}, {fromGroup: other},
      {key: BARE, value: false}, {key: BOTH, value: x, sync: false}, {key: NONE}, {key: NONE, value: y},
      {value: z}, {key: TWICE, value: 1}, {key: TWICE, value: 2},
      {key: LOST, fromDatabase: {name: store, property: host}},
      {key: ODD, fromService: {type: keyvalue, name: queue, property: hostport}},
      {key: WRONG, fromService: {type: web, name: back, property: host}},
      {key: SILENT, fromService: {type: worker, name: back, property: host}},
      {key: MISSING, fromService: {type: worker, name: back, envVarKey: NOTHING}},
      {key: ROUND, fromService: {type: worker, name: back, envVarKey: ROUND}},
      {key: OPEN, fromService: {type: worker, name: back}}]}
  - {type: worker, name: back, envVars: [{key: ROUND, fromService: {type: web, name: front, envVarKey:
  ROUND}}]}
  - {type: worker, name: back, runtime: python, startCommand: work}
""",
        tmp_path,
    )

    for expected in (
        "projects: only services",
        "shared: API_KEY has sync, which Render ignores in a group",
        "shared: STORE is a reference",
        "queue: ipAllowList is required",
        "odd: type 'shop' is none of",
        "front: maxShutdownDelaySeconds is not a whole number",
        "front: the group nowhere does not exist",
        "front: A comes from both more and other",
        "front: BARE is a bare false, which Render refuses: quote it",
        "front: BOTH has value and sync",
        "front: NONE has no value",
        "front: a variable has no key",
        "front: TWICE is given twice",
        "front: LOST refers to store, which does not exist",
        "front: ODD asks queue for hostport",
        "front: WRONG calls back a web; it is a worker",
        "front: SILENT asks for the address of back",
        "front: MISSING copies NOTHING of back, which has none",
        "front: ROUND refers to itself",
        "front: OPEN has fromService",
        "back: runtime is missing",
        "back: startCommand is missing",
        "the name back is used twice",
    ):
        assert expected in report


def test_a_file_that_is_not_yaml_or_not_there_is_a_problem_not_a_trace(tmp_path: Path) -> None:
    assert "not YAML" in problems("services: [", tmp_path)
    assert "top level" in problems("- a list", tmp_path)
    with pytest.raises(BlueprintError, match="cannot be read"):
        blueprint_read(tmp_path / "absent.yaml")


def test_installing_packages_is_taken_out_of_a_build_command() -> None:
    assert build_without_packages("pip install -r r.txt && cd b && python manage.py c") == "cd b && python manage.py c"
    assert build_without_packages("python -m pip install x && cd b") is None
    assert build_without_packages("") is None


# --- the file that is deployed ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deployed() -> dict[str, dict[str, str]]:
    blueprint = blueprint_read(ROOT / "render.yaml")
    return environments_resolve(
        blueprint,
        Surroundings(
            databases={"rotc-postgres": StoreAddress(url="postgresql://u:p@127.0.0.1:5432/rotc_db")},
            key_values={"rotc-redis": StoreAddress(url="redis://127.0.0.1:6379/0")},
            ports=ports_assign(blueprint, first=8000),
            prompted={},
            generate=lambda key: key,
        ),
    )


def test_the_four_services_of_the_guide_are_there_in_its_order(deployed: dict[str, dict[str, str]]) -> None:
    assert tuple(deployed) == FOUR
    assert ports_assign(blueprint_read(ROOT / "render.yaml"), first=8000) == {FOUR[0]: 8000, FOUR[1]: 8001}


def test_all_four_services_share_one_secret_and_the_core_settings(
    deployed: dict[str, dict[str, str]],
) -> None:
    assert {variables["DJANGO_SECRET_KEY"] for variables in deployed.values()} == {"rgms-shared/DJANGO_SECRET_KEY"}
    for variables in deployed.values():
        assert variables["DJANGO_SETTINGS_MODULE"] == "config.settings.production"
        assert variables["DJANGO_ENV"] == "production"
        assert variables["DEBUG"] == "False"
        assert variables["PYTHON_VERSION"].startswith("3.11.")
        assert variables["DATABASE_URL"].endswith("/rotc_db")
        assert variables["REDIS_URL"].startswith("redis://")


def test_the_secret_is_generated_in_the_group_and_nowhere_else() -> None:
    blueprint = blueprint_read(ROOT / "render.yaml")

    in_services = [
        (name, key)
        for name, service in blueprint.services.items()
        for key, source in service.variables.items()
        if isinstance(source, Generated)
    ]
    assert in_services == []
    assert isinstance(blueprint.groups["rgms-shared"]["DJANGO_SECRET_KEY"], Generated)


def test_cloudinary_sentry_the_mail_server_and_backups_are_prompted_for_where_they_are_used() -> None:
    blueprint = blueprint_read(ROOT / "render.yaml")

    for name, service in blueprint.services.items():
        sends = {"EMAIL_URL", "DEFAULT_FROM_EMAIL"} if name in {FOUR[0], FOUR[2]} else set()
        # Web before each deploy, the worker on Sundays; nobody else can read what was stored.
        keeps = {"BACKUP_URL", "BACKUP_ENCRYPTION_KEY", "DATABASE_DIRECT_URL"} if name in {FOUR[0], FOUR[2]} else set()
        prompted = {key for key, source in service.variables.items() if isinstance(source, Prompted)}
        assert prompted == {
            "CLOUDINARY_CLOUD_NAME",
            "CLOUDINARY_API_KEY",
            "CLOUDINARY_API_SECRET",
            "SENTRY_DSN",
            *sends,
            *keeps,
        }


def test_sockets_are_open_to_the_origins_of_the_api(deployed: dict[str, dict[str, str]]) -> None:
    assert deployed[FOUR[1]]["CORS_ALLOWED_ORIGINS"] == deployed[FOUR[0]]["CORS_ALLOWED_ORIGINS"]


def test_only_web_migrates_and_both_listeners_are_checked_on_the_exact_path() -> None:
    services = blueprint_read(ROOT / "render.yaml").services

    assert [name for name, service in services.items() if service.pre_deploy_command] == [FOUR[0]]
    assert "migrate" in str(services[FOUR[0]].pre_deploy_command)
    assert [name for name, service in services.items() if service.health_check_path == "/api/health/"] == list(FOUR[:2])
    for service in services.values():
        assert "collectstatic" in str(service.build_command)
        assert "migrate" not in str(service.build_command) + service.start_command


def test_what_listens_binds_every_address_on_the_port_it_is_given() -> None:
    services = blueprint_read(ROOT / "render.yaml").services

    assert "--bind 0.0.0.0:$PORT" in services[FOUR[0]].start_command
    assert "-b 0.0.0.0" in services[FOUR[1]].start_command
    assert "-p $PORT" in services[FOUR[1]].start_command


def test_the_queue_is_never_evicted() -> None:
    assert blueprint_read(ROOT / "render.yaml").key_values["rotc-redis"].maxmemory_policy == "noeviction"
