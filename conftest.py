"""Real PostgreSQL and Valkey for every test run that needs Django, and nothing at all for the others.

Done while this file is registered, which is before any other conftest.py is imported: those may import
models, and pytest-django (which looks for settings earlier still, and finds none) completes its set-up in
`pytest_configure`.
"""

import pytest

from scripts.stack.pytest_servers import service_prepare

pytest_plugins = ["scripts.stack.testing"]


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    config = pluginmanager.get_plugin("pytestconfig")
    assert isinstance(config, pytest.Config)
    service_prepare(config)
