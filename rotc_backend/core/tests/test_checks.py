from typing import Any

import pytest
from django.core import checks
from pytest_django import Settings

from core.checks import CONFIGURATION, ProcessRefused, refuse_misconfiguration


def found() -> list[checks.CheckMessage]:
    return checks.run_checks(tags=[CONFIGURATION])


def test_a_sound_configuration_raises_no_check() -> None:
    assert found() == []
    refuse_misconfiguration(serves_http=True)


@pytest.mark.parametrize(
    ("identity", "variable", "changes"),
    [
        ("rgms.E001", "DJANGO_SECRET_KEY", {"SECRET_KEY": "only-fifty-characters-long-and-not-derived-from-anything"}),
        ("rgms.E001", "DJANGO_SECRET_KEY", {"TOKEN_KEY": ""}),
        ("rgms.E001", "DJANGO_SECRET_KEY", {"KEY_FINGERPRINT": ""}),
        ("rgms.E003", "ALLOWED_HOSTS", {"ALLOWED_HOSTS": ["*"]}),
        ("rgms.E003", "ALLOWED_HOSTS", {"ALLOWED_HOSTS": ["rotc.example", "*.example"]}),
        ("rgms.E004", "REDIS_URL", {"REDIS_URL": ""}),
        ("rgms.E005", "DEBUG=False", {"DEBUG": True, "DJANGO_ENV": "production"}),
    ],
)
def test_each_misconfiguration_has_an_id_and_a_remedy_and_stops_the_process(
    settings: Settings, identity: str, variable: str, changes: dict[str, Any]
) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)
    (message,) = found()
    assert message.id == identity
    assert message.is_serious()
    assert message.hint is not None
    assert variable in f"{message.msg} {message.hint}"
    for serves_http in (True, False):
        with pytest.raises(ProcessRefused, match=identity) as caught:
            refuse_misconfiguration(serves_http=serves_http)
        assert message.hint in str(caught.value)
        assert isinstance(caught.value, SystemExit)
        assert caught.value.code not in {None, 0}


@pytest.mark.parametrize("engine", ["django.db.backends.sqlite3", ""])
def test_any_database_but_postgresql_is_refused(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, engine: str
) -> None:
    # In place: Django warns, with reason, when DATABASES itself is replaced under open connections.
    monkeypatch.setitem(settings.DATABASES, "default", {"ENGINE": engine})
    (message,) = found()
    assert message.id == "rgms.E002"
    assert "DATABASE_URL" in str(message.hint)
    with pytest.raises(ProcessRefused, match=r"rgms\.E002"):
        refuse_misconfiguration(serves_http=False)


def test_only_who_answers_requests_needs_host_names(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = []
    refuse_misconfiguration(serves_http=False)
    with pytest.raises(ProcessRefused, match=r"rgms\.E006.*ALLOWED_HOSTS is empty"):
        refuse_misconfiguration(serves_http=True)


def test_debug_is_a_developers_right(settings: Settings) -> None:
    settings.DEBUG, settings.DJANGO_ENV = True, "development"
    assert found() == []


def test_all_reasons_are_told_at_once(settings: Settings) -> None:
    settings.ALLOWED_HOSTS, settings.REDIS_URL, settings.TOKEN_KEY = ["*"], "", ""
    with pytest.raises(ProcessRefused) as caught:
        refuse_misconfiguration(serves_http=True)
    assert [identity for identity in ("rgms.E001", "rgms.E003", "rgms.E004") if identity in str(caught.value)] == [
        "rgms.E001",
        "rgms.E003",
        "rgms.E004",
    ]
