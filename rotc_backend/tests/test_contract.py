"""What is committed and what the code says are the same."""

import re
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.core.management import call_command
from django.test import Client

from apps.realtime.rules import CloseCode

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_openapi_document_is_what_the_code_describes(tmp_path: Path) -> None:
    generated = tmp_path / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(generated))
    assert settings.OPENAPI_FILE.read_text() == generated.read_text(), "run ./scripts/openapi and look at its diff"


def test_every_group_of_operations_is_described_and_none_is_empty() -> None:
    document = yaml.safe_load(settings.OPENAPI_FILE.read_text())
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    used = {tag for operation in operations for tag in operation["tags"]}
    assert used == {tag["name"] for tag in document["tags"]}


@pytest.mark.django_db
def test_every_change_of_a_model_has_its_migration() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=1)


def test_the_document_is_served_with_an_entity_tag(client: Client) -> None:
    first = client.get("/api/schema/")
    assert (first.status_code, first["Content-Type"]) == (200, "application/yaml; charset=utf-8")
    assert first.content == settings.OPENAPI_FILE.read_bytes()
    again = client.get("/api/schema/", headers={"if-none-match": first["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["/api/schema/", "/api/docs/"])
def test_the_documents_are_public_even_with_a_broken_token(client: Client, path: str) -> None:
    assert client.get(path, headers={"authorization": "Bearer undefined"}).status_code == 200


def test_every_close_code_and_reason_is_documented_for_client_developers() -> None:
    document = (ROOT / "docs" / "WEBSOCKET_IMPLEMENTATION.md").read_text()
    table = CloseCode.__doc__ or ""
    reasons = {word for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b|\bunavailable\b", table) if word.islower()}
    assert len(reasons) >= 12
    assert {f"`{reason}`" for reason in reasons if f"`{reason}`" not in document} == set()
    assert {int(code) for code in CloseCode if f"| {int(code)} |" not in document} == set()


def test_every_variable_that_the_settings_read_is_documented() -> None:
    settings_files = sorted((ROOT / "rotc_backend" / "config" / "settings").glob("*.py"))
    read = {
        name for file in settings_files for name in re.findall(r'\benv\.\w+\(\s*"([A-Z][A-Z_]+)"', file.read_text())
    }
    assert len(read) >= 30
    documented = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "docs" / "CONFIGURATION.md").read_text()))
    assert read - documented == set()
