"""Starts of real processes with production settings: a good environment, and many that must be refused."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

SERVICE = Path(__file__).resolve().parent.parent.parent
SECRET = "uC3vXq8Zt5Rw1Ym7Kp0Jd4Hf9Lb2Ns6Ga-EoTiVxWzQr_hunter2"
GOOD = {
    "DJANGO_ENV": "production",
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "DJANGO_SECRET_KEY": SECRET,
    "DEBUG": "False",
    "DATABASE_URL": "postgresql://rgms:hunter2@127.0.0.1:1/rotc_db",
    "REDIS_URL": "redis://:hunter2@127.0.0.1:1/0",
    "ALLOWED_HOSTS": "rotc-django-web.onrender.com,rotc.example",
    "CORS_ALLOWED_ORIGINS": "https://front-end.example",
    "CLOUDINARY_CLOUD_NAME": "rotc",
    "CLOUDINARY_API_KEY": "874837483274837",
    "CLOUDINARY_API_SECRET": "hunter2",
}
CHECK = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")
WSGI = ("-c", "import config.wsgi")
SECRETS = ("hunter2", "Zt5Rw1Ym7Kp0")


def run(arguments: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """The outcome of `python …` in the service's directory, with nothing in its environment but this."""
    inherited = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**inherited, "PYTHONPATH": str(SERVICE), **environment},
        cwd=SERVICE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def told_by(done: subprocess.CompletedProcess[str]) -> str:
    """What a refused process printed, which must be for people: no trace, no secret."""
    told = done.stdout + done.stderr
    assert done.returncode != 0, told
    assert "Traceback" not in told
    for secret in SECRETS:
        assert secret not in told
    return told


def test_a_good_environment_passes_djangos_deployment_checks_without_a_warning_or_a_silenced_one() -> None:
    done = run(CHECK, GOOD)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "System check identified no issues (0 silenced)."


