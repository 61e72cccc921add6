"""Gives a pytest run its database and its Redis, before Django reads its settings.

pytest smoke/tests               no Django, no servers
pytest rotc_backend/apps         servers of its own, which end with the run, also when it is killed
pytest -n 4                      the controller's servers; a database and a Valkey number for each worker
TEST_DATABASE_URL, TEST_REDIS_URL   these instead. DATABASE_URL is never used: it may mean a running system
"""

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scripts.stack.postgres import PostgresSettings, postgres_server
from scripts.stack.servers import ServerError, server_running
from scripts.stack.valkey import valkey_server

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICE = ROOT / "rotc_backend"
SMOKE_TESTS = SERVICE / "tests" / "smoke_tests.py"  # black box: the guide's command, for any machine
# What a developer has set for a running system must not reach a test.
_NOT_FOR_TESTS = (
    "SENTRY_DSN",
    "MEDIA_STORAGE",
    "CLOUDINARY_URL",
    "ALLOWED_HOSTS",
    "CORS_ALLOWED_ORIGINS",
    "DEBUG",
    "EMAIL_URL",
    "DEFAULT_FROM_EMAIL",
    "EMAIL_PER_MINUTE",
    "INVITATION_URL",
    "BACKUP_URL",
    "BACKUP_ENCRYPTION_KEY",
    "DATABASE_DIRECT_URL",
    "TRUSTED_PROXY_COUNT",
    "LOCKOUT_ACCOUNT_FAILURES",
    "LOCKOUT_ADDRESS_FAILURES",
    "LOCKOUT_MINUTES",
    "REGISTRATIONS_PER_ADDRESS",
    "PASSWORD_RESETS_PER_ADDRESS",
    "RENDER_EXTERNAL_URL",
)


def needs_service(*, arguments: Sequence[str], directory: Path) -> bool:
    """Whether any of pytest's path arguments, relative to `directory`, holds tests that use Django."""
    return any(_holds_service_tests(argument, directory) for argument in arguments)


def _holds_service_tests(argument: str, directory: Path) -> bool:
    path = (directory / argument.split("::", 1)[0]).resolve()
    if path == SMOKE_TESTS:
        return False
    return path.is_relative_to(SERVICE) or SERVICE.is_relative_to(path)


def redis_url_of_worker(*, url: str, worker: str | None) -> str:
    """The same server with a database number for each xdist worker ("gw0" → 1), so that none empties
    another's.
    """
    if not worker:
        return url
    return urlsplit(url)._replace(path=f"/{int(worker.removeprefix('gw')) + 1}").geturl()


def service_prepare(config: pytest.Config) -> None:
    """Start what the run needs, point the environment to it, and set up Django. Raises pytest.UsageError."""
    asked = config.known_args_namespace
    if asked.help or asked.version:
        return
    paths = asked.file_or_dir or _default_paths(config)
    if not needs_service(arguments=paths, directory=config.invocation_params.dir):
        return
    os.environ.update(_environment(config))
    for variable in _NOT_FOR_TESTS:
        os.environ.pop(variable, None)
    if str(SERVICE) not in sys.path:
        sys.path.insert(1, str(SERVICE))  # behind the root, whose package `scripts` is the one that is meant
    import django

    django.setup()
    if getattr(asked, "numprocesses", None) and "PYTEST_XDIST_WORKER" not in os.environ:
        # xdist's workers inherit the environment, and pytest-django would read the settings in them before this
        # file has given each a Redis database of its own.
        del os.environ["DJANGO_SETTINGS_MODULE"]


def _default_paths(config: pytest.Config) -> list[str]:
    directory = config.invocation_params.dir
    test_paths = config.getini("testpaths")
    return [str(config.rootpath / path) for path in test_paths] if directory == config.rootpath else [str(directory)]


def _environment(config: pytest.Config) -> dict[str, str]:
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        os.environ.update(_environment_of_the_run(config))  # which xdist's workers inherit
    return {
        "DATABASE_URL": os.environ["TEST_DATABASE_URL"],
        "REDIS_URL": redis_url_of_worker(url=os.environ["TEST_REDIS_URL"], worker=worker),
        "DJANGO_SECRET_KEY": os.environ["TEST_DJANGO_SECRET_KEY"],
        "DJANGO_ENV": "testing",
        "DJANGO_SETTINGS_MODULE": "config.settings.testing",
    }


def _environment_of_the_run(config: pytest.Config) -> dict[str, str]:
    state = Path(tempfile.mkdtemp(prefix="rgms-tests-"))
    state.chmod(0o711)  # PostgreSQL runs as another user when the tests run as root
    config.add_cleanup(lambda: shutil.rmtree(state, ignore_errors=True))
    given = {name: os.environ.get(name) for name in ("TEST_DATABASE_URL", "TEST_REDIS_URL")}
    if not all(given.values()):
        urls = _start_servers(config, state)
        given["TEST_DATABASE_URL"] = given["TEST_DATABASE_URL"] or urls.database_url
        given["TEST_REDIS_URL"] = given["TEST_REDIS_URL"] or urls.redis_url
    return {
        **{name: value for name, value in given.items() if value},
        "TEST_DJANGO_SECRET_KEY": secrets.token_urlsafe(48),
        "MEDIA_ROOT": str(state / "media"),
    }


@dataclass(frozen=True, kw_only=True)
class ServerUrls:
    database_url: str
    redis_url: str


@contextmanager
def servers_running(*, state: Path) -> Iterator[ServerUrls]:
    """A PostgreSQL and a Valkey that forget everything, as long as the block lasts. Raises ServerError."""
    postgres = postgres_server(
        PostgresSettings(
            state=state,
            database="rgms",
            user="rgms",
            durable=False,
            may_create_databases=True,
            connections=200,
        )
    )
    # A database number each for the controller and up to 63 xdist workers.
    valkey = valkey_server(state=state, maxmemory_policy="noeviction", durable=False, databases=64)
    with (
        server_running(postgres, log=state / "postgres.log"),
        server_running(valkey, log=state / "valkey.log"),
    ):
        yield ServerUrls(database_url=postgres.url, redis_url=valkey.url)


def _start_servers(config: pytest.Config, state: Path) -> ServerUrls:
    stack = ExitStack()
    try:
        urls = stack.enter_context(servers_running(state=state))
    except ServerError as error:
        raise pytest.UsageError(str(error)) from error
    config.add_cleanup(stack.close)
    return urls