def test_a_good_environment_gives_a_web_service(tmp_path: Path) -> None:
    # Neither the database nor Redis is asked: a process starts while they are still waking up.
    # The build collects the static files, so the test brings a directory for them.
    done = run(WSGI, {**GOOD, "STATIC_ROOT": str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, "")


WITHOUT = "∅"
BAD = {
    # name: (what differs from GOOD, variable, words of the remedy)
    "secret missing": ({"DJANGO_SECRET_KEY": WITHOUT}, "DJANGO_SECRET_KEY", "Share one generated value"),
    "secret empty": ({"DJANGO_SECRET_KEY": "  "}, "DJANGO_SECRET_KEY", "Share one generated value"),
    "secret short": ({"DJANGO_SECRET_KEY": "hunter2" + "x" * 35}, "DJANGO_SECRET_KEY", "Generate one"),
    "secret known": ({"DJANGO_SECRET_KEY": "django-insecure-hunter2" + SECRET}, "DJANGO_SECRET_KEY", "Generate one"),
    "secret repeated": ({"DJANGO_SECRET_KEY": "hunter2" * 8}, "DJANGO_SECRET_KEY", "Generate one"),
    "database missing": ({"DATABASE_URL": WITHOUT}, "DATABASE_URL", "Copy the connection string"),
    "database sqlite": ({"DATABASE_URL": "sqlite:///hunter2.db"}, "DATABASE_URL", "postgresql://"),
    "database unreadable": ({"DATABASE_URL": "postgresql://u:#hunter2@db:x/y"}, "DATABASE_URL", "Copy the connection"),
    "redis missing": ({"REDIS_URL": WITHOUT}, "REDIS_URL", "Copy the connection string"),
    "redis over http": ({"REDIS_URL": "https://default:hunter2@upstash.example"}, "REDIS_URL", "redis://host:6379"),
    "hosts wildcard": ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS", "List each host name"),
    "hosts wildcard part": ({"ALLOWED_HOSTS": "rotc.example,*.example"}, "ALLOWED_HOSTS", "List each host name"),
    "debug on": ({"DEBUG": "True"}, "DEBUG", "Set DEBUG=False"),
    "debug misspelt": ({"DEBUG": "Flase"}, "DEBUG", "True or False"),
    "environment misspelt": ({"DJANGO_ENV": "prod"}, "DJANGO_ENV", "production, development, testing"),
    "environment forgotten": ({"DJANGO_ENV": WITHOUT}, "DJANGO_ENV", "Set DJANGO_ENV=production"),
    "cloudinary half set": ({"CLOUDINARY_API_SECRET": WITHOUT}, "CLOUDINARY_API_SECRET", "MEDIA_STORAGE=local"),
    "media misspelt": ({"MEDIA_STORAGE": "s3"}, "MEDIA_STORAGE", "cloudinary, local"),
    "origin with path": (
        {"CORS_ALLOWED_ORIGINS": "https://front-end.example/"}, "CORS_ALLOWED_ORIGINS", "without a slash at the end"
    ),
    "origin wildcard": ({"CORS_ALLOWED_ORIGINS": "*"}, "CORS_ALLOWED_ORIGINS", "https://host"),
    "redirect misspelt": ({"SECURE_SSL_REDIRECT": "never"}, "SECURE_SSL_REDIRECT", "True or False"),
    "backups without a key": ({"BACKUP_URL": "s3://a:hunter2@host/bucket"}, "BACKUP_ENCRYPTION_KEY", "or neither"),
    "backups without a place": ({"BACKUP_ENCRYPTION_KEY": "hunter2" + SECRET}, "BACKUP_URL", "or neither"),
    "backups nowhere": (
        {"BACKUP_URL": "hunter2", "BACKUP_ENCRYPTION_KEY": SECRET}, "BACKUP_URL", "s3://ACCESS:SECRET@host/bucket"
    ),
    "backups under a short key": (
        {"BACKUP_URL": "file:///backups", "BACKUP_ENCRYPTION_KEY": "hunter2"}, "BACKUP_ENCRYPTION_KEY", "Generate one"
    ),
    "backups through a pooler": (
        {
            "DATABASE_URL": "postgresql://u:hunter2@ep-1-pooler.neon.tech/rotc_db",
            "BACKUP_URL": "file:///backups",
            "BACKUP_ENCRYPTION_KEY": SECRET,
        },
        "DATABASE_DIRECT_URL",
        "without “-pooler”",
    ),
    "direct database is none": ({"DATABASE_DIRECT_URL": "mysql://u:hunter2@h/d"}, "DATABASE_DIRECT_URL", "postgresql://"),
    "sentry misspelt": ({"SENTRY_DSN": "https://hunter2@sentry.example"}, "SENTRY_DSN", "Client keys"),
}  # fmt: skip


def environment_of(name: str) -> dict[str, str]:
    changes, _, _ = BAD[name]
    return {key: text for key, text in {**GOOD, **changes}.items() if text != WITHOUT}


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_environment_stops_the_deploy_and_says_which_variable_and_what_to_do(name: str) -> None:
    _, variable, remedy = BAD[name]
    told = told_by(run(CHECK, environment_of(name)))
    assert variable in told
    assert remedy in told


@pytest.mark.parametrize("name", ["secret missing", "secret known", "hosts wildcard", "debug on", "redis missing"])
def test_a_bad_environment_stops_the_web_service_too_which_runs_no_check_of_its_own(name: str) -> None:
    _, variable, remedy = BAD[name]
    told = told_by(run(WSGI, environment_of(name)))
    assert variable in told
    assert remedy in told


def test_a_web_service_without_host_names_does_not_start() -> None:
    told = told_by(run(WSGI, {key: text for key, text in GOOD.items() if key != "ALLOWED_HOSTS"}))
    assert "ALLOWED_HOSTS is empty" in told


def test_render_tells_the_web_service_its_own_host_name(tmp_path: Path) -> None:
    environment = {key: text for key, text in GOOD.items() if key != "ALLOWED_HOSTS"}
    told_by_render = {"STATIC_ROOT": str(tmp_path), "RENDER_EXTERNAL_HOSTNAME": "rotc-django-web.onrender.com"}
    done = run(WSGI, {**environment, **told_by_render})
    assert (done.returncode, done.stderr) == (0, "")


def test_every_reason_is_told_in_one_start() -> None:
    told = told_by(run(WSGI, {"DJANGO_ENV": "production", "DJANGO_SETTINGS_MODULE": "config.settings.production"}))
    for variable in ("DJANGO_SECRET_KEY", "DATABASE_URL", "REDIS_URL", "CLOUDINARY_CLOUD_NAME", "CLOUDINARY_API_KEY"):
        assert variable in told


@pytest.mark.parametrize(
    "server",
    [
        ("-m", "gunicorn", "config.wsgi:application", "--preload"),
        ("-m", "daphne", "-p", "0", "config.asgi:application"),
        ("-m", "celery", "-A", "config", "worker"),
        (
            "-m",
            "celery",
            "-A",
            "config",
            "beat",
            "--scheduler",
            "apps.operations.scheduler:SlotScheduler",
            "--pidfile=",
        ),
    ],
    ids=["web", "channels", "worker", "beat"],
)
def test_each_of_the_four_services_ends_with_the_reasons_and_nothing_else(server: tuple[str, ...]) -> None:
    told = told_by(run(server, {**GOOD, "DJANGO_SECRET_KEY": "hunter2", "REDIS_URL": ""}))
    assert "DJANGO_SECRET_KEY has 7 characters" in told
    assert "REDIS_URL is not set" in told
